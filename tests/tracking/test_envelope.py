import json

import msgspec
import pytest

from completion_aggregator.tracking.envelope import decode, loose
from tests.tracking.builders import event, line


def test_a_line_is_decoded_with_its_payload():
    found = decode(line(1, event={"a": [1]}))
    assert (found.name, found.event, found.context.user_id, found.context.path) == (
        "page_close",
        {"a": [1]},
        7,
        "/event",
    )


def test_what_is_absent_is_none():
    found = decode(b"{}")
    assert (found.name, found.context.user_id, found.event) == (None, None, None)


@pytest.mark.parametrize("payload", [None, 1, 1.5, True, "text", [1], {"a": None}])
def test_a_payload_may_be_anything(payload):
    assert decode(json.dumps({"event": payload}).encode()).event == payload


@pytest.mark.parametrize("odd", [{"name": 5}, {"context": None}, {"context": {"user_id": True}}, {"time": {}}, []])
def test_fields_of_other_types_are_for_the_ladder(odd):
    with pytest.raises(msgspec.ValidationError):
        decode(json.dumps(odd).encode())


def test_a_loose_line_is_the_strict_one_where_that_is_possible():
    assert loose(event(1)) == decode(line(1))


def test_a_loose_line_leaves_out_what_does_not_fit():
    found = loose({"name": "a", "ip": ["x"], "username": 5, "context": {"module": [], "user_id": "7", "path": None}})
    assert (found.name, found.ip, found.username) == ("a", None, "5")
    assert (found.context.module, found.context.user_id, found.context.path) == (None, "7", None)
    assert loose({"context": "x"}).context.user_id is None
