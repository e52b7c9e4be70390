"""Which events were met before: ids of days, sorted, as two columns of 64 bits.

Ids of loads that are not committed yet count as met, so that two processes never write the same event. Loads are
committed in the order of their numbers and none after one that failed, so whoever relied on a load comes after it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from completion_aggregator.tracking.columns import NO_DAY, Days, Flags

Ids = npt.NDArray[np.uint64]  # of shape (n, 2)
#: Reads the ids of the events that are stored under a day, in pieces.
Stored = Callable[[int], Iterator[Ids]]

#: Ids of stored days that are kept in memory: 16 bytes each. Of a day with more, the stored ones are read when needed.
KEPT: Final = 16_000_000
#: A byte for each value of so many bits of an id: what it says nothing of was never met. 64 MB, most of it untouched.
_MARKED_BITS: Final = 26

NO_IDS: Final[Ids] = np.empty((0, 2), np.uint64)


class Seen:
    """The ids that were met. *stored* reads those of a day, *misdated* are of events whose day is not their own."""

    def __init__(self, stored: Stored, misdated: Ids, *, kept: int = KEPT) -> None:
        self._stored = stored
        self._misdated = _sorted(misdated)
        self._kept = kept
        self._days: OrderedDict[int, Ids | None] = OrderedDict()
        self._opened: set[int] = set()
        #: Load to day to runs of ids, of the loads that are not committed yet.
        self._pending: dict[int, dict[int, list[Ids]]] = {}
        self._marks = np.zeros(2**_MARKED_BITS, np.uint8)
        self._mark(misdated)

    def judge(self, load: int, ids: Ids, own_days: Days, days: Days) -> Flags:
        """Tell which events were met before; those that were not count as met in *load* from now on."""
        copies = _repeated(ids)
        for day in np.unique(own_days):
            self._open(int(day))
        for row_day, rows in self._suspects(ids, own_days, copies):
            copies[rows] |= self._was_met(row_day, ids[rows])
        new, misdated = ~copies, days != own_days
        runs = self._pending.setdefault(load, {})
        for day in np.unique(own_days[new & ~misdated]):
            runs.setdefault(int(day), []).append(_sorted(ids[new & ~misdated & (own_days == day)]))
        if (new & misdated).any():
            runs.setdefault(NO_DAY, []).append(_sorted(ids[new & misdated]))
        self._mark(ids)
        return copies

    def misdated(self, load: int) -> Ids:
        """Return the ids that *load* brought whose day is not their own."""
        return np.concatenate([NO_IDS, *self._pending.get(load, {}).get(NO_DAY, ())])

    def commit(self, load: int) -> None:
        """Count what *load* brought as stored."""
        for day, runs in self._pending.pop(load, {}).items():
            if day == NO_DAY:
                self._misdated = _sorted(np.concatenate([self._misdated, *runs]))
            elif (known := self._days.get(day)) is not None:
                self._keep(day, _sorted(np.concatenate([known, *runs])))

    def _mark(self, ids: Ids) -> None:
        self._marks[ids[:, 0] >> np.uint64(64 - _MARKED_BITS)] = 1

    def _suspects(self, ids: Ids, own_days: Days, copies: Flags) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        rows = np.flatnonzero((self._marks[ids[:, 0] >> np.uint64(64 - _MARKED_BITS)] > 0) & ~copies)
        for day in np.unique(own_days[rows]):
            yield int(day), rows[own_days[rows] == day]

    def _was_met(self, day: int, ids: Ids) -> Flags:
        found = _among(self._misdated, ids)
        for runs in self._pending.values():
            for which in {day, NO_DAY}:
                for run in runs.get(which, ()):
                    found |= _among(run, ids)
        if day != NO_DAY and not found.all():
            found |= self._is_stored(day, ids)
        return found

    def _is_stored(self, day: int, ids: Ids) -> Flags:
        known = self._days.get(day)
        if known is not None:
            self._days.move_to_end(day)
            return _among(known, ids)
        found = np.zeros(len(ids), bool)
        for piece in self._stored(day):
            found |= _among(_sorted(piece), ids)
        return found

    def _open(self, day: int) -> None:
        """Mark what is stored under the day, and keep it if it is not too much."""
        if day == NO_DAY or day in self._opened:
            return
        self._opened.add(day)
        pieces, count = [NO_IDS], 0
        for piece in self._stored(day):
            self._mark(piece)
            count += len(piece)
            if count <= self._kept:
                pieces.append(piece)
        if count <= self._kept:
            self._keep(day, _sorted(np.concatenate(pieces)))

    def _keep(self, day: int, ids: Ids) -> None:
        self._days[day] = ids
        self._days.move_to_end(day)
        while sum(len(each) for each in self._days.values() if each is not None) > self._kept:
            self._days.popitem(last=False)


def _sorted(ids: Ids) -> Ids:
    return ids[np.argsort(ids[:, 0])]


def _among(known: Ids, ids: Ids) -> Flags:
    """Return which *ids* are among those *known*, which are sorted by their first half."""
    found = np.zeros(len(ids), bool)
    first = known[:, 0]
    at = np.searchsorted(first, ids[:, 0])
    rows = np.flatnonzero(at < len(known))
    # Nearly always one step: two ids of a day with equal halves are as rare as two equal ids of a whole archive.
    while len(rows):
        rows = rows[first[at[rows]] == ids[rows, 0]]
        found[rows] |= known[at[rows], 1] == ids[rows, 1]
        at[rows] += 1
        rows = rows[~found[rows] & (at[rows] < len(known))]
    return found


def _repeated(ids: Ids) -> Flags:
    """Return which *ids* stand earlier among themselves."""
    result = np.zeros(len(ids), bool)
    order = np.argsort(ids[:, 0], kind="stable")
    ordered = ids[order, 0]
    alike = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(alike):
        met: set[tuple[int, int]] = set()
        for row in np.sort(np.unique(order[np.concatenate([alike, alike + 1])])):
            key = (int(ids[row, 0]), int(ids[row, 1]))
            result[row] = key in met
            met.add(key)
    return result
