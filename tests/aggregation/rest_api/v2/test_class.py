"""A class by pages, and its summary."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.models import CourseProgress
from completion_aggregator.aggregation.records import iso
from tests.aggregation.builders import KEY, complete, learner, learners, small, usage
from tests.aggregation.rest_api.v2.conftest import Ask
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db

CLASS = f"{KEY}/learners/"
SUMMARY = f"{KEY}/summary/"


def progress(earned: float, percent: float, last_activity: str | None) -> dict[str, Any]:
    return {
        "earned": earned, "possible": 5.0, "percent": percent,
        "optional": {"earned": 0.0, "possible": 1.0, "percent": 0.0},
        "last_activity": last_activity,
    }  # fmt: skip


def block(name: str, earned: float, possible: float, optional: float) -> dict[str, Any]:
    return {
        "block_key": str(usage("chapter", name)), "block_type": "chapter", "title": name,
        "earned": earned, "possible": possible, "percent": earned / possible,
        "optional": {"earned": 0.0, "possible": optional, "percent": 1.0 - optional},
    }  # fmt: skip


def walk(ask: Ask, query: dict[str, Any]) -> list[str]:
    """Follow the pages; return the usernames."""
    found: list[str] = []
    answer = ask(CLASS, query=query)
    while True:
        assert answer.status_code == 200, answer.content
        found += [each["username"] for each in answer.json()["results"]]
        following = answer.json()["next"]
        if following is None:
            return found
        assert len(answer.json()["results"]) == query["page_size"]
        answer = ask(following.partition("/v2/courses/")[2])


def test_the_answer_is_whole(platform: FakePlatform, ask: Ask):
    small(platform)
    ana, ben, eva = (learner(platform, name) for name in ("ana", "ben", "eva"))
    complete(ana, "a")
    complete(ana, "e", 0.5)
    complete(ben, "a")
    api.refresh_course(KEY)
    complete(ben, "b")
    stored = {row.user_id: row for row in CourseProgress.objects.all()}
    CourseProgress.objects.filter(user=eva).delete()
    answer = ask(CLASS, query={"levels": "chapter", "sort": "-percent", "page_size": 2})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, no-cache")
    body = answer.json()
    following = body.pop("next")
    assert following.startswith("http://testserver/completion-aggregator/v2/courses/course-v1:Test+Course+1/learners/?")
    assert body == {
        "course_key": str(KEY),
        "title": "Course",
        "results": [
            {
                "username": "ana", "as_of": iso(stored[ana.pk].as_of),
                "progress": progress(1.5, 0.3, iso(stored[ana.pk].last_activity)),
                "blocks": [block("c1", 1.0, 3.0, 1.0), block("c2", 0.5, 2.0, 0.0)],
            },
            {
                "username": "ben", "as_of": iso(stored[ben.pk].as_of),
                "progress": progress(1.0, 0.2, iso(stored[ben.pk].last_activity)),
                "blocks": [block("c1", 1.0, 3.0, 1.0), block("c2", 0.0, 2.0, 0.0)],
            },
        ],
    }  # fmt: skip
    last = ask(following.partition("/v2/courses/")[2]).json()
    assert last["next"] is None
    (found,) = last["results"]
    assert found.pop("as_of").endswith("Z")
    assert found == {
        "username": "eva", "progress": progress(0.0, 0.0, None),
        "blocks": [block("c1", 0.0, 3.0, 1.0), block("c2", 0.0, 2.0, 0.0)],
    }  # fmt: skip


@pytest.mark.parametrize("sort", ["id", "percent", "-percent", "activity", "-activity"])
def test_following_next_visits_everybody_once_in_the_order_asked_for(platform: FakePlatform, ask: Ask, sort: str):
    small(platform)
    users = learners(platform, 12)
    platform.enrolled[str(KEY)] = [user.pk for user in users if user.username.startswith("learner")]
    for nth, user in enumerate(users[1:9]):
        for name in ("a", "b", "c")[: 1 + nth % 3]:
            complete(user, name)
    api.refresh_course(KEY)
    rows = {row.user_id: row for row in CourseProgress.objects.all()}
    students = [user for user in users if user.username.startswith("learner")]

    def key(user: Any) -> tuple[Any, ...]:
        row = rows.get(user.pk)
        percent, activity = (row.percent, row.last_activity) if row else (0.0, None)
        moment = activity.timestamp() if activity else 0.0
        value = {"id": 0.0, "percent": percent, "-percent": -percent, "activity": moment, "-activity": -moment}[sort]
        return value, user.pk

    expected = [user.username for user in sorted(students, key=key)]
    assert walk(ask, {"sort": sort, "page_size": 3}) == expected
    assert walk(ask, {"sort": sort, "page_size": 12}) == expected


def test_filters_narrow_the_class(platform: FakePlatform, ask: Ask):
    small(platform)
    ana, ben, eva = (learner(platform, name) for name in ("ana", "ben", "eva"))
    complete(ana, "a")
    complete(ben, "a")
    complete(ben, "b")
    api.refresh_course(KEY)
    platform.modes[str(KEY), ana.pk] = "verified"
    platform.cohorts[3] = [ben.pk, eva.pk]
    middle = CourseProgress.objects.get(user=ben).last_activity
    assert middle is not None

    def named(**query: Any) -> list[str]:
        return [each["username"] for each in ask(CLASS, query=query).json()["results"]]

    assert named(mode="verified") == ["ana"]
    assert named(cohort=3) == ["ben", "eva"]
    assert named(percent_min=0.2) == ["ana", "ben"]
    assert named(percent_min="0.20001", percent_max=1) == ["ben"]
    assert named(percent_max=".2") == ["ana", "eva"]
    assert named(active_since=middle.isoformat()) == ["ben"]
    assert named(active_before=middle.isoformat()) == ["ana"]
    assert named(never_active="true") == ["eva"]
    assert named(never_active="false") == ["ana", "ben", "eva"]
    assert named(mode="nosuch") == named(cohort=99) == []


def test_a_page_takes_as_many_queries_for_a_hundred_learners_as_for_one(platform: FakePlatform, ask: Ask):
    small(platform)
    learners(platform, 100)
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)
    counts = []
    for size in (1, 10, 100):
        with CaptureQueriesContext(connection) as caught:
            assert len(ask(CLASS, query={"page_size": size, "levels": "all"}).json()["results"]) == size
        counts.append(len(caught))
    assert len(set(counts)) == 1, counts
    assert counts[0] <= 8


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"colour": "red"}, {"colour"}),
        ({"page_size": "0"}, {"page_size"}),
        ({"page_size": "101"}, {"page_size"}),
        ({"page_size": "1e2"}, {"page_size"}),
        ({"cohort": "-1"}, {"cohort"}),
        ({"cohort": "9" * 30}, {"cohort"}),
        ({"mode": ""}, {"mode"}),
        ({"mode": "a\0b"}, {"mode"}),
        ({"percent_min": "nan", "percent_max": "1.1"}, {"percent_min", "percent_max"}),
        ({"percent_min": "5%"}, {"percent_min"}),
        ({"active_since": "yesterday"}, {"active_since"}),
        ({"active_before": "0001-01-01T00:00:00+14:00"}, {"active_before"}),
        ({"never_active": "yes"}, {"never_active"}),
        ({"never_active": "true", "active_since": "2026-01-01"}, {"never_active"}),
        ({"sort": "username"}, {"sort"}),
        ({"levels": "html"}, {"levels"}),
        ({"levels": "all,chapter"}, {"levels"}),
        ({"levels": ","}, {"levels"}),
        ({"format": "xml"}, {"format"}),
        ({"format": "csv", "page_size": "5"}, {"page_size"}),
        ({"sort": ["id", "percent"]}, {"sort"}),
        ({"cursor": "nonsense"}, {"cursor"}),
        ({"cursor": "\u00e9"}, {"cursor"}),
        ({"cursor": "W1tbW1tb"}, {"cursor"}),
    ],
)
def test_what_cannot_be_read_is_named(platform: FakePlatform, ask: Ask, query: dict[str, Any], wrong: set[str]):
    small(platform)
    answer = ask(CLASS, query=query)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json().keys() == wrong
    assert all(isinstance(message, str) and message for messages in answer.json().values() for message in messages)


def test_a_cursor_is_of_one_order(platform: FakePlatform, ask: Ask):
    small(platform)
    learners(platform, 3)
    following = ask(CLASS, query={"sort": "percent", "page_size": 1}).json()["next"]
    cursor = following.partition("cursor=")[2].partition("&")[0]
    answer = ask(CLASS, query={"cursor": cursor})
    assert (answer.status_code, answer.json()) == (
        400,
        {"cursor": ["It is of another order: give the same sort as for the first page."]},
    )


def test_the_summary_is_whole(platform: FakePlatform, ask: Ask):
    small(platform)
    users = learners(platform, 5)[:4]
    platform.enrolled[str(KEY)] = [user.pk for user in users]
    for name in ("a", "b", "c", "e", "f"):
        complete(users[0], name)
    complete(users[1], "e")
    api.refresh_course(KEY)
    answer = ask(SUMMARY, query={"levels": "chapter"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, no-cache")
    assert answer.json() == {
        "course_key": str(KEY), "title": "Course", "learners": 4, "started": 2, "half": 1, "finished": 1,
        "mean": 0.3, "deciles": [0.0] * 5 + [0.2] * 2 + [1.0] * 2, "histogram": [2, 0, 1, 0, 0, 0, 0, 0, 0, 1],
        "blocks": [
            {
                "block_key": str(usage("chapter", "c1")), "block_type": "chapter", "title": "c1", "depth": 1,
                "learners": 4, "started": 1, "half": 1, "finished": 1, "mean": 0.25,
                "deciles": [0.0] * 7 + [1.0] * 2,
            },
            {
                "block_key": str(usage("chapter", "c2")), "block_type": "chapter", "title": "c2", "depth": 1,
                "learners": 4, "started": 2, "half": 2, "finished": 1, "mean": 0.375,
                "deciles": [0.0] * 5 + [0.5] * 2 + [1.0] * 2,
            },
        ],
    }  # fmt: skip


def test_the_summary_of_nobody_has_no_deciles(platform: FakePlatform, ask: Ask):
    small(platform)
    assert ask(SUMMARY).json() == {
        "course_key": str(KEY), "title": "Course", "learners": 0, "started": 0, "half": 0, "finished": 0,
        "mean": 0.0, "deciles": [], "histogram": [0] * 10, "blocks": [],
    }  # fmt: skip


def test_an_unknown_parameter_is_an_error_everywhere(platform: FakePlatform, ask: Ask):
    small(platform)
    learner(platform, "ana")
    for path in ("", f"{KEY}/learners/ana/", CLASS, SUMMARY):
        answer = ask(path, query={"colour": "red", "format": "json"})
        assert (answer.status_code, list(answer.json())) == (400, ["colour"])
