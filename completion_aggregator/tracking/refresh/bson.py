"""BSON, as ``mongodump`` writes a collection: documents one after the other, each no longer than it says and may be."""

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from completion_aggregator.tracking.dump.window import Window

#: MongoDB takes no document over 16 MB; its own dumps may add a little.
LARGEST: Final = 17 << 20
DEEPEST: Final = 110  # MongoDB takes 100 levels
_SMALLEST: Final = 5
_ARCHIVE: Final = b"\x6d\xe2\x99\x81"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INT32: Final = struct.Struct("<i")
_INT64: Final = struct.Struct("<q")
_DOUBLE: Final = struct.Struct("<d")

Document = dict[str, Any]


class BrokenDocument(ValueError):
    """These bytes are no document."""


def documents(window: Window) -> Iterator[Document | None]:
    """Yield the documents; None for one whose inside cannot be read. Raises DamagedDump where their sequence ends."""
    while _at_hand(window, 4):
        if window.data.startswith(_ARCHIVE, window.place):
            raise window.damaged(
                "an archive of mongodump: dump without --archive, into a folder, and give contents.bson"
            )
        (length,) = _INT32.unpack_from(window.data, window.place)
        if not _SMALLEST <= length <= LARGEST:
            raise window.damaged(f"a document of {length:,} bytes: this is no collection dumped by mongodump")
        if not _at_hand(window, length):
            raise window.damaged("it ends in the middle of a document; was it copied whole?")
        data = window.data[window.place : window.place + length]
        window.place += length
        try:
            yield decode(data)
        except BrokenDocument:
            yield None
    if window.rest:
        raise window.damaged("it ends in the middle of a document; was it copied whole?")


def decode(data: bytes) -> Document:
    """Return the document in *data*, all of it. Raises BrokenDocument.

    Ids and other types of MongoDB's own come as text or bytes; times as aware moments, None beyond what Python holds.
    """
    try:
        document, end = _document(data, 0, 0)
    except (struct.error, IndexError, UnicodeDecodeError, KeyError) as error:
        raise BrokenDocument(str(error)) from error
    if end != len(data):
        raise BrokenDocument("bytes are left over")
    return document


def _at_hand(window: Window, size: int) -> bool:
    while window.rest < size:
        if not window.fill():
            return False
    return True


def _document(data: bytes, place: int, depth: int) -> tuple[Document, int]:
    (length,) = _INT32.unpack_from(data, place)
    end = place + length
    if depth > DEEPEST or length < _SMALLEST or end > len(data) or data[end - 1]:
        raise BrokenDocument("a document that does not end where it says, or is nested without end")
    found: Document = {}
    place += 4
    while place < end - 1:
        kind = data[place]
        name, place = _name(data, place + 1)
        found[name], place = _value(data, place, kind, depth)
    if place != end - 1:
        raise BrokenDocument("a value beyond the end of its document")
    return found, end


def _value(data: bytes, place: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (0x03, 0x04):
        document, end = _document(data, place, depth + 1)
        return (document if kind == 0x03 else list(document.values())), end
    return _READ[kind](data, place)


def _name(data: bytes, place: int) -> tuple[str, int]:
    end = data.find(b"\0", place)
    if end < 0:
        raise BrokenDocument("a name without end")
    return data[place:end].decode("utf-8", "backslashreplace"), end + 1


def _text(data: bytes, place: int) -> tuple[str, int]:
    (length,) = _INT32.unpack_from(data, place)
    start, end = place + 4, place + 4 + length
    if length < 1 or end > len(data) or data[end - 1]:
        raise BrokenDocument("a text that does not end where it says")
    return data[start : end - 1].decode("utf-8", "backslashreplace"), end


def _binary(data: bytes, place: int) -> tuple[bytes, int]:
    (length,) = _INT32.unpack_from(data, place)
    return _bytes(data, place + 5, length)


def _bytes(data: bytes, place: int, length: int) -> tuple[bytes, int]:
    if length < 0 or place + length > len(data):
        raise BrokenDocument("a value beyond the end")
    return data[place : place + length], place + length


def _object_id(data: bytes, place: int) -> tuple[str, int]:
    found, end = _bytes(data, place, 12)
    return found.hex(), end


def _moment(data: bytes, place: int) -> tuple[datetime | None, int]:
    (milliseconds,) = _INT64.unpack_from(data, place)
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds), place + 8
    except OverflowError:
        return None, place + 8


def _pattern(data: bytes, place: int) -> tuple[str, int]:
    pattern, place = _name(data, place)
    _, place = _name(data, place)
    return pattern, place


def _pointer(data: bytes, place: int) -> tuple[str, int]:
    _, place = _text(data, place)
    return _object_id(data, place)


def _scoped_code(data: bytes, place: int) -> tuple[bytes, int]:
    (length,) = _INT32.unpack_from(data, place)
    return _bytes(data, place, max(length, 4))


def _nothing(_: bytes, place: int) -> tuple[None, int]:
    return None, place


def _plain(shape: struct.Struct) -> Callable[[bytes, int], tuple[Any, int]]:
    return lambda data, place: (shape.unpack_from(data, place)[0], place + shape.size)


_READ: Final[dict[int, Callable[[bytes, int], tuple[Any, int]]]] = {
    0x01: _plain(_DOUBLE),
    0x02: _text,
    0x05: _binary,
    0x06: _nothing,
    0x07: _object_id,
    0x08: lambda data, place: (bool(data[place]), place + 1),
    0x09: _moment,
    0x0A: _nothing,
    0x0B: _pattern,
    0x0C: _pointer,
    0x0D: _text,
    0x0E: _text,
    0x0F: _scoped_code,
    0x10: _plain(_INT32),
    0x11: _plain(_INT64),
    0x12: _plain(_INT64),
    0x13: lambda data, place: _bytes(data, place, 16),
    0x7F: _nothing,
    0xFF: _nothing,
}
