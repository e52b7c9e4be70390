"""BSON as a writer that knows little more than its rules makes it."""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ObjectId:
    """Twelve bytes that stand for a document."""

    data: bytes


def encode(document: dict[str, Any]) -> bytes:
    """Return the document as bytes."""
    inner = b"".join(_element(name, value) for name, value in document.items())
    return struct.pack("<i", len(inner) + 5) + inner + b"\0"


def _element(name: str, value: Any) -> bytes:
    kind, data = _value(value)
    return bytes([kind]) + name.encode() + b"\0" + data


def _value(value: Any) -> tuple[int, bytes]:
    if isinstance(value, str):
        data = value.encode() + b"\0"
        return 0x02, struct.pack("<i", len(data)) + data
    if isinstance(value, list):
        return 0x04, encode({str(place): each for place, each in enumerate(value)})
    if isinstance(value, dict):
        return 0x03, encode(value)
    return _scalar(value)


def _scalar(value: Any) -> tuple[int, bytes]:
    kinds: dict[type, tuple[int, Any]] = {
        type(None): (0x0A, lambda _: b""),
        bool: (0x08, lambda each: bytes([each])),
        int: (0x12, struct.Struct("<q").pack),
        float: (0x01, struct.Struct("<d").pack),
        bytes: (0x05, lambda each: struct.pack("<i", len(each)) + b"\0" + each),
        ObjectId: (0x07, lambda each: each.data),
        datetime: (0x09, lambda each: struct.pack("<q", (each - EPOCH) // timedelta(milliseconds=1))),
    }
    if isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31:
        return 0x10, struct.pack("<i", value)
    kind, write = kinds[type(value)]
    return kind, write(value)
