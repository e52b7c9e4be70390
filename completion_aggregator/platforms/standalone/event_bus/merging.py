"""Two users who turn out to be one person."""

from typing import Any, Final

from completion.models import BlockCompletion
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.imports.facts import Fact, store_newest
from completion_aggregator.platforms.standalone.models import (
    CohortMembership,
    Course,
    CourseRole,
    Enrollment,
    GroupAssignment,
    LastEvent,
)

#: What one learner has in a course, and what, beside the two, is unique about a row.
OF_ONE_LEARNER: Final = (
    (Enrollment, ()),
    (CourseRole, ("role",)),
    (CohortMembership, ()),
    (GroupAssignment, ("partition_id",)),
    (LastEvent, ("subject",)),
)


def absorb(former: Any, user: Any) -> None:
    """Give *user* all that *former* has, in the caller's transaction; *former* goes, unless somebody logs in with it.

    Of two completions of a block the newer one stands, and of two enrollments, roles or groups that of *former*.
    """
    for course_key, facts in _facts_of(former).items():
        store_newest(str(course_key), {(user.pk, block): fact for block, fact in facts.items()}, now=timezone.now())
    for model, also in OF_ONE_LEARNER:
        for row in model._default_manager.filter(user=former):
            same = {"course_id": row.course_id, **{name: getattr(row, name) for name in also}}
            model._default_manager.filter(user=user, **same).delete()
            row.user = user
            row.save(update_fields=["user"])
    for course_key in courses_of(user):
        aggregation.mark_stale(user.get_username(), course_key)
    if not former.has_usable_password():
        former.delete()


def courses_of(user: Any) -> set[CourseKey]:
    """Return the courses in which a user can be brought up to date: something is stored of her there, and content.

    In a transaction. One without content is locked until that ends, as by `course_in`: its import marks everybody, by
    the names that there are then.
    """
    learnt = BlockCompletion.objects.filter(user=user).values_list("context_key", flat=True).distinct()
    enrolled = Enrollment.objects.filter(user=user).values_list("course__course_key", flat=True)
    keys = {key for key in (*learnt, *enrolled) if key is not None and key.is_course}
    courses = Course.objects.filter(course_key__in=keys)
    list(courses.filter(current__isnull=True).order_by("pk").select_for_update().values_list("pk"))
    found = courses.filter(current__isnull=False).values_list("course_key", flat=True)
    return {key for key in found if key is not None}


def _facts_of(user: Any) -> dict[CourseKey, dict[str, Fact]]:
    columns = ("context_key", "block_key", "completion", "modified", "block_type", "created")
    found: dict[CourseKey, dict[str, Fact]] = {}
    for course_key, block_key, *fact in BlockCompletion.objects.filter(user=user).values_list(*columns):
        found.setdefault(course_key, {})[str(block_key)] = Fact(*fact)
    return found
