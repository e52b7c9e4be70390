"""The catalogue of drift: which fields there are that no column holds, as paths and JSON types."""

import re
from collections.abc import Iterator
from typing import Any, Final

#: Fields of an event that are told, and characters of a field's path.
MOST_FIELDS: Final = 200
LONGEST_PATH: Final = 200
_REMEMBERED: Final = 50_000

_steps: dict[str, str] = {}


def fields(extra: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the distinct paths and JSON types in a scrubbed payload, such as ``("widget.deep[].a", "integer")``."""
    seen: dict[tuple[str, str], None] = {}
    _collect("", extra, seen)
    return iter(seen)


def _collect(path: str, value: dict[str, Any], seen: dict[tuple[str, str], None]) -> None:
    """Note the fields of an object; the length of their paths bounds how deep this goes."""
    for key, each in value.items():
        step = f"{path}{_steps.get(key) or _step(key)}"
        found = each
        while type(found) is list and found and len(step) < LONGEST_PATH:
            step += "[]"
            if len(found) > 1:
                _collect_others(step, found[1:], seen)
            found = found[0]
        if len(seen) >= MOST_FIELDS or len(step) > LONGEST_PATH:
            continue
        if type(found) is dict and found:
            _collect(step + ".", found, seen)
        else:
            seen[step, _TYPES.get(type(found), "null")] = None


def _collect_others(step: str, items: list[Any], seen: dict[tuple[str, str], None]) -> None:
    """Note the fields of the items of a list but the first."""
    for each in items:
        if len(seen) >= MOST_FIELDS or len(step) > LONGEST_PATH:
            return
        if type(each) is dict and each:
            _collect(step + ".", each, seen)
        elif type(each) is list and each:
            _collect_others(step + "[]", each, seen)
        else:
            seen[step, _TYPES.get(type(each), "null")] = None


_FIELD: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$ -]{0,63}")
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{16,}|[0-9]{5,}|_[0-9]+_[0-9]+$", re.IGNORECASE)


def _step(key: str) -> str:
    """Return a key as a step of a path; what names one thing among many is a star."""
    step = _steps.get(key)
    if step is None:
        step = key if _FIELD.fullmatch(key) and not _IDENTIFIER.search(key) else "*"
        if len(key) <= 100:
            if len(_steps) >= _REMEMBERED:
                _steps.clear()
            _steps[key] = step
    return step


_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
