"""What is left of payloads: scrubbed for ``event.extra``, and its fields counted for the catalogue of drift."""

import re
from collections import Counter
from typing import Any, Final

import msgspec

from completion_aggregator.tracking import drift, scrub
from completion_aggregator.tracking.actors import User

#: Leftovers that are remembered with what became of them, and the bytes of the longest; and shapes.
_REMEMBERED: Final = 2**15
_SHORT: Final = 100
_MOST_SHAPES: Final = 2**11
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})

_LIKE_A_TIME: Final = re.compile(r"[0-9TZ:.,+/ -]{1,100}")

_decode_json: Final = msgspec.json.Decoder().decode
_encode_json: Final = msgspec.json.Encoder().encode


class _Shape:
    """What leftovers of a name have in common: keys and types. ``is_open``: all of it may stay if it is harmless."""

    __slots__ = ("count", "fields", "is_open", "name")

    def __init__(self, name: str, fields: tuple[tuple[str, str], ...], *, is_open: bool) -> None:
        self.name, self.fields, self.is_open, self.count = name, fields, is_open, 0


class _Met:
    """Leftovers that were met, and what became of them. ``low``: how they were written, in small letters."""

    __slots__ = ("extra", "is_plain", "low", "shape")

    def __init__(self, written: bytes, extra: str | None, shape: _Shape) -> None:
        self.extra, self.shape, self.low = extra, shape, written.lower()
        #: Names are written in one way only in it.
        self.is_plain = written.isascii() and b"%" not in written and b"\\" not in written

    def is_without(self, user: User) -> bool:
        """Tell whether the same becomes of them if they are this user's, since they cannot name her."""
        return user.low_bytes not in self.low and (self.is_plain or user.is_plain)


class Leftovers:
    """Keeps what may be kept, and counts what there is."""

    __slots__ = ("_met", "_shapes")

    def __init__(self) -> None:
        self._met: dict[tuple[str, bytes], _Met] = {}
        self._shapes: dict[Any, _Shape] = {}

    def fresh(self) -> None:
        """Begin to count anew."""
        if len(self._met) >= _REMEMBERED or len(self._shapes) >= _MOST_SHAPES:
            self._met.clear()
            self._shapes.clear()
        for shape in self._shapes.values():
            shape.count = 0

    @property
    def fields(self) -> Counter[tuple[str, str, str]]:
        """The fields that no column holds: name of the event, path and type to how often."""
        found: Counter[tuple[str, str, str]] = Counter()
        for shape in self._shapes.values():
            if shape.count:
                for path, kind in shape.fields:
                    found[shape.name, path, kind] += shape.count
        return found

    def kept(self, name: str, payload: dict[str, Any], user: User) -> str | None:
        """Return what is left of a payload as it may be kept: mostly it was met before, or has a known shape."""
        try:
            written = _encode_json(payload)
        except (ValueError, OverflowError, RecursionError):
            return self._whole(name, payload, user)[0]  # a number that JSON has and its fast writers do not
        met = self._met.get((name, written))
        if met is not None and met.is_without(user):
            met.shape.count += 1
            return met.extra
        extra, shape = self._told(name, payload, written, user)
        if len(written) <= _SHORT and met is None:
            met = _Met(written, extra, shape)
            if met.is_without(user):
                self._met[name, written] = met
        return extra

    def _told(self, name: str, payload: dict[str, Any], written: bytes, user: User) -> tuple[str | None, _Shape]:
        kinds = tuple(map(type, payload.values()))
        key = (name, tuple(payload), kinds)
        shape = self._shapes.get(key)
        if shape is None:
            if not _SCALARS.issuperset(kinds):
                return self._whole(name, payload, user)
            # Of what may be kept: the name of a field may be somebody's.
            fields = tuple(drift.fields(scrub.scrub(payload, username=user.name) or {}))
            shape = self._shapes[key] = _Shape(name, fields, is_open=scrub.is_open(payload))
        shape.count += 1
        if shape.is_open and (user.is_plain or written.isascii()) and scrub.is_harmless(written, user.low_bytes):
            return written.decode(), shape
        return _encoded(scrub.scrub(payload, username=user.name)), shape

    def _whole(self, name: str, payload: dict[str, Any], user: User) -> tuple[str | None, _Shape]:
        """Return the same of what has several levels, which is looked at as a whole each time."""
        kept = scrub.scrub(payload, username=user.name)
        fields = tuple(drift.fields(kept or {}))
        shape = self._shapes.get((name, fields))
        if shape is None:
            shape = self._shapes[name, fields] = _Shape(name, fields, is_open=False)
        shape.count += 1
        return _encoded(kept), shape


def with_time(extra: str | None, written: str) -> str:
    """Return *extra* with the time that was written in the line; of what looks like none but its length."""
    found = _decode_json(extra) if extra else {}
    told = written[:100] if _LIKE_A_TIME.fullmatch(written) else {"length": len(written)}
    return _encode_json(found | {"time": told}).decode()


def _encoded(kept: dict[str, Any] | None) -> str | None:
    return _encode_json(kept).decode() if kept else None
