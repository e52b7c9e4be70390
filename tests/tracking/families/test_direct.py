"""A payload that is taken as it is written comes to what it comes to when it is decoded first."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from completion_aggregator.tracking.batch import Batch
from completion_aggregator.tracking.catalogue import NAMES, entry
from completion_aggregator.tracking.payloads import payload_of
from tests.tracking.families.events import COURSE, HEX, key, rows_of

PATH = f"/courses/{COURSE}/xblock/{key('video')}/handler/xmodule_handler/save_user_state"
DIRECT = sorted(name for name, known in NAMES.items() if known.direct)
USUAL = {"id": HEX, "code": "html5", "duration": 261, "currentTime": 91.86}

ODD = st.sampled_from(
    [
        *(
            None,
            "",
            "html5",
            "mobile",
            "a video",
            HEX,
            key("video"),
            "i4x-a-b",
            "\ud83d",
            "00:01:30",
            "12.5",
            "x" * 600,
        ),
        *(True, 0, -1, 261, 2**53, 2**60, 2**70, 10**400, 0.5, 1e300, float("inf"), float("nan")),
        *([], {}, [1], {"a": "b"}, {"alice@x.example": 1}, {"field": ["1"], "other[]": 2}),
    ]
)
FIELDS = st.sampled_from([*USUAL, "old_time", "new_time", "type", "speed", "current_time", "module_id", "GET", "POST"])


def batch(name):
    found = Batch(
        keyed=lambda domain, value: f"{domain}|{value}".encode(), clean=lambda text: text, place=lambda place: place
    )
    found.row, found.name, found.course = 7, name, COURSE
    return found


def both(name, text):
    """What comes of it directly, and what comes of it decoded; None for the first if it is none of the usual."""
    known = entry(name, "browser")
    assert known.direct
    assert known.transform
    direct, decoded = batch(name), batch(name)
    block = known.direct(known.action, text, direct)
    payload = payload_of(text)
    whole = known.transform(known.action, payload, decoded), rows_of(decoded), payload
    if block is None:
        assert (rows_of(direct), direct.left) == ({}, None)
        return None, whole
    return (block, rows_of(direct), direct.left or {}), whole


@given(name=st.sampled_from([*DIRECT, PATH]), changes=st.dictionaries(FIELDS, ODD, max_size=4), cut=st.integers(0, 400))
@example(name="play_video", changes={"id": "\ud83d"}, cut=400)
@example(name=PATH, changes={"GET": {}, "POST": {"a": "\ud83d", "b": float("nan")}}, cut=400)
@settings(max_examples=400, deadline=None)
def test_a_payload_comes_to_the_same_both_ways(name, changes, cut):
    told, whole = both(name, json.dumps(USUAL | changes)[:cut])
    assert told is None or told == whole


@pytest.mark.parametrize("name", DIRECT)
def test_what_players_write_is_taken_directly(name):
    told, whole = both(name, json.dumps(USUAL))
    assert told == whole
    assert told[1]["video"][0]["position_s"] == 91.86


def test_what_the_platform_writes_of_requests_is_taken_directly():
    told, _ = both(PATH, json.dumps({"GET": {"b": ["1"]}, "POST": {"saved_video_position": ["00:27:03"], "a@b": 1}}))
    assert told == (key("video"), {}, {"fields": "* b saved_video_position"})
