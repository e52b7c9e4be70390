import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking import lines
from completion_aggregator.tracking.lines import NoEvent, climb, leading_fields, whole
from tests.tracking.builders import event, line

WHOLE = line(1, event={"n": 1})


def climbed(data):
    return [(each.data, each.line.name, each.repair) for each in climb(data)]


@pytest.mark.parametrize("around", [b"\0" * 64, b"\xef\xbb\xbf", b"trash ", b"[tracking] "])
def test_an_object_is_found_behind_what_stands_before_it(around):
    assert climbed(around + WHOLE + b"\0\r") == [(WHOLE, "page_close", "prefix")]


def test_the_prefix_of_a_container_tells_the_time():
    (found,) = climb(b"2024-02-01 13:53:13,461 INFO 20 [tracking] [user 6] [ip ..] logger.py:41 - " + WHOLE)
    assert (found.data, found.prefix_time) == (WHOLE, datetime(2024, 2, 1, 13, 53, 13, 461000, tzinfo=UTC))


@pytest.mark.parametrize(
    ("prefix", "time"),
    [
        (b"2024-02-01T13:53:13 ", datetime(2024, 2, 1, 13, 53, 13, tzinfo=UTC)),
        (b"2024-02-01 13:53:13.123456 ", datetime(2024, 2, 1, 13, 53, 13, 123456, tzinfo=UTC)),
        (b"2024-02-31 13:53:13 ", None),
        (b"13:53:13 ", None),
    ],
)
def test_prefixes_state_times_in_several_ways(prefix, time):
    assert [each.prefix_time for each in climb(prefix + WHOLE)] == [time]


def test_bytes_and_halves_of_pairs_that_are_no_text_are_replaced():
    data = WHOLE.replace(b"Mozilla", b"\xff\xfe\xc3(\\ud83d")
    (found,) = climb(data)
    assert (found.data, found.line.agent, found.repair) == (data, "\ufffd\ufffd\ufffd(\ufffd/5.0", "lenient")


def test_a_pair_that_is_whole_stays():
    (found,) = climb(WHOLE.replace(b"Mozilla", b"\xff\\ud83d\\ude00"))
    assert found.line.agent == "\ufffd\U0001f600/5.0"


def test_numbers_that_are_none_are_taken():
    (found,) = climb(WHOLE.replace(b'{"n": 1}', b'{"n": NaN, "m": [Infinity, -Infinity]}'))
    assert (repr(found.line.event), found.repair) == ("{'n': nan, 'm': [inf, -inf]}", "lenient")


def test_fields_of_other_types_are_left_out():
    (found,) = climb(line(1, username=5, ip=["192.0.2.1"], session={}, context={"user_id": True, "course_id": 7}))
    assert (found.line.username, found.line.ip, found.line.session) == ("5", None, None)
    assert (found.line.context.user_id, found.line.context.course_id) == (None, "7")


def test_objects_on_one_line_are_events_each():
    other = line(2)
    assert climbed(WHOLE + other) == [(WHOLE, "page_close", "several"), (other, "page_close", "several")]
    assert climbed(b"x " + WHOLE + b" , " + other + b"trash")[1] == (other, "page_close", "several")


def test_of_objects_on_one_line_the_last_may_be_cut():
    cut = line(2)[:-90]
    assert climbed(WHOLE + cut) == [(WHOLE, "page_close", "several"), (cut, "page_close", "cut")]


def test_of_a_cut_object_the_whole_leading_fields_are_kept():
    data = line(1)[: line(1).index(b"192.0.2") + 4]
    (found,) = climb(data)
    kept = event(1)
    assert (found.data, found.repair) == (data, "cut")
    assert (found.line.name, found.line.username, found.line.session) == ("page_close", "alice", "5e55")
    assert found.line.context.course_id == kept["context"]["course_id"]
    assert (found.line.ip, found.line.time, found.line.event) == (None, None, None)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Traceback (most recent call last):", "no object"),
        (b"{}", "no name"),
        (b'{"name": null, "event_type": ""}', "no name"),
        (b'{"name": 5}', "no name"),
        (b'{"na', "cut before its name"),
        (b"{", "cut before its name"),
        (b"x {", "cut before its name"),
        (b'{"a": 1} {"b', "no name"),
        (b"\xff\xff{\xff", "cut before its name"),
    ],
)
def test_what_no_rung_holds_has_a_reason(data, reason):
    with pytest.raises(NoEvent, match=f"^{reason}$"):
        climb(data)


def test_an_event_behind_the_cut_beginning_of_another_is_found():
    cut = line(1)[:150]
    assert climbed(cut + WHOLE) == [(cut, "page_close", "cut"), (WHOLE, "page_close", "several")]


def test_a_prefix_may_hold_a_brace():
    assert climbed(b"logger {main}: " + WHOLE) == [(WHOLE, "page_close", "prefix")]


def test_a_payload_with_a_name_is_no_event():
    cut = line(1, event={"parts": [{"name": "Ideas", "points": 3}], "n": 1})[:-90]
    assert [each[0] for each in climbed(cut)] == [cut]


def test_a_line_of_nothing_but_braces_is_refused_soon():
    with pytest.raises(NoEvent, match="cut before its name"):
        climb(b'{"' * 20_000)


DEEP = [
    b'{"name": "a", "event": ' + opening * depth + b"1" + closing * depth + b"}"
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"))
    for depth in (100, 330, 490, 900, *range(930, 1000, 3), 100_000)
]


@pytest.mark.parametrize("broken", [b"", b"\xff", b"NaN"])
@pytest.mark.parametrize("data", DEEP)
def test_deep_nesting_never_raises(data, broken):
    data = data.replace(b"1", b'"' + broken + b'"' if broken == b"\xff" else broken or b"1")
    found = climb(data)
    assert [each.line.name for each in found] == ["a"]


@pytest.mark.parametrize("number", [b"1" * 400, b"1" * 5000, b"-" + b"9" * 30, b"1e999", b"1" + b"0" * 300 + b".0"])
def test_huge_numbers_never_raise(number):
    for data in (b'{"name": "a", "event": {"n": %s}}', b'{"name": "a", "context": {"user_id": %s}, "agent": "\xff"}'):
        assert [each.line.name for each in climb(data % number)] == ["a"]


def test_of_duplicate_keys_the_last_counts():
    assert (
        climb(b'x{"name": "a", "name": "b"}')[0].line.name
        == climb(b'{"name": "a", "name": "b", "n": NaN}')[0].line.name
    )


def found_or_refused(data):
    try:
        return climb(data)
    except NoEvent as error:
        return [str(error)]


FRAGMENTS = [b"{", b"}", b"[", b'"name"', b":", b'"a"', b",", b"NaN", b"\\ud800", b"\xff", b'"', b"1", b'{"name":"a"}']


@given(st.binary() | st.lists(st.sampled_from(FRAGMENTS), max_size=25).map(b"".join))
def test_any_bytes_are_events_or_refused_with_a_reason(data):
    found = found_or_refused(data)
    assert found
    assert all(each if isinstance(each, str) else each.data in data for each in found)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.data())
def test_leading_fields_are_those_that_stand_whole_before_the_cut(fields, data):
    text = json.dumps(fields)
    cut = data.draw(st.integers(1, len(text)))
    found = leading_fields(text[:cut])
    names = list(fields)[: len(found)]
    assert repr(found) == repr({name: fields[name] for name in names})
    assert cut < len(text) or len(found) == len(fields)


@given(VALUES)
def test_nothing_but_halves_of_pairs_is_replaced(value):
    def told(each):
        return json.dumps(each).encode("utf-8", "replace")

    assert told(whole(value)) == told(json.loads(lines._SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False))))


def test_a_whole_object_without_a_name_beside_events_is_told_too():
    nameless = b'{"level": "INFO", "message": "rotated"}'
    found = lines.climb(line(1) + nameless + line(2))
    assert [(each.data, each.is_event, each.repair) for each in found] == [
        (line(1), True, "several"),
        (nameless, False, "no name"),
        (line(2), True, "several"),
    ]
