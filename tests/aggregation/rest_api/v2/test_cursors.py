"""Cursors come back as they went, and nothing else is one."""

import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import UTC
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.aggregation.api import Order, Place
from completion_aggregator.aggregation.rest_api.v2 import cursors

IDS = st.integers(0, 2**63 - 1)
VALUES = {
    Order.ID: st.none(),
    Order.PERCENT: st.floats(0.0, 1.0),
    Order.PERCENT_DOWN: st.floats(0.0, 1.0),
    Order.ACTIVITY: st.none() | st.datetimes(timezones=st.just(UTC)),
    Order.ACTIVITY_DOWN: st.none() | st.datetimes(timezones=st.just(UTC)),
}
PLACES = st.sampled_from(Order).flatmap(
    lambda order: st.tuples(st.just(order), st.builds(Place, user_id=IDS, value=VALUES[order]))
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*Order, "course"]),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@given(PLACES)
def test_a_place_comes_back_exactly(found: tuple[Order, Place]):
    order, place = found
    text = cursors.cursor_of(place, order)
    assert text.isascii()
    assert cursors.place_of(text) == (order, place)


@given(st.text(max_size=255))
def test_a_course_comes_back_exactly(key: str):
    with suppress(UnicodeEncodeError):
        assert cursors.course_of(cursors.course_cursor_of(key)) == key


@given(st.text() | JSON.map(lambda value: urlsafe_b64encode(json.dumps(value).encode()).decode()))
def test_whatever_else_is_refused_or_a_place_that_may_be_asked_for(text: str):
    for read in (cursors.place_of, cursors.course_of):
        with suppress(ValueError):
            match read(text):
                case (order, Place(user_id, value)):
                    assert order in Order
                    assert 0 <= user_id < 2**63
                    assert value is None or (isinstance(value, float) and isfinite(value))
                case found:
                    assert isinstance(found, str)


@pytest.mark.parametrize(
    "fields",
    [
        ["percent", 1, None], ["percent", 1, 1], ["percent", 1, "0.5"], ["id", 1, 0.5], ["activity", 1, 0.5],
        ["activity", 1, "yesterday"], ["activity", 1, "2026-01-01T00:00:00"],
        ["activity", 1, "0001-01-01T00:00:00+14:00"], ["id", True, None],
        ["id", -1, None], ["id", 2**63, None], ["name", 1, None], ["id", 1], [], {}, "id", None,
    ],
)  # fmt: skip
def test_a_place_must_be_one_of_its_order(fields: object):
    with pytest.raises(ValueError, match="Not a cursor"):
        cursors.place_of(urlsafe_b64encode(json.dumps(fields).encode()).decode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_place_is_a_number(number: str):
    with pytest.raises(ValueError, match="Not a cursor"):
        cursors.place_of(urlsafe_b64encode(f'["percent",1,{number}]'.encode()).decode())
