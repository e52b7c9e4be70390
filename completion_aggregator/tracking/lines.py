"""The ladder for damaged lines: each rung holds what the one above let fall; what none holds goes to quarantine.

1. The line is one JSON object. 2. From its first ``{``: what stands before it is the prefix of a log, or padding.
3. Undecodable bytes and halves of surrogate pairs are replaced, ``NaN`` and ``Infinity`` are taken, and fields of any
type.
4. Several objects on one line are several events. 5. Of an object that is cut, the whole leading fields are kept, and
an event that stands behind them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from completion_aggregator.tracking import envelope
from completion_aggregator.tracking.envelope import Line

LONGEST_LINE: Final = 64 * 2**20

_LENIENT: Final = json.JSONDecoder(strict=False)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PREFIX_TIME: Final = re.compile(rb"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[,.](\d{1,6}))?")
_SPACE: Final = b" \t\r\n\0"
_OBJECT: Final = re.compile(r'\{\s*"')
#: Why a whole object is no event.
NO_NAME: Final = "no name"
#: Objects that are looked at behind the beginning of one that is cut, and levels of nesting that are kept.
_MOST_TRIES: Final = 64
_DEEPEST: Final = 100


class NoEvent(Exception):
    """No rung holds the line; the message is the reason that quarantine gives."""


@dataclass(frozen=True, slots=True)
class Found:
    """An event in a damaged line: the bytes that are its object, how it was reached, and the time in the prefix.

    Without ``is_event`` it is a whole object that stands beside events and has no name.
    """

    data: bytes
    line: Line
    repair: str
    prefix_time: datetime | None = None
    is_event: bool = True


def climb(line: bytes) -> list[Found]:
    """Return the events of a line that is no object as it stands. Raises NoEvent."""
    start = line.find(b"{")
    if start < 0:
        raise NoEvent("no object")
    body = line[start:].rstrip(_SPACE)
    moment = _moment(line[:start])
    try:
        return [Found(body, _named(envelope.decode(body)), "prefix", moment)]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return list(_lenient(body, moment))


def _named(line: Line) -> Line:
    if not (line.name or line.event_type):
        raise NoEvent(NO_NAME)
    return line


def _lenient(body: bytes, moment: datetime | None) -> Iterator[Found]:
    # Latin-1 has a character for each byte: the structure is ASCII, and where it ends is where the bytes end.
    plain = body.decode("latin-1")
    start, found, reason = 0, 0, ""
    while start >= 0:
        fields, end, following = _object_at(plain, body, start)
        if not _has_name(fields):
            reason = reason or (NO_NAME if end else "no event in it" if start else "cut before its name")
            if end:
                yield Found(body[start:end], Line(), NO_NAME, moment, is_event=False)
        else:
            repair = "cut" if not end else "several" if following >= 0 or found else "prefix" if start else "lenient"
            found += 1
            data = body[start : end or (following if following >= 0 else len(body))]
            yield Found(data, envelope.loose(fields), repair, moment)
        start = following
    if not found:
        raise NoEvent(reason)


def _object_at(plain: str, body: bytes, start: int) -> tuple[dict[str, Any], int, int]:
    """Return an object, where it ends, or 0 where it is cut, and where the next one begins, or -1."""
    try:
        found, end = _LENIENT.raw_decode(plain, start)
        fields = whole(found) if plain.isascii() else _object(body[start:end])
        return fields, end, plain.find("{", end)
    except (ValueError, RecursionError):
        # What was written on after a crash stands on the line that the crash cut.
        following = _next_event(plain, start + 1)
        return _leading_fields(body[start : following if following >= 0 else len(body)]), 0, following


def _next_event(plain: str, position: int) -> int:
    """Return where the next whole event begins, inside of what is none; -1: there is none."""
    for _ in range(_MOST_TRIES):
        found = _OBJECT.search(plain, position)
        if not found:
            break
        try:
            fields, position = _LENIENT.raw_decode(plain, found.start())
        except (ValueError, RecursionError):
            position = found.start() + 1
            continue
        # A payload may have a name; these stand beside the name of an event only.
        if _has_name(fields) and not fields.keys().isdisjoint(("context", "time", "timestamp")):
            return found.start()
    return -1


def _has_name(fields: dict[str, Any]) -> bool:
    return any(isinstance(fields.get(key), str) and fields[key] for key in ("name", "event_type"))


def _object(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = whole(_LENIENT.decode(data.decode("utf-8", "replace")))
    return found


def _leading_fields(data: bytes) -> dict[str, Any]:
    fields = leading_fields(data.decode("utf-8", "replace"))
    found: dict[str, Any] = whole(fields)
    return found


def leading_fields(text: str) -> dict[str, Any]:
    """Return the whole leading fields of the JSON object that *text* begins with, however it goes on."""
    fields: dict[str, Any] = {}
    position = 1
    try:
        while True:
            position = _after_space(text, position)
            key, position = _LENIENT.raw_decode(text, position)
            position = _after_space(text, position)
            if not isinstance(key, str) or text[position] != ":":
                return fields
            value, position = _LENIENT.raw_decode(text, _after_space(text, position + 1))
            position = _after_space(text, position)
            # A number that ends where the text ends may have had more digits.
            if text[position] not in ",}":
                return fields
            fields[key] = value
            if text[position] == "}":
                return fields
            position += 1
    except (ValueError, IndexError, RecursionError):
        return fields


def _after_space(text: str, position: int) -> int:
    while text[position] in " \t\r\n":
        position += 1
    return position


def whole(value: Any, depth: int = _DEEPEST) -> Any:
    """Return the decoded *value* with halves of surrogate pairs replaced: no table takes them, nor what is deeper."""
    if isinstance(value, str):
        return value if value.isascii() or not _SURROGATE.search(value) else _SURROGATE.sub("\ufffd", value)
    if not depth and isinstance(value, dict | list):
        return None
    if isinstance(value, dict):
        return {whole(key): whole(each, depth - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [whole(each, depth - 1) for each in value]
    return value


def _moment(prefix: bytes) -> datetime | None:
    """Return the time that the prefix of a container's log states; its clock is taken for UTC."""
    found = _PREFIX_TIME.search(prefix)
    if not found:
        return None
    try:
        moment = datetime.fromisoformat(f"{found[1].decode()}T{found[2].decode()}")
    except ValueError:
        return None
    fraction = (found[3] or b"0").decode().ljust(6, "0")
    return moment.replace(microsecond=int(fraction), tzinfo=UTC)
