"""Take over the tallies of courses that were stored before there were completion vectors.

Figures and means of a course are those of its learners' rows of progress. A site that comes from 4.x has none: each
learner of whom a tally of the course is stored gets one, with that tally, to be worked out anew by the first refresh.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_ROWS: Final = 5000
_NEVER_COMPLETED: Final = datetime(1900, 1, 1, tzinfo=UTC)
_TALLY: Final = ("earned", "possible", "percent", "optional_earned", "optional_possible")


def adopt(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Insert rows of progress where there are none, course by course; to do it again changes nothing."""
    alias = schema_editor.connection.alias
    tallies, courses, progress = (
        apps.get_model("completion_aggregator", name)._default_manager.using(alias)
        for name in ("Aggregator", "AggregatedCourse", "CourseProgress")
    )
    keys = tallies.filter(aggregation_name="course").order_by("course_key").values_list("course_key", flat=True)
    for course_key in keys.distinct():
        course, _ = courses.get_or_create(course_key=course_key)
        for found in _chunks(tallies.filter(course_key=course_key, aggregation_name="course")):
            rows = [_progress(progress.model, course.pk, *values) for values in found]
            progress.bulk_create(rows, ignore_conflicts=True)


def _chunks(tallies: Any) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the tallies by user id, so many at a time; each chunk is read and written by itself."""
    after = 0
    rows = tallies.order_by("user_id", "id").values_list("user_id", "last_modified", *_TALLY)
    while found := list(rows.filter(user_id__gt=after)[:_ROWS]):
        yield found
        after = found[-1][0]


def _progress(model: Any, course_id: int, user_id: int, last_modified: datetime, *tally: float) -> Any:
    newest = None if last_modified <= _NEVER_COMPLETED else last_modified
    return model(
        course_id=course_id,
        user_id=user_id,
        last_modified=newest,
        last_activity=newest,
        begun=True,
        **dict(zip(_TALLY, tally, strict=True)),
    )


class Migration(migrations.Migration):
    # Chunk by chunk: no transaction over all of it, and what a broken run has done stays done.
    atomic = False

    dependencies = [
        ("completion_aggregator", "0011_course_changes"),
    ]

    operations = [
        migrations.RunPython(adopt, migrations.RunPython.noop),
    ]
