"""Completion vectors: one learner's completions of one course, packed.

A vector knows leaves by their numbers, which a course hands out once and never again, so it survives every edit of the
course. Layout, little-endian, version 1::

    version u8 | width of a number in bytes u8 (2 or 4) | bytes of bitmap u32 | others u32 | crc32 of all else u32
    bitmap: bit n set, leaf n has exactly 1.0 (trailing zero bytes left out)
    others: leaf numbers, ascending, then as many doubles; 0.0 is written too, absence is not

Every double survives exactly. Anything else than what ``pack`` writes is refused on reading.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.exceptions import DamagedVector

VERSION: Final = 1
_HEADER: Final = struct.Struct("<BBIII")
_NARROW: Final = 1 << 16

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Read:
    """Many vectors, read. ``bitmaps``: uint8 (vectors, bytes), as in the layout, padded with zeros.

    ``rows``, ``columns``, ``values``: the other completions, by vector. ``damaged``: vectors that could not be read;
    they are empty here.
    """

    bitmaps: NDArray[np.uint8]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    values: Floats
    damaged: tuple[int, ...] = ()

    def at(self, rows: NDArray[np.intp], numbers: NDArray[np.intp]) -> Floats:
        """Return the completion of each of these vectors at the leaf number beside, NaN where there is none."""
        found = np.where(self.bitmaps[rows, numbers >> 3] >> (numbers & 7) & 1, 1.0, np.nan)
        width = self.bitmaps.shape[1] << 3
        others, wanted = self.rows * width + self.columns, rows * width + numbers
        at = np.searchsorted(others, wanted)
        known = np.flatnonzero(at < len(others))
        known = known[others[at[known]] == wanted[known]]
        found[known] = self.values[at[known]]
        return found

    def ranges(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the places of the others of each of these vectors, and how many each has."""
        bounds = np.searchsorted(self.rows, np.arange(len(self.bitmaps) + 1))
        lengths = np.diff(bounds)[rows]
        return _ranges(bounds[:-1][rows], lengths), lengths

    def unpacked(self) -> "Unpacked":
        """Return the same with a byte for each leaf number."""
        bits = np.unpackbits(self.bitmaps, axis=1, bitorder="little")
        return Unpacked(bits, self.rows, self.columns, self.values, self.damaged)


@dataclass(frozen=True, eq=False)
class Unpacked:
    """Many vectors, read. ``bits``: uint8 (vectors, leaf numbers), 1 where the completion is exactly 1.0.

    ``rows``, ``columns``, ``values``: the other completions, by vector. ``damaged``: vectors that could not be read;
    they are empty here.
    """

    bits: NDArray[np.uint8]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    values: Floats
    damaged: tuple[int, ...] = ()

    def dense(self, numbers: NDArray[np.intp], *, absent: float = 0.0) -> Floats:
        """Return completions of shape (leaf numbers asked for, vectors), *absent* where there is none."""
        known = numbers < self.bits.shape[1]
        ones = np.zeros((len(numbers), len(self.bits)), dtype=np.bool_)
        ones[known] = self.bits.T[numbers[known]]
        dense = np.where(ones, 1.0, absent)
        position = np.full(int(max(numbers.max(initial=-1), self.columns.max(initial=-1))) + 1, -1, dtype=np.intp)
        position[numbers] = np.arange(len(numbers))
        asked = position[self.columns] >= 0
        dense[position[self.columns[asked]], self.rows[asked]] = self.values[asked]
        return dense

    def sparse(self) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Return the completions of exactly 1.0 and the others as (bounds, leaf numbers, values) of a CSR matrix.

        The leaf numbers of vector ``n`` stand at ``bounds[n]:bounds[n + 1]``: first those with 1.0, then the others.
        """
        ones = self.bits.view(np.bool_)
        full = np.count_nonzero(ones, axis=1)
        rest = np.bincount(self.rows, minlength=len(ones))
        bounds = np.concatenate([[0], np.cumsum(full + rest)])
        numbers = np.empty(int(bounds[-1]), dtype=np.intp)
        values = np.ones(len(numbers))
        flat = np.flatnonzero(ones)
        starts = np.arange(len(ones)) * ones.shape[1]
        at_others = _ranges(bounds[:-1] + full, rest)
        if len(at_others):
            at_ones = np.ones(len(numbers), dtype=np.bool_)
            at_ones[at_others] = False
            numbers[at_ones] = flat - np.repeat(starts, full)
        else:
            numbers[:] = flat - np.repeat(starts, full)
        numbers[at_others], values[at_others] = self.columns, self.values
        return bounds, numbers, values


def pack(values: Floats) -> list[bytes]:
    """Return the vectors of *values*, shape (learners, leaf numbers), NaN where there is no completion."""
    ones = values == 1.0
    learners, numbers = np.nonzero(~np.isnan(values) & ~ones)
    return pack_read(Read(np.packbits(ones, axis=1, bitorder="little"), learners, numbers, values[learners, numbers]))


def pack_read(read: Read) -> list[bytes]:
    """Return the vectors of *read*, whose others are by vector and ascend by leaf number."""
    bitmaps, numbers, others = read.bitmaps, read.columns, read.values.astype("<f8")
    lengths = np.where(bitmaps != 0, np.arange(1, bitmaps.shape[1] + 1), 0).max(axis=1, initial=0).tolist()
    bounds = np.searchsorted(read.rows, np.arange(len(bitmaps) + 1)).tolist()
    return [
        _packed(bitmaps[row, : lengths[row]].tobytes(), numbers[start:stop], others[start:stop])
        for row, (start, stop) in enumerate(pairwise(bounds))
    ]


def unpack(vectors: Sequence[bytes]) -> Unpacked:
    """Read *vectors*; those that are damaged come back empty and named."""
    return read(vectors).unpacked()


def read(vectors: Sequence[bytes], *, width: int = 0) -> Read:
    """Read *vectors*, bitmaps as they are: at least *width* bytes wide."""
    parts = [_parts(each) for each in vectors]
    sound = [(row, *part) for row, part in enumerate(parts) if part is not None]
    width = max([width, *(len(bitmap) for _, bitmap, _, _ in sound)])
    padded = b"".join((part[0] if part else b"").ljust(width, b"\0") for part in parts)
    return Read(
        bitmaps=np.frombuffer(padded, dtype=np.uint8).reshape(len(vectors), width),
        rows=np.repeat(
            np.array([row for row, *_ in sound], dtype=np.intp),
            np.array([len(numbers) for _, _, numbers, _ in sound], dtype=np.intp),
        ),
        columns=np.concatenate([np.empty(0, dtype=np.intp), *(numbers for _, _, numbers, _ in sound)]),
        values=np.frombuffer(b"".join(values for *_, values in sound), dtype="<f8").astype(np.float64, copy=False),
        damaged=tuple(row for row, part in enumerate(parts) if part is None),
    )


def unpack_one(vector: bytes) -> Unpacked:
    """Read one vector. Raises DamagedVector."""
    unpacked = unpack([vector])
    if unpacked.damaged:
        raise DamagedVector(f"These {len(vector)} bytes are no completion vector.")
    return unpacked


def _packed(bitmap: bytes, numbers: NDArray[np.intp], values: NDArray[Any]) -> bytes:
    width = 2 if not len(numbers) or numbers[-1] < _NARROW else 4
    body = bitmap + numbers.astype(f"<u{width}").tobytes() + values.tobytes()
    fields = (VERSION, width, len(bitmap), len(numbers))
    return _HEADER.pack(*fields, _checksum(fields, body)) + body


def _checksum(fields: tuple[int, ...], body: bytes | memoryview) -> int:
    return crc32(body, crc32(struct.pack("<BBII", *fields)))


def _parts(vector: bytes) -> tuple[bytes, NDArray[Any], bytes] | None:
    """Return bitmap, numbers and values of a vector that is whole and ours; None of any other."""
    if len(vector) < _HEADER.size:
        return None
    version, width, bitmap, others, checksum = _HEADER.unpack_from(vector)
    numbers = _HEADER.size + bitmap
    values = numbers + others * width
    if version != VERSION or width not in (2, 4) or len(vector) != values + others * 8:
        return None
    if _checksum((version, width, bitmap, others), memoryview(vector)[_HEADER.size :]) != checksum:
        return None
    return vector[_HEADER.size : numbers], np.frombuffer(vector[numbers:values], dtype=f"<u{width}"), vector[values:]


def _ranges(starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numbers of every ``range(start, start + length)``, one after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    ranges: NDArray[np.intp] = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return ranges
