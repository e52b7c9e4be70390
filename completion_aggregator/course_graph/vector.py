"""Completion vectors: one learner's completions of one course, packed.

A vector knows leaves by their numbers, which a course hands out once and never again, so it survives every edit of the
course. Layout, little-endian, version 2, and 3 with lengths of 32 bits instead of 16::

    version u8 | crc32 of all else u32 | bytes of bitmap u16 | bytes of gaps u16
    bitmap: bit n set, leaf n has exactly 1.0 (trailing zero bytes left out)
    gaps: of the others, ascending, how many leaf numbers lie before each; 255 stands for 255 of them and goes on
    codes: a byte for each of the others, in 240ths, as halves, thirds, quarters, fifths and tenths are; 255 for no such
    doubles: those for which there is no code; 0.0 is written too, absence is not

Every double survives exactly. What is cut or changed is refused on reading. Read, but no longer written, is version 1::

    version u8 | width of a number in bytes u8 (2 or 4) | bytes of bitmap u32 | others u32 | crc32 of all else u32
    bitmap | leaf numbers of the others, ascending | as many doubles
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.exceptions import DamagedVector

#: Versions with their headers: the first that has room for the lengths is written.
_HEADERS: Final = {2: struct.Struct("<BIHH"), 3: struct.Struct("<BIII")}
_ROOM: Final = 1 << 16
_HEADER_V1: Final = struct.Struct("<BBIII")
#: Where the checksum stands, of versions 2 and 3.
_CHECKED_FROM: Final = 5
_FAR: Final = 255
_PARTS: Final = 240
_NO_PART: Final = 255
_VALUES: Final = np.arange(256) / _PARTS

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

    def dense(
        self, numbers: NDArray[np.intp], *, absent: float = 0.0, vectors: NDArray[np.intp] | None = None
    ) -> Floats:
        """Return completions of shape (leaf numbers asked for, *vectors*, or all), *absent* where there is none.

        Nobody has a completion of -1, which stands for a leaf without a number.
        """
        bits, rows, columns, values = self.bits, self.rows, self.columns, self.values
        if vectors is not None:
            place = np.full(len(bits), -1, dtype=np.intp)
            place[vectors] = np.arange(len(vectors))
            chosen = place[rows] >= 0
            bits, rows, columns, values = bits[vectors], place[rows[chosen]], columns[chosen], values[chosen]
        known = np.flatnonzero((numbers >= 0) & (numbers < bits.shape[1]))
        ones = bits.T[numbers[known]]
        dense = np.full((len(numbers), len(bits)), absent)
        dense[known] = np.where(ones, 1.0, absent) if absent else ones
        position = np.full(int(max(numbers.max(initial=-1), columns.max(initial=-1))) + 2, -1, dtype=np.intp)
        position[numbers] = np.arange(len(numbers))
        position[-1] = -1
        asked = position[columns] >= 0
        dense[position[columns[asked]], rows[asked]] = values[asked]
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
    bitmaps, bounds = read.bitmaps, np.searchsorted(read.rows, np.arange(len(read.bitmaps) + 1))
    lengths = np.where(bitmaps != 0, np.arange(1, bitmaps.shape[1] + 1), 0).max(axis=1, initial=0).tolist()
    gaps, ends = _gaps(read.columns, bounds)
    codes, doubles = _codes(read.values)
    ends_of_gaps = np.concatenate([[0], ends])[bounds].tolist()
    ends_of_doubles = np.concatenate([[0], np.cumsum(codes == _NO_PART)])[bounds].tolist()
    several = zip(pairwise(ends_of_gaps), pairwise(bounds.tolist()), pairwise(ends_of_doubles), strict=True)
    return [
        _packed(
            bitmaps[row, : lengths[row]].tobytes(),
            gaps[slice(*of_gaps)].tobytes(), codes[slice(*of_codes)].tobytes(), doubles[slice(*of_doubles)].tobytes(),
        )
        for row, (of_gaps, of_codes, of_doubles) in enumerate(several)
    ]  # fmt: skip


def unpack(vectors: Sequence[bytes]) -> Unpacked:
    """Read *vectors*; those that are damaged come back empty and named."""
    return read(vectors).unpacked()


def read(vectors: Sequence[bytes], *, width: int = 0) -> Read:
    """Read *vectors*, bitmaps as they are: at least *width* bytes wide."""
    found = [_parts(each) for each in vectors]
    parts = [each or _NOTHING for each in found]
    width = max([width, *(len(each.bitmap) for each in parts)])
    padded = b"".join(each.bitmap.ljust(width, b"\0") for each in parts)
    others = np.array([len(each.codes) for each in parts], dtype=np.intp)
    values = _VALUES[codes := np.frombuffer(b"".join(each.codes for each in parts), dtype=np.uint8)]
    values[codes == _NO_PART] = np.frombuffer(b"".join(each.doubles for each in parts), dtype="<f8")
    return Read(
        bitmaps=np.frombuffer(padded, dtype=np.uint8).reshape(len(vectors), width),
        rows=np.repeat(np.arange(len(vectors)), others),
        columns=_numbers([each.gaps for each in parts], others),
        values=values,
        damaged=tuple(row for row, each in enumerate(found) if each is None),
    )


def unpack_one(vector: bytes) -> Unpacked:
    """Read one vector. Raises DamagedVector."""
    unpacked = unpack([vector])
    if unpacked.damaged:
        raise DamagedVector(f"These {len(vector)} bytes are no completion vector.")
    return unpacked


class _Parts(NamedTuple):
    """What a vector is made of, as in the layout."""

    bitmap: bytes
    gaps: bytes
    codes: bytes
    doubles: bytes


_NOTHING: Final = _Parts(b"", b"", b"", b"")


def _packed(*parts: bytes) -> bytes:
    bitmap, gaps = len(parts[0]), len(parts[1])
    version = 2 if max(bitmap, gaps) < _ROOM else 3
    body, header = b"".join(parts), _HEADERS[version]
    checksum = crc32(body, crc32(header.pack(version, 0, bitmap, gaps)))
    return header.pack(version, checksum, bitmap, gaps) + body


def _parts(vector: bytes) -> _Parts | None:
    """Return the parts of a vector that is whole and ours; None of any other."""
    header = _HEADERS.get(vector[0]) if vector else None
    if header is None:
        return _parts_v1(vector)
    if len(vector) < header.size:
        return None
    version, checksum, bitmap, gaps = header.unpack_from(vector)
    at_gaps = header.size + bitmap
    at_codes = at_gaps + gaps
    at_doubles = at_codes + gaps - vector.count(_FAR, at_gaps, at_codes)
    if len(vector) != at_doubles + 8 * vector.count(_NO_PART, at_codes, at_doubles):
        return None
    if crc32(memoryview(vector)[header.size :], crc32(header.pack(version, 0, bitmap, gaps))) != checksum:
        return None
    return _Parts(
        vector[header.size : at_gaps], vector[at_gaps:at_codes], vector[at_codes:at_doubles], vector[at_doubles:]
    )


def _parts_v1(vector: bytes) -> _Parts | None:
    """Return the same of a vector of version 1."""
    if len(vector) < _HEADER_V1.size:
        return None
    version, width, bitmap, others, checksum = _HEADER_V1.unpack_from(vector)
    at_numbers = _HEADER_V1.size + bitmap
    at_values = at_numbers + others * width
    if version != 1 or width not in (2, 4) or len(vector) != at_values + others * 8:
        return None
    if crc32(memoryview(vector)[_HEADER_V1.size :], crc32(vector[:10])) != checksum:
        return None
    numbers = np.frombuffer(vector[at_numbers:at_values], dtype=f"<u{width}").astype(np.intp)
    gaps, _ = _gaps(numbers, np.array([0, others]))
    codes, doubles = _codes(np.frombuffer(vector[at_values:], dtype="<f8"))
    return _Parts(vector[_HEADER_V1.size : at_numbers], gaps.tobytes(), codes.tobytes(), doubles.tobytes())


def _gaps(numbers: NDArray[np.intp], bounds: NDArray[np.intp]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Return the gaps before leaf numbers, and where each ends; the numbers of vector n are bounds[n]:bounds[n + 1]."""
    before = np.concatenate([[-1], numbers[:-1]])[: len(numbers)]
    before[bounds[:-1][bounds[:-1] < len(numbers)]] = -1
    far, near = np.divmod(numbers - before - 1, _FAR)
    ends = np.cumsum(far + 1)
    gaps = np.full(int(ends[-1]) if len(ends) else 0, _FAR, dtype=np.uint8)
    gaps[ends - 1] = near
    return gaps, ends


def _numbers(gaps: Sequence[bytes], others: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the leaf numbers that these gaps stand for; *others*: how many of each vector."""
    read = np.frombuffer(b"".join(gaps), dtype=np.uint8)
    near = read != _FAR
    reached = np.concatenate([[0], np.cumsum(read + near, dtype=np.intp)])
    starts = np.cumsum([0, *map(len, gaps)])[:-1]
    numbers: NDArray[np.intp] = reached[1:][near] - np.repeat(reached[starts], others) - 1
    return numbers


def _codes(values: Floats) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return the codes of *values*, and the doubles of those that are no whole parts, bit for bit."""
    parts = np.rint(np.clip(values, 0, 1) * _PARTS).astype(np.uint8)
    exact = _VALUES[parts].view(np.int64) == np.ascontiguousarray(values).view(np.int64)
    return np.where(exact, parts, _NO_PART).astype(np.uint8), values[~exact].astype("<f8")


def _ranges(starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numbers of every ``range(start, start + length)``, one after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    ranges: NDArray[np.intp] = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return ranges
