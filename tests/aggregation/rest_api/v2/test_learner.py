"""One learner in one course."""

from datetime import timedelta
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.db import connection
from django.test.utils import CaptureQueriesContext

from completion_aggregator.aggregation.records import iso
from tests.aggregation.builders import (
    KEY,
    chapter,
    complete,
    course,
    html,
    imported,
    learner,
    moment,
    node,
    sequential,
    small,
    usage,
    vertical,
)
from tests.aggregation.rest_api.v2.conftest import Ask
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db

OPTIONAL_NONE = {"earned": 0.0, "possible": 0.0, "percent": 1.0}


def names(blocks: list[dict[str, Any]]) -> list[Any]:
    """Return the names of blocks; with children, as pairs."""
    return [
        (each["block_key"].rpartition("@")[2], names(each["children"])) if "children" in each
        else each["block_key"].rpartition("@")[2]
        for each in blocks
    ]  # fmt: skip


def test_the_answer_is_whole(platform: FakePlatform, ask: Ask):
    small(platform)
    ana = learner(platform, "Ana")
    imported(ana, {"e": (0.5, moment(5)), "a": (1.0, moment(3))})
    imported(ana, {"d": (1.0, moment(4))}, kind="problem")
    imported(ana, {"elsewhere": (1.0, moment(9))})
    answer = ask(f"{KEY}/learners/ana/", query={"levels": "chapter"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-cache"
    body = answer.json()
    assert body.pop("as_of").endswith("Z")
    assert body == {
        "course_key": str(KEY),
        "username": "Ana",
        "title": "Course",
        "progress": {
            "earned": 1.5, "possible": 5.0, "percent": 0.3,
            "optional": {"earned": 1.0, "possible": 1.0, "percent": 1.0},
            "last_activity": iso(moment(9)),  # of a block that is no longer in the course
        },
        "blocks": [
            {
                "block_key": str(usage("chapter", "c1")), "block_type": "chapter", "title": "c1",
                "earned": 1.0, "possible": 3.0, "percent": 1 / 3,
                "optional": {"earned": 1.0, "possible": 1.0, "percent": 1.0}, "last_activity": iso(moment(4)),
            },
            {
                "block_key": str(usage("chapter", "c2")), "block_type": "chapter", "title": "c2",
                "earned": 0.5, "possible": 2.0, "percent": 0.25, "optional": OPTIONAL_NONE,
                "last_activity": iso(moment(5)),
            },
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        (None, ["c1", "s1", "v1", "v2", "c2", "s2", "v3"]),
        ("all", ["c1", "s1", "v1", "v2", "c2", "s2", "v3"]),
        ("none", []),
        ("course", []),
        ("sequential,course", ["s1", "s2"]),
        ("vertical, chapter", ["c1", "v1", "v2", "c2", "v3"]),
    ],
)
def test_levels_say_which_blocks_are_listed(platform: FakePlatform, ask: Ask, levels: str | None, found: list[str]):
    small(platform)
    learner(platform, "ana")
    answer = ask(f"{KEY}/learners/ana/", query={} if levels is None else {"levels": levels})
    assert names(answer.json()["blocks"]) == found


def test_a_tree_nests_blocks_under_their_nearest_listed_ancestors(platform: FakePlatform, ask: Ask):
    small(platform)
    learner(platform, "ana")

    def tree(levels: str) -> list[Any]:
        return names(ask(f"{KEY}/learners/ana/", query={"levels": levels, "form": "tree"}).json()["blocks"])

    assert tree("all") == [
        ("c1", [("s1", [("v1", []), ("v2", [])])]),
        ("c2", [("s2", [("v3", [])])]),
    ]
    assert tree("chapter,vertical") == [("c1", [("v1", []), ("v2", [])]), ("c2", [("v3", [])])]
    assert tree("vertical") == [("v1", []), ("v2", []), ("v3", [])]


def test_a_block_with_two_parents_stands_under_each_in_a_tree_and_once_in_a_list(platform: FakePlatform, ask: Ask):
    shared = vertical("shared", html("a"))
    platform.publish(
        course(
            chapter("c1", sequential("s1", shared, vertical("own", html("b"))), sequential("s2", shared)),
            chapter("c2", sequential("s3", shared)),
        )
    )
    learner(platform, "ana")

    def listed(levels: str, form: str) -> list[Any]:
        return names(ask(f"{KEY}/learners/ana/", query={"levels": levels, "form": form}).json()["blocks"])

    # By chapters it has two nearest ancestors, not three: two of the ways to it go through one chapter.
    assert listed("chapter,vertical", "tree") == [("c1", [("own", []), ("shared", [])]), ("c2", [("shared", [])])]
    assert listed("sequential,vertical", "tree") == [
        ("s1", [("own", []), ("shared", [])]), ("s2", [("shared", [])]), ("s3", [("shared", [])]),
    ]  # fmt: skip
    assert sorted(listed("vertical", "flat")) == ["own", "shared"]


@pytest.mark.parametrize(("height", "width"), [(20, 2), (110, 1)])
def test_a_tree_that_is_too_large_is_refused(platform: FakePlatform, ask: Ask, height: int, width: int):
    below = vertical("bottom", html("a"))
    for level in range(height):  # with two, each is below two that are below two: twice as many ways each time
        below = sequential(f"top{level}", *(vertical(f"v{level}.{n}", below) for n in range(width)))
    platform.publish(course(chapter("c", below)))
    learner(platform, "ana")
    answer = ask(f"{KEY}/learners/ana/", query={"levels": "all", "form": "tree"})
    assert (answer.status_code, answer.json()) == (
        400,
        {"form": ["Too large a tree: ask for fewer levels, or for flat."]},
    )
    flat = ask(f"{KEY}/learners/ana/", query={"levels": "all"})
    assert len(flat.json()["blocks"]) == 2 + height * (width + 1)


def test_an_earlier_moment_counts_what_was_last_changed_by_then(platform: FakePlatform, ask: Ask):
    small(platform)
    ana = learner(platform, "ana")
    imported(ana, {"a": (1.0, moment(1)), "b": (1.0, moment(2)), "c": (1.0, moment(3))})

    def earned(as_of: str) -> tuple[float, str | None, str]:
        body = ask(f"{KEY}/learners/ana/", query={"as_of": as_of, "levels": "none"}).json()
        return body["progress"]["earned"], body["progress"]["last_activity"], body["as_of"]

    before, at = moment(2) - timedelta(microseconds=1), moment(2)
    assert earned(before.isoformat()) == (1.0, iso(moment(1)), iso(before))
    assert earned(at.isoformat()) == (2.0, iso(at), iso(at))
    assert earned("2025-03-01") == (0.0, None, "2025-03-01T00:00:00Z")
    imported(ana, {"a": (0.5, moment(9))})  # changed later: what it was before, nobody knows
    assert earned(at.isoformat()) == (1.0, iso(at), iso(at))


def test_what_is_unchanged_need_not_be_sent_again(platform: FakePlatform, ask: Ask):
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    first = ask(f"{KEY}/learners/ana/")
    tag = first.headers["ETag"]
    assert tag.startswith('W/"')
    for given in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = ask(f"{KEY}/learners/ana/", headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert again.headers["Cache-Control"] == "private, no-cache"
    for given in ('"other"', "nonsense", ""):
        assert ask(f"{KEY}/learners/ana/", headers={"If-None-Match": given}).status_code == 200
    assert ask(f"{KEY}/learners/ana/", query={"levels": "none"}).headers["ETag"] != tag
    complete(ana, "b")
    changed = ask(f"{KEY}/learners/ana/", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_a_refresh_changes_no_answer_and_an_answer_writes_nothing(platform: FakePlatform, ask: Ask):
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    with CaptureQueriesContext(connection) as caught:
        answer = ask(f"{KEY}/learners/ana/")
    assert answer.json()["progress"]["earned"] == 1.0
    assert [query["sql"].split()[0] for query in caught.captured_queries] == ["SELECT"] * 2  # who she is; what she did


def test_a_course_that_nobody_published_is_not_found(platform: FakePlatform, ask: Ask):
    ana = learner(platform, "ana")
    platform.enrolled[str(KEY)] = [ana.pk]
    answer = ask(f"{KEY}/learners/ana/")
    assert (answer.status_code, answer.json()) == (
        404,
        {"detail": "There is no such course, or its content cannot be read."},
    )


def test_excluded_blocks_and_unseen_ones_are_not_listed(platform: FakePlatform, ask: Ask):
    platform.publish(
        course(
            chapter("open", vertical("v", html("a"))),
            chapter("closed", vertical("w", html("b")), staff_only=True),
            chapter("talk", node("discussion", "d")),
        )
    )
    learner(platform, "ana")
    body = ask(f"{KEY}/learners/ana/", query={"levels": "all"}).json()
    assert names(body["blocks"]) == ["open", "v", "talk"]
    assert body["progress"]["possible"] == 1.0


def test_completions_of_others_do_not_count(platform: FakePlatform, ask: Ask):
    small(platform)
    learner(platform, "ana")
    complete(learner(platform, "ben"), "a")
    assert ask(f"{KEY}/learners/ana/").json()["progress"]["earned"] == 0.0
    assert BlockCompletion.objects.count() == 1
