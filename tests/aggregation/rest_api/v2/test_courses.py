"""Somebody's courses."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from opaque_keys.edx.keys import CourseKey

from tests.aggregation.builders import SMALL, complete, course, learner
from tests.aggregation.rest_api.v2.conftest import Ask
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db

KEYS = [CourseKey.from_string(f"course-v1:Test+Many+{n:02}") for n in range(25)]


@pytest.fixture
def ana(platform: FakePlatform) -> Any:
    """Return somebody who is enrolled in 25 courses and has begun the second."""
    for key in KEYS:
        platform.publish(course(*SMALL, key=key, title=f"Course {key.run}"))
    user = learner(platform, "Ana", KEYS[0])
    for key in KEYS[1:]:
        platform.enrolled[str(key)].append(user.pk)
    complete(user, "a", key=KEYS[1])
    return user


def test_every_course_is_on_one_page_by_key(asking: Callable[[Any], Ask], ana: Any):
    ask, found, path = asking(ana), [], ""
    while True:
        body = ask(path, query=None if path else {"page_size": 4}).json()
        assert (body["username"], len(body["results"]) <= 4) == ("Ana", True)
        found += body["results"]
        if body["next"] is None:
            break
        path = body["next"].partition("/v2/courses/")[2]
    assert [each["course_key"] for each in found] == list(map(str, KEYS))
    assert found[1] == {
        "course_key": str(KEYS[1]),
        "title": "Course 01",
        "progress": {
            "earned": 1.0, "possible": 5.0, "percent": 0.2,
            "optional": {"earned": 0.0, "possible": 1.0, "percent": 0.0},
            "last_activity": found[1]["progress"]["last_activity"],
        },
    }  # fmt: skip
    assert found[1]["progress"]["last_activity"].endswith("Z")
    assert found[0]["progress"]["last_activity"] is None


def test_a_course_that_is_left_between_two_pages_takes_nobody_elses_place(
    asking: Callable[[Any], Ask], ana: Any, platform: FakePlatform
):
    ask = asking(ana)
    first = ask(query={"page_size": 4}).json()
    for key in (KEYS[0], KEYS[3]):
        platform.enrolled[str(key)].remove(ana.pk)
    second = ask(first["next"].partition("/v2/courses/")[2]).json()
    assert [each["course_key"] for each in second["results"]] == list(map(str, KEYS[4:8]))


def test_staff_of_the_site_may_ask_for_anybody(ask: Ask, ana: Any):
    body = ask(query={"username": "ana", "page_size": 1}).json()
    assert (body["username"], [each["course_key"] for each in body["results"]]) == ("Ana", [str(KEYS[0])])


def test_a_course_that_cannot_be_read_is_listed_without_progress(
    asking: Callable[[Any], Ask], ana: Any, platform: FakePlatform
):
    del platform.graphs[str(KEYS[0])]
    (first,) = asking(ana)(query={"page_size": 1}).json()["results"]
    assert first == {"course_key": str(KEYS[0]), "title": "", "progress": None}


def test_a_page_takes_as_many_queries_for_twenty_courses_as_for_one(asking: Callable[[Any], Ask], ana: Any):
    ask, counts = asking(ana), []
    for size in (1, 5, 20):
        with CaptureQueriesContext(connection) as caught:
            assert len(ask(query={"page_size": size}).json()["results"]) == size
        counts.append(len(caught))
    assert counts == [1, 1, 1]
