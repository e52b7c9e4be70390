"""The part of a dump that is at hand: files of any size, read in pieces."""

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

from isal import igzip
from isal.igzip_lib import IsalError

from completion_aggregator.tracking.dump.errors import DamagedDump

PIECE: Final = 1 << 20
#: A statement's row cannot be longer: no server takes a larger packet.
LARGEST: Final = 1 << 30

_PACKED: Any = IsalError  # its types say an instance
_BROKEN: Final = (EOFError, OSError, zlib.error, lzma.LZMAError, _PACKED)
_MAGIC: Final[dict[bytes, Callable[..., Any]]] = {b"\x1f\x8b": igzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_OTHERS: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"PGDMP": "pg_dump's own format"}


@contextmanager
def open_dump(dump: Path) -> Iterator["Window"]:
    """Open a dump, unpacked if it is packed by gzip, bzip2 or xz; ``-`` is standard input. Raises DamagedDump."""
    if str(dump) == "-":
        yield Window(sys.stdin.buffer, "standard input")
        return
    try:
        with dump.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DamagedDump(f"{dump} cannot be read: {error.strerror or error}") from error
    for magic, name in _OTHERS.items():
        if start.startswith(magic):
            raise DamagedDump(f"{dump} is packed by {name}: unpack it first, or make one with mysqldump")
    opened: Callable[..., Any] = next((way for magic, way in _MAGIC.items() if start.startswith(magic)), open)
    with cast(IO[bytes], opened(dump, "rb")) as stream:
        yield Window(stream, str(dump))


class Window:
    """Bytes of a stream: those of ``data`` from ``place`` on are still to be read."""

    __slots__ = ("_before", "_stream", "data", "name", "place")

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.name = name
        self.data = b""
        self.place = 0
        self._stream = stream
        self._before = 0

    @property
    def rest(self) -> int:
        """Return how many bytes are at hand."""
        return len(self.data) - self.place

    def fill(self) -> bool:
        """Bring in as much again as is at hand, at least a piece; False at the end. What was read is let go."""
        if self.rest > LARGEST:
            raise self.damaged("a statement has a value without end")
        try:
            more = self._stream.read(max(PIECE, self.rest))
        except _BROKEN as error:
            raise self.damaged(f"what follows cannot be read ({error}); was it copied whole?") from error
        self._before += self.place
        self.data = self.data[self.place :] + more
        self.place = 0
        return bool(more)

    def damaged(self, what: str) -> DamagedDump:
        """Return the error that says what is wrong here."""
        return DamagedDump(f"{self.name}, byte {self._before + self.place:,}: {what}")


def open_packed(path: Path) -> IO[bytes]:
    """Open a file to write what is packed quickly rather than well."""
    return cast(
        IO[bytes],
        igzip.open(  # type: ignore[no-untyped-call]  # has none
            path, "wb", compresslevel=1
        ),
    )


def open_written(path: Path, *, packed: bool) -> IO[bytes]:
    """Open a new file to write; raises FileExistsError."""
    return cast(IO[bytes], gzip.open(path, "xb", compresslevel=6)) if packed else path.open("xb")
