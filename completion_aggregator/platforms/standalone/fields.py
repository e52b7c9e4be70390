"""The values that authors give to a block's fields, as text or as JSON."""

import json
import re
import reprlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from completion_aggregator.course_graph.graph import Partition

MAX_COUNT: Final = 2**31 - 1  # what the LMS's own tables can hold
MAX_PARTITIONS: Final = 1_000  # of a course; more than a handful is rare
MAX_DAYS: Final = 366 * 9999  # from the first date that there is to the last

# Dates written by hand: "2013-2-5 9:00". The ISO form, which exports use, is tried first.
_LOOSE_DATE: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?\s*(?:Z|UTC)?")

# No database stores half of a surrogate pair; PostgreSQL stores no NUL, and no person reads the others.
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_short: Final = reprlib.Repr()
_short.maxstring = _short.maxother = 80


def shown(value: Any) -> str:
    """Return what a person sees of a value: its beginning, however large or deep it is."""
    return _short.repr(value)


def clean(text: str) -> str:
    """Return *text* as every database can store it."""
    return _CONTROL.sub("", _SURROGATE.sub("\ufffd", text))


def decode(text: str) -> Any:
    """Return what *text* says as JSON, or *text* itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def as_text(value: Any) -> str:
    """Return a title; numbers stay as they were written."""
    if isinstance(value, list | Mapping):
        raise ValueError("not a text")
    return clean(value) if isinstance(value, str) else "" if value is None else json.dumps(value)


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
    text = "" if isinstance(value, list | Mapping) else str(value).strip().lower()
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
    number = _number(value)
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
    days = _number(value)
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


def as_partitions(value: Any, report: Callable[[str], None]) -> list[Partition]:
    """Return the active partitions of a course; those that cannot be understood are reported."""
    if value in (None, ""):
        return []
    if not isinstance(value, list):
        raise ValueError("not a list of partitions")
    if len(value) > MAX_PARTITIONS:
        raise ValueError(f"more than {MAX_PARTITIONS} partitions")
    partitions = []
    for item in value:
        try:
            partitions += _active_partition(item)
        except ValueError as error:
            report(f"partition {shown(item)} is ignored: {error}")
    return partitions


def as_assignments(value: Any) -> dict[int, str]:
    """Return which child of a split test each group sees, as the author referred to it."""
    if value in (None, ""):
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("not an object of group ids and children")
    return {_id(group): child for group, child in value.items() if isinstance(child, str) and child}


def _active_partition(item: Any) -> list[Partition]:
    if not isinstance(item, Mapping):
        raise ValueError("not an object")
    if not item.get("active", True):
        return []
    groups = item.get("groups") or []
    if not isinstance(groups, list) or not all(isinstance(group, Mapping) for group in groups):
        raise ValueError("its groups are not a list of objects")
    return [
        Partition(
            id=_id(item.get("id")),
            # The version before schemes existed knew random ones only.
            scheme=as_text(item.get("scheme")) or "random",
            groups=frozenset(_id(group.get("id")) for group in groups),
            name=as_text(item.get("name")),
        )
    ]


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        match = _LOOSE_DATE.fullmatch(text)
        if not match:
            raise ValueError("not a date") from None
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _number(value: float | str) -> float:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("not a number") from None


def _id(value: Any) -> int:
    try:
        number = as_count(value)
    except ValueError:
        number = None
    if number is None:
        raise ValueError(f"{shown(value)} is not an id")
    return number
