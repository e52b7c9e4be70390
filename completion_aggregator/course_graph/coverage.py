"""Which leaves count below each aggregator of a view, as bitmaps: completions are added up by counting bits.

That is the sum that ``rollup`` makes, bit for bit, as long as sums are exact in any order: those of ones and zeros are,
and of other doubles with few binary digits (``exact``), as halves and quarters.
"""

from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.course_graph.rollup import Floats, View
from completion_aggregator.course_graph.vector import Read

#: Bytes of bitmaps for one view; a course that takes more is added up otherwise.
MOST_BYTES: Final = 16_000_000
#: Completions are counted in these parts: a course of 2 ** 32 leaves has an exact sum of them.
_PARTS: Final = float(2**20)
_BYTE: Final = 8
_ONES: Final = np.array([each.bit_count() for each in range(256)], dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Coverage:
    """``below``: uint8 (aggregators of the view, bytes), bit n set: leaf n counts below. ``optional``: bytes alone."""

    below: NDArray[np.uint8]
    optional: NDArray[np.uint8]
    possible: Floats
    optional_possible: Floats
    _above: dict[int, NDArray[np.intp]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, view: View, numbers: NDArray[np.intp], count: int) -> Self | None:
        """Return the coverage of *view*; *numbers*: the leaf number of each of its leaves, below *count*.

        None where counting does not tell: item banks, a block that counts twice below another, bitmaps too large.
        """
        width, possible = bytes_for(count), view.fixed_possible
        if any(view.banks) or possible is None or len(view.aggregators) * width > MOST_BYTES:
            return None
        below = np.zeros((len(view.aggregators), width), dtype=np.uint8)
        for steps in view.steps:
            for step in steps:
                if not _cover(below, np.arange(step.start, step.stop), step.sources, numbers):
                    return None
        optional = np.zeros(width, dtype=np.uint8)
        np.bitwise_or.at(optional, numbers[view.optional] // _BYTE, bit_of(numbers[view.optional]))
        return cls(below, optional, possible[0][:, 0], possible[1][:, 0])

    def above(self, number: int) -> NDArray[np.intp]:
        """Return the aggregators that leaf *number* counts below, ascending."""
        found = self._above.get(number)
        if found is None:
            found = np.flatnonzero(self.below[:, number // _BYTE] & np.uint8(1 << number % _BYTE))
            self._above[number] = found
        return found

    def earned(self, read: Read, learners: NDArray[np.intp], aggregators: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return what each of these vectors earned below the aggregator beside, and of the optional blocks there.

        All of their completions are ``exact``.
        """
        done = read.bitmaps[learners] & self.below[aggregators]
        at, lengths = read.ranges(learners)
        pairs, numbers = np.repeat(np.arange(len(learners)), lengths), read.columns[at]
        places, bits = numbers // _BYTE, bit_of(numbers)
        counts = self.below[aggregators[pairs], places] & bits != 0
        apart = self.optional[places] & bits != 0

        def total(bitmaps: NDArray[np.uint8], others: NDArray[np.bool_]) -> Floats:
            weights = read.values[at[others]]
            return _count(bitmaps) + np.bincount(pairs[others], weights=weights, minlength=len(learners))

        if not self.optional.any():
            return total(done, counts), np.zeros(len(learners))
        return total(done & ~self.optional, counts & ~apart), total(done & self.optional, counts & apart)


def exact(values: Floats) -> NDArray[np.bool_]:
    """Return which completions can be added in any order."""
    parts = values * _PARTS
    whole: NDArray[np.bool_] = parts == np.floor(parts)
    return whole


def bytes_for(count: int) -> int:
    """Return how many bytes a bitmap of so many leaf numbers takes."""
    return (count + _BYTE - 1) // _BYTE


def bit_of(numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return the bit of each leaf number in its byte."""
    return np.left_shift(np.uint8(1), (numbers % _BYTE).astype(np.uint8))


def _cover(
    below: NDArray[np.uint8], rows: NDArray[np.intp], sources: NDArray[np.intp], numbers: NDArray[np.intp]
) -> bool:
    """Add a child to each of some aggregators, as rows of the view; return False if something counts twice."""
    leaves = len(numbers)
    is_leaf = sources < leaves
    at, number = rows[is_leaf] - leaves, numbers[sources[is_leaf]]
    places, bits = (at, number // _BYTE), bit_of(number)
    if (below[places] & bits).any():
        return False
    below[places] |= bits
    at, children = rows[~is_leaf] - leaves, sources[~is_leaf] - leaves
    if (below[at] & below[children]).any():
        return False
    below[at] |= below[children]
    return True


def _count(bitmaps: NDArray[np.uint8]) -> Floats:
    ones = np.bitwise_count(bitmaps) if hasattr(np, "bitwise_count") else _ONES[bitmaps]
    counts: Floats = ones.sum(axis=1, dtype=np.int64).astype(np.float64)
    return counts
