"""Values as events write them: numbers as text, keys in five spellings. Nothing here raises, whatever it is given."""

import html
import re
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any, Final
from urllib.parse import unquote

_LONGEST_NUMBER: Final = 40
_LONGEST_KEY: Final = 400
_LONGEST_TERM: Final = 500
_LARGEST_INTEGER: Final = 2**63
_LONGEST_REMEMBERED: Final = 1000

_CLOCK: Final = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)", re.ASCII)
_BARE: Final = re.compile(r"[\w.~-]+")
#: Without ``<`` inside, so that a text of nothing but ``<`` is looked at once, not once for each.
_TAG: Final = re.compile(r"<[^<>]*>")

#: How a course key begins, and how the keys of its blocks do.
_BLOCKS: Final = (("course-v1:", "block-v1:"), ("ccx-v1:", "ccx-block-v1:"))
_WRITTEN_OUT: Final = ("block-v1:", "i4x://", "ccx-block-v1:", "lib-block-v1:", "lb:")


def number(value: object) -> float | None:
    """Return a number, also one written as text; None when it is not one, or not finite."""
    kind = type(value)
    if kind is float:
        return value if isfinite(value) else None  # type: ignore[arg-type, return-value] # its type was just looked at
    if kind is not int and (kind is not str or len(value) > _LONGEST_NUMBER):  # type: ignore[arg-type] # likewise
        return None
    try:
        found = float(value)  # type: ignore[arg-type] # likewise
    except (ValueError, OverflowError):
        return None
    return found if kind is int or isfinite(found) else None


def integer(value: object) -> int | None:
    """Return a whole number of 64 bits, also one written as text or as a float."""
    if type(value) is not int:
        found = None if value is None else number(value)
        if found is None or not found.is_integer():
            return None
        value = int(found)
    return value if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else None


def seconds(value: object) -> float | None:
    """Return seconds, also from a clock such as ``00:01:30``."""
    found = number(value)
    if found is None and isinstance(value, str):
        clock = _CLOCK.fullmatch(value)
        if clock:
            return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
    return found


def text(value: object) -> str | None:
    """Return a text without space around it; None when it is empty or none."""
    return value.strip() or None if isinstance(value, str) else None


def flag(value: object) -> bool | None:
    """Return what is meant by true and false, also as text, as the forms of browsers write them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return None


def words(listed: str) -> tuple[str, ...]:
    """Return the words of a list that is written as one text."""
    return tuple(listed.split())


def take_number(payload: dict[str, Any], key: str) -> float | None:
    """Take a number out of a payload; what is none stays in it."""
    value = payload.pop(key, None)
    if value is None:
        return None
    found = number(value)
    if found is None:
        payload[key] = value
    return found


def take_integer(payload: dict[str, Any], key: str) -> int | None:
    """Take a whole number out of a payload; what is none stays in it."""
    value = payload.pop(key, None)
    if value is None:
        return None
    found = integer(value)
    if found is None:
        payload[key] = value
    return found


def take_flag(payload: dict[str, Any], key: str) -> bool | None:
    """Take true or false out of a payload; what is neither stays in it."""
    value = payload.pop(key, None)
    found = flag(value)
    if found is None and value is not None:
        payload[key] = value
    return found


def take_term(payload: dict[str, Any], key: str, clean: Callable[[str], str]) -> str | None:
    """Take an id or a name out of a payload, cleaned, a number as text; what is neither, or too long, stays in it."""
    value = payload.pop(key, None)
    if value is None or value == "":
        return None
    if type(value) is str and len(value) <= _LONGEST_TERM:
        return clean(value)
    if type(value) is int and -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        return str(value)
    payload[key] = value
    return None


def take_key(payload: dict[str, Any], key: str, course: str, kind: str) -> str:
    """Take a usage key out of a payload and write it out in full; what is none stays in it."""
    value = payload.pop(key, None)
    if type(value) is str:
        found = usage_key(value, course, kind)
        if found:
            return found
    if value:
        payload[key] = value
    return ""


def of_module(module: object) -> str:
    """Return the usage key in the ``context.module`` of an event, or ""."""
    if isinstance(module, dict):
        value = module.get("usage_key")
        if type(value) is str:
            return usage_key(value, "", "")
    return ""


@lru_cache(maxsize=65536)
def usage_key(written: str, course: str, kind: str) -> str:
    """Write a usage key out in full; a bare id is taken for a block of ``kind`` of the course. What is none gives "".

    Events write ``block-v1:`` keys, ``i4x://`` keys, these with dashes or with ``;_`` for slashes, and bare ids.
    """
    key = unquote(written) if "%" in written else written
    key = key.strip()
    if not key or len(key) > _LONGEST_KEY:
        return ""
    if key.startswith("i4x:;_"):
        key = key.replace(";_", "/").replace(";;", ";")
    if key.startswith(_WRITTEN_OUT):
        return key if len(key.split(None, 1)) == 1 else ""
    if key.startswith("i4x-"):
        return _with_slashes(key, course)
    return _of_course(key, course, kind) if kind and _BARE.fullmatch(key) else ""


def plain(markup: str, longest: int) -> str:
    """Return the text of a piece of HTML, of at most so many characters."""
    # What a course says to an answer comes back with each learner who gives it.
    return (_remembered_plain if len(markup) <= _LONGEST_REMEMBERED else _plain)(markup, longest)


def prune(value: Any, depth: int = 3) -> Any:
    """Return a nested value without what says nothing: None, empty texts, lists and objects; None if that is all."""
    if depth and isinstance(value, dict):
        kept = {key: left for key, part in value.items() if (left := prune(part, depth - 1)) is not None}
        return kept or None
    return None if value is None or value in ("", [], {}) else value


def _plain(markup: str, longest: int) -> str:
    # Ten times as much markup as text is plenty, and bounds the work.
    found = _TAG.sub(" ", markup[: longest * 10]) if "<" in markup else markup[: longest * 10]
    if "&" in found:
        found = html.unescape(found)
    return " ".join(found.split())[:longest]


_remembered_plain: Final = lru_cache(maxsize=4096)(_plain)


def _with_slashes(dashed: str, course: str) -> str:
    """``i4x-org-course-type-id``: dots of organization and course became ``_``, so the course tells what they were."""
    parts = course.split("/")
    if len(parts) == 3:
        head = f"i4x-{parts[0]}-{parts[1]}-".replace(".", "_")
        kind, dash, name = dashed[len(head) :].partition("-")
        if dashed.startswith(head) and dash and name:
            return f"i4x://{parts[0]}/{parts[1]}/{kind}/{name}"
    pieces = dashed.split("-", 4)
    return "i4x://" + "/".join(pieces[1:]) if len(pieces) == 5 and all(pieces) else ""


def _of_course(bare: str, course: str, kind: str) -> str:
    for of_course, of_block in _BLOCKS:
        if course.startswith(of_course):
            return f"{of_block}{course[len(of_course) :]}+type@{kind}+block@{bare}"
    parts = course.split("/")
    return f"i4x://{parts[0]}/{parts[1]}/{kind}/{bare}" if len(parts) == 3 and all(parts) else ""
