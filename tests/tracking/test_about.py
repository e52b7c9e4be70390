"""Whom an event is about: of enrollments, groups and grades the payload says it, not who did it."""

import json

import pytest

from completion_aggregator.tracking.countries import Countries
from completion_aggregator.tracking.pseudonyms import Keys, Pseudonyms
from completion_aggregator.tracking.transform import Transform
from tests.tracking.builders import rows_of

KEYS = Keys(b"p" * 32, b"s" * 32, b"a" * 32)
PERSONS = Pseudonyms(KEYS)
COURSE = "course-v1:DemoX+C1+R"


def row(**fields):
    line = {
        "name": "edx.course.enrollment.activated",
        "event_source": "server",
        "username": "staff1",
        "session": "5e55",
        "context": {"user_id": 7, "course_id": ""},
        "time": "2024-02-01T00:00:00.000000+00:00",
        "event": {"user_id": 12, "course_id": COURSE, "mode": "audit"},
    }
    transform = Transform(PERSONS, Countries(None))
    transform.take(0, [json.dumps(line | fields).encode()])
    (told,) = rows_of(transform)
    return {name: told[name] for name in ("person", "user_id", "username", "known_as", "course", "session")}


def test_an_enrollment_by_staff_is_of_the_learner_and_of_the_course_in_its_payload():
    assert row() == {
        "person": PERSONS.person(12, ""),
        "user_id": 12,
        "username": "staff1",
        "known_as": None,
        "course": COURSE,
        "session": None,
    }


@pytest.mark.parametrize("user_id", [7, "7", None, "", "x", [12], True])
def test_whoever_names_nobody_else_acts_for_herself(user_id):
    found = row(event={"user_id": user_id, "course_id": COURSE})
    assert (found["person"], found["user_id"], found["known_as"]) == (PERSONS.person(7, "staff1"), 7, "staff1")
    assert found["session"] == PERSONS.session("5e55")


def test_other_families_are_of_whoever_acts():
    found = row(name="edx.forum.thread.viewed", event={"user_id": 12})
    assert (found["user_id"], found["known_as"]) == (7, "staff1")
