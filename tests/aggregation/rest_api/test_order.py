"""The order of everything: courses by key, learners by id, blocks as in the document; the same on every database."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from opaque_keys.edx.keys import CourseKey

from tests.aggregation.builders import KEY, chapter, html, node, sequential, vertical
from tests.aggregation.rest_api.school import answer, completed, get, leave, people, person, small

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asynchronous")]

#: By code point, as texts: capitals first, "_" between them and the small letters, what is not ASCII last.
ORDERED = [
    "Org/Course/Run",
    "course-v1:Org+10+1",
    "course-v1:Org+2+1",
    "course-v1:Org+Alpha+1",
    "course-v1:Org+Zeta+1",
    "course-v1:Org+_under+1",
    "course-v1:Org+alpha+1",
    "course-v1:Org+alpha-b+1",
    "course-v1:Org+alpha.b+1",
    "course-v1:Org+alpha_b+1",
    "course-v1:Org+alphab+1",
    "course-v1:Org+zeta+1",
    "course-v1:Org+éclair+1",
    "course-v1:Org+δ+1",
    "course-v1:org+Alpha+1",
    "org/Course/Run",
]


def pages(user: Any, path: str, size: int, **parameters: Any) -> list[dict[str, Any]]:
    """Return the entries of all pages, one after the other, following the links."""
    entries, address = [], path
    body = answer(get(user, address, page_size=size, **parameters))[1]
    while True:
        entries += body["results"]
        following = body["pagination"]["next"]
        if following is None:
            return entries
        assert len(body["results"]) == size
        address = following.partition("/completion-aggregator/")[2]
        body = answer(get(user, address))[1]


@pytest.fixture
def ana() -> Any:
    """A learner of many courses, enrolled in no order."""
    mixed = [CourseKey.from_string(text) for text in ORDERED[::3] + ORDERED[1::3] + ORDERED[2::3]]
    for key in mixed:
        small(key, chapters=(chapter("c", sequential("s", vertical("v", html("a")))),))
    return person("ana", *mixed)


def test_the_expected_order_is_that_of_texts() -> None:
    assert sorted(ORDERED) == sorted(ORDERED, key=lambda text: text.encode())
    assert sorted(ORDERED) == ORDERED


@pytest.mark.parametrize("path", ["v1/course/", "v0/course/"])
@pytest.mark.parametrize("size", [1, 3, 16, 100])
def test_courses_stand_by_key_whatever_the_database_thinks_of_case(ana: Any, path: str, size: int) -> None:
    found = pages(ana, path, size, username="ana", requested_fields="vertical")
    assert [entry["course_key"] for entry in found] == ORDERED


def test_each_course_has_its_own_entry_even_where_only_case_tells_them_apart(ana: Any) -> None:
    completed(ana, "a", key=CourseKey.from_string("course-v1:Org+Alpha+1"))
    for path in ("v1/course/", "v0/course/"):
        done = [
            entry["course_key"]
            for entry in answer(get(ana, path, username="ana", page_size=100))[1]["results"]
            if entry["completion"]["earned"]
        ]
        assert done == ["course-v1:Org+Alpha+1"]


@pytest.mark.parametrize("size", [1, 7, 10, 100])
def test_learners_stand_by_id_and_the_pages_together_are_the_whole(size: int) -> None:
    small()
    users = people(23)
    model = get_user_model()
    # Names in another order than ids.
    for user in users:
        user.username = f"Name{hash_of(user.pk)}"
    model._default_manager.bulk_update(users, ["username"])
    leave(users[4], KEY)
    root = person("root", is_staff=True)
    found = pages(root, f"v1/course/{KEY}/", size, requested_fields="chapter")
    assert [entry["username"] for entry in found] == [user.username for user in users if user != users[4]]
    picked = [users[20].pk, users[3].pk, users[4].pk, users[11].pk]
    some = pages(root, f"v1/course/{KEY}/", 2, user_ids=",".join(map(str, picked)))
    assert [entry["username"] for entry in some] == [users[at].username for at in (3, 11, 20)]


def hash_of(number: int) -> int:
    return number * 7919 % 1000


def test_blocks_stand_as_in_the_document_and_types_as_asked_for() -> None:
    shared = vertical("z", html("a"))
    small(
        chapters=(
            chapter(
                "c9", sequential("s2", vertical("B", html("b")), shared), sequential("s1", vertical("b", html("c")))
            ),
            chapter("c1", sequential("S0", node("library_content", "l", html("d")), shared, vertical("a", html("e")))),
        )
    )
    ana = person("ana", KEY)
    completed(ana, "a")
    asked = {"username": "ana", "requested_fields": "vertical,sequential,chapter,course,vertical"}
    for path in ("v1/course/", f"v1/course/{KEY}/", "v0/course/", f"v0/course/{KEY}/"):
        body = answer(get(ana, path, **asked))[1]
        entry = body["results"][0] if "results" in body else body
        assert list(entry) == ["course_key", "completion", "vertical", "sequential", "chapter", "course"]
        names = {kind: [block["block_key"].rpartition("@")[2] for block in entry[kind]] for kind in list(entry)[2:]}
        assert names == {
            "vertical": ["B", "b", "z", "a"],  # two parents: below the last of them
            "sequential": ["s2", "s1", "S0"],
            "chapter": ["c9", "c1"],
            "course": ["course"],
        }


def test_the_keys_of_an_entry_stand_in_the_old_order() -> None:
    small()
    ana = person("ana", KEY, is_staff=True)
    completed(ana, "a")
    asked = {"username": "ana", "requested_fields": "vertical,mean,username,chapter", "include_optional": "true"}
    whole = ["course_key", "completion", "username", "mean", "optional_completion", "vertical", "chapter"]
    block = ["course_key", "block_key", "completion", "optional_completion"]
    for path, tally in (
        ("v1/course/", ["earned", "possible", "percent"]),
        ("v0/course/", ["earned", "possible", "percent", "ratio"]),
    ):
        (entry,) = answer(get(ana, path, **asked))[1]["results"]
        assert list(entry) == whole
        assert list(entry["chapter"][0]) == block
        assert list(entry["completion"]) == list(entry["chapter"][0]["completion"]) == tally
        assert list(entry["optional_completion"]) == ["earned", "possible", "percent"]
