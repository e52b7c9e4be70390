"""The content of a file: unpacked, hashed, and in lines; its name, its place and gzip do not count.

A gzip file may have several members, padding and trash behind them, or be cut: what can be unpacked is taken, and what
was wrong is said.
"""

import hashlib
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, Final

from isal import isal_zlib

from completion_aggregator.tracking.errors import Unreadable
from completion_aggregator.tracking.lines import LONGEST_LINE

BLOCK: Final = 4 * 2**20
_PACKED_BLOCK: Final = 2**20
_MAGIC: Final = b"\x1f\x8b\x08"
#: How files begin whose packing is not ours to undo.
_OTHERS: Final = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_BadGzip: type[Exception] = isal_zlib.error  # type: ignore[assignment] # its stubs take the class for an instance
_GZIP: Final = 31  # window bits: expect gzip's header
#: The head of a content: its first bytes up to the end of the first line, which stay as they are while a log grows.
_LONGEST_HEAD: Final = 2**16
_BEGIN: Final = 4096
#: So much of what stands before the first line that is read is looked at: more than a line that the platform writes.
_NEIGHBOURS: Final = 2**18


class Content:
    """The plain bytes of a file, read once from the start.

    ``damage`` says what was wrong with its packing, ``packed_bytes`` how many were read from the file itself. Whatever
    reads raises Unreadable where the file cannot be read on, or is packed otherwise.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.damage = ""
        self.is_packed = False
        self.packed_bytes = self._reported = 0

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of plain bytes."""
        first = self._more()
        for magic, name in _OTHERS.items():
            if first.startswith(magic):
                raise Unreadable(f"packed with {name}: unpack it, or pack it with gzip")
        self.is_packed = first.startswith(_MAGIC)
        yield from self._unpacked(first) if self.is_packed else self._plain(first)

    def packed_blocks(self) -> Iterator[bytes]:
        """Yield the bytes of the file as they are."""
        yield from self._plain(self._more())

    def _plain(self, block: bytes) -> Iterator[bytes]:
        while block:
            yield block
            block = self._more()

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        begin, length, member = self.packed_bytes - len(data), 0, isal_zlib.decompressobj(_GZIP)
        while data:
            try:
                plain = member.decompress(data, BLOCK)
            except _BadGzip as error:
                self.damage = f"gzip: {error}"
                if plain := self._salvaged(begin, self.packed_bytes - len(data), length):
                    yield plain
                data = self._next_member(data[1:])
                begin, length, member = self.packed_bytes - len(data), 0, isal_zlib.decompressobj(_GZIP)
                continue
            length += len(plain)
            if plain:
                yield plain
            if member.eof:
                data = self._behind(member.unused_data)
                begin, length, member = self.packed_bytes - len(data), 0, isal_zlib.decompressobj(_GZIP)
            else:
                data = member.unconsumed_tail or self._more()
                if not data:
                    self.damage = self.damage or "gzip: cut"

    def _salvaged(self, begin: int, end: int, length: int) -> bytes:
        """Return what a call unpacked before it failed, and lost: the member is unpacked again, from *end* on by bytes.

        The member begins at *begin* of the file; *length* of its plain bytes were handed out before.
        """
        member, salvaged = isal_zlib.decompressobj(_GZIP), bytearray()
        self._stream.seek(begin)
        try:
            while data := self._read(max(1, min(_PACKED_BLOCK, end - begin))):
                begin += len(data)
                while data:
                    plain = member.decompress(data, BLOCK)
                    salvaged += plain[length:]
                    length = max(0, length - len(plain))
                    data = member.unconsumed_tail
        except _BadGzip:
            self._stream.seek(self.packed_bytes)
        return bytes(salvaged)

    def _behind(self, data: bytes) -> bytes:
        """Return what follows a member: another one, after padding of zeros, or nothing."""
        data = data.lstrip(b"\0") or self._more()
        while data and not data.strip(b"\0"):
            data = self._more()
        data = data.lstrip(b"\0")
        while 0 < len(data) < len(_MAGIC) and (more := self._more()):
            data += more
        if data and not data.startswith(_MAGIC):
            self.damage = "gzip: trash behind it"
            return self._next_member(data)
        return data

    def _next_member(self, data: bytes) -> bytes:
        """Return what begins with the next member, wherever it is."""
        while data:
            found = data.find(_MAGIC)
            if found >= 0:
                return data[found:]
            more = self._more()
            data = data[-2:] + more if more else b""
        return b""

    def _more(self) -> bytes:
        data = self._read(_PACKED_BLOCK)
        self.packed_bytes += len(data)
        return data

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, EOFError) as error:
            raise Unreadable(getattr(error, "strerror", None) or str(error)) from error

    def advanced(self) -> int:
        """Return how many bytes of the file were read since this was last asked."""
        advanced, self._reported = self.packed_bytes - self._reported, self.packed_bytes
        return advanced


def head_of(content: Content) -> bytes:
    """Return the SHA-256 of the first line of a content, of which the first member of a gzip file may be a part."""
    begin = b""
    for block in content.blocks():
        begin += block[:_LONGEST_HEAD]
        if b"\n" in block or len(begin) >= _LONGEST_HEAD:
            break
    end = begin.find(b"\n", 0, _LONGEST_HEAD)
    return hashlib.sha256(begin[: end if end >= 0 else _LONGEST_HEAD]).digest()


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line that is too long to be taken: its first bytes, and how many there are."""

    begin: bytes
    length: int


class Lines:
    """The whole lines of a content, in lists, without their ends.

    ``length`` bytes were handed out or skipped so far, ``rest`` is the line without an end behind them.
    """

    def __init__(self, content: Content, *, longest: int = LONGEST_LINE) -> None:
        self._blocks = content.blocks()
        self._longest = longest
        self._hash = hashlib.sha256()
        self.length = 0
        self.rest = b""

    def skip(self, start: int) -> list[bytes]:
        """Go on to *start*, and return the last lines before it."""
        before = b""
        while self.length < start and (block := next(self._blocks, b"")):
            skipped = min(len(block), start - self.length)
            self._count(block, skipped)
            before = (before + block[:skipped])[-_NEIGHBOURS:]
            self._blocks = chain([block[skipped:]], self._blocks) if skipped < len(block) else self._blocks
        return before.split(b"\n")

    def digest(self) -> bytes:
        """Return the SHA-256 of the first ``length`` bytes."""
        return self._hash.digest()

    def take_rest(self) -> bytes:
        """Return the last line, which has no end, as one that was handed out."""
        rest, self.rest = self.rest, b""
        self._count(rest, len(rest))
        return rest

    def __iter__(self) -> Iterator[list[bytes] | TooLong]:
        """Yield the lines."""
        for block in self._blocks:
            data = self.rest + block if self.rest else block
            if len(data) > self._longest and data.find(b"\n", 0, self._longest + 1) < 0:
                self.rest = data
                yield self._too_long()
                data = self.rest
            lines = data.split(b"\n")
            self.rest = lines.pop()
            if lines:
                self._count(data, len(data) - len(self.rest))
                yield lines

    def _too_long(self) -> TooLong:
        """Go on to the line that follows the one in ``rest``."""
        begin, length = self.rest[:_BEGIN], 0
        block = self.rest
        while block:
            end = block.find(b"\n")
            used = len(block) if end < 0 else end + 1
            self._count(block, used)
            length += used if end < 0 else end
            self.rest = block[used:]
            if end >= 0:
                break
            block = next(self._blocks, b"")
        return TooLong(begin, length)

    def _count(self, data: bytes, length: int) -> None:
        self._hash.update(memoryview(data)[:length])
        self.length += length


def longest_prefix(content: Content, prefixes: AbstractSet[tuple[int, bytes]]) -> tuple[int, bytes] | None:
    """Return the longest of *prefixes* that the content has: a length, and the SHA-256 of so many bytes."""
    digest, position, found = hashlib.sha256(), 0, None
    wanted = sorted({length for length, _ in prefixes})
    for block in content.blocks():
        start = 0
        while wanted and wanted[0] <= position + len(block):
            stop = wanted.pop(0) - position
            digest.update(memoryview(block)[start:stop])
            start = stop
            prefix = position + stop, digest.digest()
            if prefix in prefixes:
                found = prefix
        if not wanted:
            break
        digest.update(memoryview(block)[start:])
        position += len(block)
    return found


def hashed(stream: BinaryIO) -> bytes:
    """Return the SHA-256 of a file as it is, packed or not. Raises Unreadable."""
    digest = hashlib.sha256()
    content = Content(stream)
    for block in content.packed_blocks():
        digest.update(block)
    return digest.digest()
