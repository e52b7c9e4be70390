"""Leftovers: what becomes of them does not depend on whose were met before."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.tracking import scrub
from completion_aggregator.tracking.actors import User
from completion_aggregator.tracking.leftovers import Leftovers

NAMES = ["", "alice", "top", "o'neill", "jürgen", "50%", "a\\b", "İrem", "is_new", "1"]
VALUES = st.sampled_from(
    [
        *NAMES,
        "topic",
        "ALICE said",
        "%61lice",
        "alice@x.example",
        "a=b",
        1,
        2**70,
        0.5,
        True,
        None,
        float("inf"),
        [1],
        {"a": "top"},
    ]
)
PAYLOADS = st.dictionaries(
    st.sampled_from(["kind", "is_new", "alice", "title", "page_length", "cut"]), VALUES, min_size=1, max_size=3
)


def user(name):
    return User(None, name, None, is_forgotten=False)


@given(
    events=st.lists(st.tuples(PAYLOADS, st.sampled_from(NAMES)), min_size=1, max_size=8),
    again=st.permutations(range(4)),
)
@settings(max_examples=400, deadline=None)
def test_what_was_met_before_changes_nothing(events, again):
    leftovers = Leftovers()
    events += [(events[number][0], NAMES[number]) for number in again if number < len(events)]
    for payload, name in events:
        kept = scrub.scrub(payload, username=name)
        found = leftovers.kept("edx.new", payload, user(name))
        assert (msgspec.json.decode(found) if found else None) == (
            msgspec.json.decode(msgspec.json.encode(kept)) if kept else None
        )


@pytest.mark.parametrize("name", ["bottom", "BOTTOM"])
def test_what_is_common_is_still_the_name_of_one(name):
    leftovers = Leftovers()
    payload = {"widget_placement": "bottom"}
    found = [leftovers.kept("tab", payload, user(each)) for each in ("alice", "bob", name, "alice")]
    plain = '{"widget_placement":"bottom"}'
    assert found == [plain, plain, '{"widget_placement":"[name]"}', plain]
    assert leftovers.fields == {("tab", "widget_placement", "string"): 4}


def test_fields_are_counted_anew_for_each_batch():
    leftovers = Leftovers()
    leftovers.kept("tab", {"a": 1}, user("alice"))
    leftovers.fresh()
    assert leftovers.fields == {}
    leftovers.kept("tab", {"a": 1}, user("alice"))
    leftovers.kept("tab", {"a": "1"}, user("alice"))
    assert leftovers.fields == {("tab", "a", "integer"): 1, ("tab", "a", "string"): 1}
