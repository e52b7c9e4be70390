"""Cursors: where a page ended, as a text that clients hand back unread."""

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from datetime import UTC, datetime
from typing import Any, Final

from completion_aggregator.aggregation.api import Order, Place

_LONGEST: Final = 1000
_LARGEST_ID: Final = 2**63 - 1
_UNREADABLE: Final = "Not a cursor: take it from the address of the next page, as it is."


def cursor_of(place: Place, order: Order) -> str:
    """Return the cursor of a place in a class."""
    value = place.value.isoformat() if isinstance(place.value, datetime) else place.value
    return _written([str(order), place.user_id, value])


def place_of(text: str) -> tuple[Order, Place]:
    """Return the place in a class, and the order that it is in. Raises ValueError."""
    match _read(text):
        case [str(name), user_id, value] if name in set(Order) and type(user_id) is int and 0 <= user_id <= _LARGEST_ID:
            order = Order(name)
            return order, Place(user_id, _value(order, value))
    raise ValueError(_UNREADABLE)


def course_cursor_of(course_key: str) -> str:
    """Return the cursor of a course in a list."""
    return _written(["course", course_key])


def course_of(text: str) -> str:
    """Return the key of the course that a page ended with. Raises ValueError."""
    match _read(text):
        case ["course", str(course_key)]:
            return course_key
    raise ValueError(_UNREADABLE)


def _value(order: Order, value: Any) -> float | datetime | None:
    match order, value:
        case (Order.ID, None) | (Order.ACTIVITY | Order.ACTIVITY_DOWN, None):
            return None
        case Order.PERCENT | Order.PERCENT_DOWN, float(number) if math.isfinite(number):
            return number
        case Order.ACTIVITY | Order.ACTIVITY_DOWN, str(moment):
            return _moment(moment)
    raise ValueError(_UNREADABLE)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(_UNREADABLE)


def _written(fields: list[Any]) -> str:
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(text: str) -> Any:
    if len(text) > _LONGEST or not text.isascii():
        raise ValueError(_UNREADABLE)
    try:
        return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, Error, RecursionError):
        raise ValueError(_UNREADABLE) from None
