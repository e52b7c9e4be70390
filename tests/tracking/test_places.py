"""Places: what is kept of an address is what the rules say, whether or not another one like it was met before."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from completion_aggregator.tracking import scrub
from completion_aggregator.tracking.actors import User
from completion_aggregator.tracking.families.url import kind_of
from completion_aggregator.tracking.paths import parted
from completion_aggregator.tracking.places import Places, course_in

COURSE = "course-v1:DemoU+C001+2024_T1"
BLOCK = "block-v1:DemoU+C001+2024_T1+type@vertical+block@0b9e39477cf34507a7a48f74be381fdd"
NOBODY = User(None, "", None, is_forgotten=False)
ALICE = User(7, "alice", b"a" * 16, is_forgotten=False)

SEGMENTS = st.sampled_from(
    [
        *(COURSE, BLOCK, "course-v1:a+a+a", "block-v1:a+a+a+type@a+block@a", "course-v1:a+b+c+d", "ccx-v1:a+b+c+ccx@1"),
        *("course-v1:1.2.3.4+b+c", "course-v1:token+pass+c", "block-v1:a+b+c+type@d+block@e.f", "i4x://a/b/c/d"),
        *(
            "alice",
            "bob",
            f"alice,{BLOCK}",
            f"alice,{COURSE}",
            "courses",
            "xblock",
            "handler",
            "u",
            "user",
            "bookmarks",
        ),
        *(
            "enrollment",
            "progress",
            "7",
            "student_progress",
            "accounts",
            "api",
            "v1",
            "token=",
            "user_name=",
            "a@b.example",
        ),
        *(
            "",
            "%3F",
            "%2B",
            "?a=1",
            "#top",
            ";x=y",
            "10.0.0.1",
            "::1",
            "Álice",
            "https:",
            "//",
            "wiki",
            "handler_noauth",
        ),
    ]
)
ADDRESSES = st.builds(
    "".join,
    st.tuples(st.sampled_from(["", "/", "https://x.example/", "//"]), st.lists(SEGMENTS, max_size=7).map("/".join)),
)


@given(before=st.lists(ADDRESSES, max_size=3), address=ADDRESSES)
@example(before=[], address=f"/u/{COURSE}")
@example(before=[f"/courses/{COURSE}/a"], address="/courses/course-v1:a+a+a/a")
@example(before=[], address=f"/token={COURSE}/{BLOCK}")
@settings(max_examples=600, deadline=None)
def test_an_address_is_kept_as_if_no_other_had_been_met(before, address):
    places = Places()
    for each in before:
        places.address(each, NOBODY)
    assert places.address(address, NOBODY) == scrub.address(address, "")
    if "alice" in scrub.address(address, "").lower():
        assert places.address(address, ALICE) in {scrub.address(address, "alice"), scrub.address(address, "")}


@given(path=ADDRESSES)
@settings(max_examples=400, deadline=None)
def test_the_kind_of_a_path_is_that_of_all_with_other_keys(path):
    assert kind_of(parted(path)[0]) == kind_of(path)


def test_a_place_has_its_course_organization_and_addresses():
    places = Places()
    place = places.meet(("", "DemoU", f"/courses/{COURSE}/xblock/{BLOCK}?a=1", None))
    assert (place.course, place.low) == (COURSE, "")
    assert places.rows[place.number] == (COURSE, "DemoU", f"/courses/{COURSE}/xblock/{BLOCK}", None)
    moved = places.moved(place, "course-v1:O+C+R")
    assert places.rows[moved.number] == ("course-v1:O+C+R", "DemoU", f"/courses/{COURSE}/xblock/{BLOCK}", None)
    assert places.moved(place, "course-v1:O+C+R") is moved


def test_whoever_is_named_in_an_address_is_not_named_in_the_place():
    places = Places()
    place = places.meet((COURSE, None, "/event", "https://x.example/notes/alice/1"))
    assert "alice" in place.low
    kept = places.without(place, ALICE)
    assert places.rows[kept.number] == (COURSE, None, "/event", "https://x.example/notes/*/1")


def test_places_that_are_many_are_forgotten_between_batches():
    places = Places()
    written = (None, None, "/page/1", None)
    place = places.meet(written)
    places.fresh()
    assert places.met(written) is place
    places.rows.extend([(None, None, None, None)] * 2**16)
    places.fresh()
    assert (places.rows, places.met(written)) == ([], None)


def test_addresses_that_are_long_are_forgotten_between_batches():
    places = Places()
    places.meet((None, None, "/event", "x" * 2**25))
    assert places.met((None, None, "/event", "x" * 2**25)) is None
    places.fresh()
    assert places.rows == []


@pytest.mark.parametrize("address", [None, "", "/courses/", "/courses/a/b", "/event", "/course/a/b/c"])
def test_an_address_without_a_course_has_none(address):
    assert course_in(address) == ""
