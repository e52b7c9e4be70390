"""A site that comes from the old version has its figures at once."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import AggregatedCourse, Aggregator, CourseProgress

COURSE = CourseKey.from_string("course-v1:A+b+C")
OTHER = CourseKey.from_string("course-v1:A+b+D")
SOMETIME = datetime(2025, 5, 5, 5, 5, 5, tzinfo=UTC)
NEVER = datetime(1900, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def before() -> Iterator[None]:
    """Go back to where tallies were not adopted yet, and to the newest tables in the end."""
    call_command("migrate", "completion_aggregator", "0011", verbosity=0)
    yield
    call_command("migrate", verbosity=0)


def adopt() -> None:
    call_command("migrate", "completion_aggregator", "0012", verbosity=0)


def stored(name: str, course_key: CourseKey, block_type: str = "course", *, newest: datetime = SOMETIME) -> int:
    user, _ = get_user_model()._default_manager.get_or_create(username=name)
    Aggregator.objects.create(
        user=user, course_key=course_key, block_key=course_key.make_usage_key(block_type, block_type),
        aggregation_name=block_type, earned=3, possible=4, percent=0.75, optional_earned=1, optional_possible=2,
        optional_percent=0.5, last_modified=newest,
    )  # fmt: skip
    return int(user.pk)


def adopted() -> list[tuple[object, ...]]:
    return list(
        CourseProgress.objects.order_by("course__course_key", "user_id").values_list(
            "course__course_key", "user__username", "earned", "possible", "percent", "optional_earned",
            "optional_possible", "last_modified", "last_activity", "begun", "as_of", "graph_version",
        )
    )  # fmt: skip


def test_each_tally_of_a_course_becomes_a_row_of_progress_to_be_worked_out_anew(before: None) -> None:
    for name, course_key, newest in (("ana", COURSE, SOMETIME), ("bob", COURSE, NEVER), ("ana", OTHER, SOMETIME)):
        stored(name, course_key, newest=newest)
    stored("bob", COURSE, "chapter")

    adopt()

    tally = (3.0, 4.0, 0.75, 1.0, 2.0)
    assert adopted() == [
        (COURSE, "ana", *tally, SOMETIME, SOMETIME, True, None, ""),
        (COURSE, "bob", *tally, None, None, True, None, ""),
        (OTHER, "ana", *tally, SOMETIME, SOMETIME, True, None, ""),
    ]


def test_what_is_there_already_stays(before: None) -> None:
    user_id = stored("ana", COURSE)
    course = AggregatedCourse.objects.create(course_key=COURSE)
    CourseProgress.objects.create(course=course, user_id=user_id, vector=b"mine", percent=0.1, graph_version="v")
    rows = list(CourseProgress.objects.values())

    adopt()

    assert list(CourseProgress.objects.values()) == rows


def test_more_than_one_chunk_of_learners_is_taken_over(before: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import import_module

    monkeypatch.setattr(import_module("completion_aggregator.migrations.0012_adopt_tallies"), "_ROWS", 2)
    ids = [stored(f"learner {n}", COURSE) for n in range(5)]

    adopt()

    assert sorted(CourseProgress.objects.values_list("user_id", flat=True)) == ids
