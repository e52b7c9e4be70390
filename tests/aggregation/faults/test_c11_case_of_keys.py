"""C11: keys that differ in case alone shared one row."""

import pytest
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.models import AggregatedCourse, Aggregator
from tests.aggregation.builders import (
    KEY,
    chapter,
    complete,
    course,
    everything,
    from_scratch,
    html,
    learner,
    tallies,
    vertical,
    waiting,
)
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db


def test_c11_two_verticals_whose_keys_differ_in_case_have_two_rows(platform: FakePlatform) -> None:
    platform.publish(course(chapter("c", vertical("unit", html("a"), html("b")), vertical("Unit", html("d")))))
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.refresh_course(KEY)
    complete(ana, "d")
    api.refresh_course(KEY)

    assert Aggregator.objects.filter(aggregation_name="vertical").count() == 2
    assert tallies(ana) == {"course": (2.0, 3.0), "c": (2.0, 3.0), "unit": (1.0, 2.0), "Unit": (1.0, 1.0)}
    assert everything() == from_scratch()


def test_c11_leaves_whose_keys_differ_in_case_are_two(platform: FakePlatform, vendor: str) -> None:
    platform.publish(course(chapter("c", vertical("v", html("leaf"), html("Leaf")))))
    ana = learner(platform, "ana")
    complete(ana, "leaf")
    complete(ana, "Leaf")
    api.refresh_course(KEY)

    # edx-completion's own table compares without case but on PostgreSQL: there the second is the first again.
    assert tallies(ana)["v"] == ((2.0, 2.0) if vendor == "postgresql" else (1.0, 2.0))
    assert everything() == from_scratch()


def test_c11_courses_whose_keys_differ_in_case_have_two_queues(platform: FakePlatform) -> None:
    other = CourseKey.from_string("course-v1:test+course+1")
    assert str(other).casefold() == str(KEY).casefold()
    ana = learner(platform, "ana")
    # Two names, because edx-completion's own table takes the same block of both courses for one but on PostgreSQL.
    for key, name in ((KEY, "a"), (other, "z")):
        platform.publish(course(chapter("c", vertical("v", html(name))), key=key))
        complete(ana, name, key=key)

    assert api.pending_courses() == [KEY, other]
    assert api.refresh_course(KEY).resolved == 1
    assert {row.course_key for row in waiting()} == {other}
    assert api.refresh_course(other).resolved == 1
    assert AggregatedCourse.objects.count() == 2
    earned = dict(Aggregator.objects.filter(aggregation_name="course").values_list("course_key", "earned"))
    assert earned == {KEY: 1.0, other: 1.0}
