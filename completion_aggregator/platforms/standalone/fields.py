"""The values that authors give to a block's fields, as text or as JSON."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from completion_aggregator.course_graph.graph import Partition

MAX_COUNT: Final = 2**31 - 1  # what the LMS's own tables can hold
MAX_DAYS: Final = 366 * 9999  # from the first date that there is to the last

# Dates written by hand: "2013-2-5 9:00". The ISO form, which exports use, is tried first.
_LOOSE_DATE: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?\s*(?:Z|UTC)?")


def decode(text: str) -> Any:
    """Return what *text* says as JSON, or *text* itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def as_text(value: Any) -> str:
    """Return a title; numbers stay as they were written."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def as_date(value: Any) -> datetime | None:
    """Return an instant; without a time zone it is UTC, a number is milliseconds since 1970."""
    if value in (None, ""):
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, tz=UTC)
        if isinstance(value, str):
            moment = _moment(value.strip())
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"not a date that can be: {error}") from error
    raise ValueError("not a date")


def as_flag(value: Any) -> bool | None:
    """Return yes, no, or None where nothing is said."""
    if value in (None, ""):
        return None
    text = str(value).strip().lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise ValueError("neither true nor false")


def as_count(value: Any) -> int | None:
    """Return a whole number."""
    if value in (None, ""):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a whole number")
    number = float(value) if isinstance(value, str) else value
    if not abs(number) <= MAX_COUNT:  # nor is it "nan"
        raise ValueError(f"beyond {MAX_COUNT}")
    if number != int(number):
        raise ValueError("not a whole number")
    return int(number)


def as_days(value: Any) -> float | None:
    """Return a number of days."""
    if value in (None, ""):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a number of days")
    days = float(value) if isinstance(value, str) else value
    if not abs(days) <= MAX_DAYS:  # nor is it "nan"
        raise ValueError(f"beyond {MAX_DAYS} days")
    return float(days)


def as_group_access(value: Any) -> dict[int, frozenset[int]]:
    """Return the groups allowed by partition; a partition with an empty list is unrestricted, so it is left out."""
    if value in (None, ""):
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("not an object of partition ids and lists of group ids")
    access = {}
    for partition, groups in value.items():
        if groups is not None and not isinstance(groups, list):
            raise ValueError(f"the groups of partition {partition} are not a list")
        if groups:
            access[_id(partition)] = frozenset(map(_id, groups))
    return access


def as_partitions(value: Any) -> list[Partition]:
    """Return the active partitions of a course."""
    if value in (None, ""):
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise ValueError("not a list of partitions")
    # The version before schemes existed knew random ones only.
    return [
        Partition(
            id=_id(item.get("id")),
            scheme=str(item.get("scheme") or "random"),
            groups=frozenset(_id(group.get("id")) for group in item.get("groups") or () if isinstance(group, Mapping)),
            name=str(item.get("name") or ""),
        )
        for item in value
        if item.get("active", True)
    ]


def as_assignments(value: Any) -> dict[int, str]:
    """Return which child of a split test each group sees, as the author referred to it."""
    if value in (None, ""):
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("not an object of group ids and children")
    return {_id(group): str(child) for group, child in value.items() if child}


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        match = _LOOSE_DATE.fullmatch(text)
        if not match:
            raise ValueError("not a date") from None
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _id(value: Any) -> int:
    try:
        number = as_count(value)
    except ValueError:
        number = None
    if number is None:
        raise ValueError(f"{value!r} is not an id")
    return number
