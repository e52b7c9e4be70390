"""Courses whose content, or who sees what of it, changed: noted at once, looked at by the next run.

However often a course changes before that, it is one row, and its learners are looked at once.
"""

from collections.abc import Collection
from datetime import datetime

from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.models import AggregatedCourse
from completion_aggregator.upsert import upsert

_COLUMNS = ("course_key", "leaf_count", "failures", "error", "reconcile_after", "changed_at")


def note(course_key: CourseKey, *, now: datetime | None = None) -> None:
    """Note that the course changed: one statement, in the caller's transaction."""
    row = (str(course_key), 0, 0, "", 0, now or timezone.now())
    upsert(AggregatedCourse._meta.db_table, _COLUMNS, ("course_key",), [row], update=("changed_at",))


def note_all(*, orgs: Collection[str] | None = None, now: datetime | None = None) -> None:
    """Note that all courses that we aggregate changed, or those of these organisations: two statements."""
    keys = AggregatedCourse.objects.values_list("course_key", flat=True)
    meant = [str(key) for key in keys if key is not None and (orgs is None or key.org in orgs)]
    rows = [(key, 0, 0, "", 0, now or timezone.now()) for key in meant]
    upsert(AggregatedCourse._meta.db_table, _COLUMNS, ("course_key",), rows, update=("changed_at",))


def noted() -> dict[CourseKey, datetime]:
    """Return the courses that changed, the one that waits longest first, each with its last change."""
    rows = AggregatedCourse.objects.filter(changed_at__isnull=False).order_by("changed_at", "id")
    found = rows.values_list("course_key", "changed_at")
    return {key: moment for key, moment in found if key is not None and moment is not None}


def settled(course_key: CourseKey, moment: datetime) -> None:
    """Forget the change of that moment; a later one stays noted."""
    AggregatedCourse.objects.filter(course_key=course_key, changed_at=moment).update(changed_at=None)
