"""A batch of learners of one course, as arrays: what was, what was read, what is to be written.

Most learners change by one completion: their vector is updated with it, and the tallies of old and new vector differ
where rows do. The others are read *whole*, from all their completions, and compared with the rows that are stored:
those who are new, forced or marked as a whole, who see another tree than before, whose vector is damaged, and those
whose change cannot be followed exactly (a completion that is gone, or whose time went back). Both ways end in the rows
of a run from scratch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from itertools import repeat
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.aggregation import completions, projection, seen
from completion_aggregator.aggregation.completions import Completions
from completion_aggregator.aggregation.courses import Course, views_of
from completion_aggregator.aggregation.projection import Mask, Projected, Stored, Written
from completion_aggregator.aggregation.stale import Claim
from completion_aggregator.aggregation.state import State
from completion_aggregator.conf import projected_block_types
from completion_aggregator.course_graph import vector
from completion_aggregator.course_graph.rollup import NEVER, Draws, Tallies, View, roll_up
from completion_aggregator.course_graph.visibility import microseconds, moment_of
from completion_aggregator.ports import Sight

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Batch:
    """Locked learners; row n of every array is learner n, columns are leaf numbers.

    ``old``, ``new``: completions, NaN where there is none. ``times``: microseconds of the completions that were read
    and may have changed something, ``NEVER`` elsewhere. ``whole``: read from all completions. ``settled``: of those,
    the ones for whom nothing can have changed. ``trees``: digest of view and draws. ``activity``: newest completion,
    visible or not. ``forced``: aggregated by force.
    """

    course: Course
    states: Sequence[State]
    sights: Sequence[Sight]
    views: Sequence[View]
    trees: Sequence[str]
    whole: Mask
    settled: Mask
    forced: Mask
    old: Floats
    new: Floats
    times: NDArray[np.int64]
    unnumbered: Mask
    activity: NDArray[np.int64]
    rebuilt: int
    mended: int


@dataclass(frozen=True, eq=False)
class Group:
    """The learners of a batch who see one tree and were read alike: positions in the batch, and their tallies."""

    learners: NDArray[np.intp]
    whole: bool
    tallies: Tallies
    projected: Projected


@dataclass(frozen=True, eq=False)
class Differences:
    """What is not stored as it is to be: ``rows`` that differ or are missing, ids of those that are to go.

    ``stored``: the rows of all who were compared. ``states``: what is to be of everybody in the batch.
    """

    stored: Stored
    rows: Sequence[tuple[Projected, Mask]]
    gone: Sequence[int]
    states: list[State]


class _Reading:
    """Puts completions into the arrays of a batch."""

    def __init__(self, course: Course, states: Sequence[State], old: Floats, *, undrawn: Mask) -> None:
        self.course = course
        self.states = states
        self.undrawn = undrawn
        self.user_ids = np.array([each.user_id for each in states], dtype=np.int64)
        self.old = old
        self.new = old.copy()
        self.times = np.full(old.shape, NEVER, dtype=np.int64)
        self.unnumbered = np.array([each.unnumbered for each in states], dtype=np.bool_)
        self.activity = np.array([_micros(each.last_activity) for each in states], dtype=np.int64)
        self.mended = 0

    def whole(self, learners: Mask) -> None:
        """Read all completions of these learners."""
        read = completions.of_learners(self.course.key, self.user_ids[learners].tolist())
        self.new[learners] = np.nan
        self.times[learners] = NEVER
        self.unnumbered[learners] = False
        self.activity[learners] = NEVER
        rows, numbers = self._places(read)
        np.maximum.at(self.activity, rows, read.times)
        self.unnumbered[rows[numbers < 0]] = True
        leaf = numbers >= 0
        self.new[rows[leaf], numbers[leaf]] = read.values[leaf]
        self.times[rows[leaf], numbers[leaf]] = read.times[leaf]

    def named(self, claims: Sequence[Claim], learners: Mask) -> Mask:
        """Read the completions that the claims of these learners name; return who must be read whole after all."""
        pairs: dict[str, list[int]] = {}
        missing: set[tuple[int, str]] = set()
        for row in np.flatnonzero(learners).tolist():
            for key in claims[row].blocks or ():
                pairs.setdefault(key, []).append(self.states[row].user_id)
                missing.add((row, key))
        read = completions.of_pairs(self.course.key, pairs)
        escalated = np.zeros(len(self.states), dtype=np.bool_)
        rows, numbers = self._places(read)
        places, keys, values, times = rows.tolist(), read.keys, read.values.tolist(), read.times.tolist()
        # In the order of time, so that of two completions the older one is not taken for one from before the last
        # refresh.
        for at in np.argsort(read.times, kind="stable").tolist():
            row, number, key, value, time = places[at], int(numbers[at]), keys[at], values[at], times[at]
            missing.discard((row, key))
            if not self._change(row, number, value, time):
                escalated[row] = True
        for row, key in missing:
            number = self._number(key)
            escalated[row] |= bool(self.unnumbered[row]) if number < 0 else not np.isnan(self.old[row, number])
        return escalated

    def _change(self, row: int, number: int, value: float, time: int) -> bool:
        """Take over one completion; return False if its effect cannot be known from it alone."""
        latest = int(self.activity[row])
        self.activity[row] = max(latest, time)
        if number < 0:
            self.unnumbered[row] = True
            return time >= latest  # it may have been the newest activity
        before = self.old[row, number]
        if self.undrawn[row] and number in self.course.banked:
            return False  # which children a bank counts may change with it, and so whose times
        if not (np.isnan(before) or time > latest or (value != before and time == latest)):
            # An older time on a completion that was counted before: the time it had may have been the newest.
            return False
        self.new[row, number], self.times[row, number] = value, time
        return True

    def _places(self, read: Completions) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the learner's row and the leaf number, -1 where there is none, of every completion."""
        self.mended += read.mended
        rows = np.searchsorted(self.user_ids, read.user_ids)
        found = map(self.course.leaves.numbers.get, read.keys, repeat(-1))
        numbers = np.fromiter(found, dtype=np.intp, count=len(read))
        for position in np.flatnonzero(numbers < 0).tolist():
            numbers[position] = self._number(read.keys[position])
        return rows, numbers

    def _number(self, key: str) -> int:
        return self.course.leaves.numbers.get(completions.full_key(key, self.course.key), -1)


def gather(
    course: Course, states: Mapping[int, State], claims: Mapping[int, Claim], found: Mapping[int, Sight]
) -> Batch:
    """Read what a refresh of these learners needs: what they completed.

    *states*, by ascending user id, are locked; *claims* and the sights *found* are theirs.
    """
    rows = list(states.values())
    taken = [claims[user_id] for user_id in states]
    sights = [found[user_id] for user_id in states]
    views = views_of(course.graph, sights)
    trees = [tree_of(view, sight) for view, sight in zip(views, sights, strict=True)]
    unpacked = vector.unpack([each.vector for each in rows])
    built = np.array([each.built for each in rows], dtype=np.bool_)
    damaged = np.zeros(len(rows), dtype=np.bool_)
    damaged[list(unpacked.damaged)] = True
    fresh = (
        built & ~damaged & np.array([each.view == tree for each, tree in zip(rows, trees, strict=True)], dtype=np.bool_)
    )
    fresh &= np.array([not (s.unnumbered and s.leaf_count < len(course.leaves)) for s in rows], dtype=np.bool_)
    undrawn = np.array([_undrawn(view, sight) for view, sight in zip(views, sights, strict=True)], dtype=np.bool_)
    old = unpacked.dense(np.arange(len(course.leaves)), absent=np.nan).T.copy()
    reading = _Reading(course, rows, old, undrawn=undrawn)
    named = fresh & np.array([claim.blocks is not None and not claim.force for claim in taken], dtype=np.bool_)
    whole = ~named | reading.named(taken, named)
    activity = reading.activity.copy()
    reading.whole(whole)
    same = ((reading.old == reading.new) | (np.isnan(reading.old) & np.isnan(reading.new))).all(axis=1)
    forced = np.array([claim.force for claim in taken], dtype=np.bool_)
    return Batch(
        course=course, states=rows, sights=sights, views=views, trees=trees, whole=whole,
        settled=whole & fresh & ~forced & ~named & same & (activity == reading.activity),
        forced=forced,
        old=reading.old, new=reading.new, times=reading.times, unnumbered=reading.unnumbered,
        activity=reading.activity, rebuilt=int((built & damaged).sum()), mended=reading.mended,
    )  # fmt: skip


def bring_up_to_date(batch: Batch, groups: Sequence[Group], *, now: datetime) -> tuple[Written, int, list[State]]:
    """Write the rows that differ and remove those that are to go; *groups* are all of the batch.

    Return what was written, how many went, and the new states.
    """
    key, different = batch.course.key, differences_of(batch, groups)
    written = projection.write(key, different.rows, now=now)
    touched = [(group.projected, _touched(batch, group)) for group in groups if not group.whole]
    written += projection.write(key, touched, now=now, keep_newer=True)
    projection.remove(different.gone)
    return written, len(different.gone), different.states


def differences_of(batch: Batch, groups: Sequence[Group]) -> Differences:
    """Compare the learners who were read whole, and are not settled, with their rows. Nothing is written."""
    whole = [group for group in groups if group.whole]
    user_ids = [batch.states[row].user_id for group in whole for row in group.learners if not batch.settled[row]]
    stored = projection.stored(batch.course.key, user_ids)
    unsettled = [~batch.settled[group.learners] for group in whole]
    vectors = vector.pack(batch.new)
    return Differences(
        stored=stored,
        rows=[
            (g.projected, projection.differing(g.projected, stored) & keep)
            for g, keep in zip(whole, unsettled, strict=True)
        ],
        gone=projection.vanished([group.projected for group in whole], stored),
        states=[
            _state(batch, group, column, vectors[row])
            for group in groups
            for column, row in enumerate(group.learners.tolist())
        ],
    )


def tallies_of(
    view: View, numbers: NDArray[np.intp], values: Floats, times: NDArray[np.int64] | None, sights: Sequence[Sight]
) -> Tallies:
    """Roll up completions of shape (learners, leaf numbers), NaN where there is none.

    *numbers*: the leaf number of every leaf of the view. *sights*: who the learners are, for the draws of item banks.
    """
    chosen = values[:, numbers].T
    chosen[np.isnan(chosen)] = 0.0
    return roll_up(view, chosen, times=None if times is None else times[:, numbers].T, draws=draws_of(view, sights))


def draws_of(view: View, sights: Iterable[Sight]) -> list[Draws] | None:
    """Return what each learner drew, where there is anything to draw."""
    return [sight.selections for sight in sights] if any(view.banks) else None


def groups_of(batch: Batch) -> Iterator[Group]:
    """Yield the learners in groups, rolled up."""
    alike: dict[tuple[str, bool], list[int]] = {}
    for row, view in enumerate(batch.views):
        alike.setdefault((view.digest, bool(batch.whole[row])), []).append(row)
    levels, course = projected_block_types(), batch.course
    for (_, whole), rows in alike.items():
        learners = np.array(rows, dtype=np.intp)
        view, sights = batch.views[rows[0]], [batch.sights[row] for row in rows]
        tallies = tallies_of(view, course.numbers(view), batch.new[learners], batch.times[learners], sights)
        user_ids = [batch.states[row].user_id for row in rows]
        yield Group(learners, whole, tallies, projection.project(tallies, course.keys, course.types, levels, user_ids))


def tree_of(view: View, sight: Sight) -> str:
    """Return sixteen digits that stand for the tree a learner sees, draws included."""
    drawn = [
        (bank.key, tuple(sight.selections[bank.key]))
        for each in view.banks
        for bank in each
        if bank.key in sight.selections
    ]
    return blake2b(repr((view.digest, drawn)).encode(), digest_size=8).hexdigest() if drawn else view.digest


def _touched(batch: Batch, group: Group) -> Mask:
    """Return which projected tallies of a group change by the completions that were read."""
    course, projected, view = batch.course, group.projected, group.tallies.view
    sights = [batch.sights[row] for row in group.learners.tolist()]
    before = tallies_of(view, course.numbers(view), batch.old[group.learners], None, sights)
    old = projection.project(before, course.keys, course.types, projected_block_types(), projected.user_ids)
    # Without times, ``old`` is "never" everywhere: what differs from it is above a completion that was read.
    changed: Mask = (old.values != projected.values).any(axis=0) | (old.times != projected.times)
    return changed


def _state(batch: Batch, group: Group, column: int, packed: bytes) -> State:
    row = int(group.learners[column])
    before, sight, tallies, root = batch.states[row], batch.sights[row], group.tallies, group.tallies.view.root
    newest = NEVER if tallies.newest is None else int(tallies.newest[root, column])
    if not group.whole:
        newest = max(newest, _micros(before.last_modified))
    return replace(
        before,
        vector=packed,
        tally=_course_tally(tallies, column),
        last_modified=_moment(newest),
        last_activity=_moment(int(batch.activity[row])),
        graph_version=batch.course.graph.tag,
        profile=seen.name_of(sight.profile),
        view=batch.trees[row],
        valid_until=sight.valid_until,
        unnumbered=bool(batch.unnumbered[row]),
        begun=before.begun or bool(batch.forced[row]) or int(batch.activity[row]) != NEVER,
        leaf_count=len(batch.course.leaves),
    )  # fmt: skip


def _course_tally(tallies: Tallies, column: int) -> tuple[float, float, float, float, float]:
    sums = (tallies.earned, tallies.possible, tallies.percent, tallies.optional_earned, tallies.optional_possible)
    earned, possible, percent, apart, apart_possible = (float(each[tallies.view.root, column]) for each in sums)
    return earned, possible, percent, apart, apart_possible


def _undrawn(view: View, sight: Sight) -> bool:
    """Return whether the learner sees an item bank that goes by what is completed, for want of a stored draw."""
    return any(bank.key not in sight.selections for each in view.banks for bank in each)


def _micros(moment: datetime | None) -> int:
    return NEVER if moment is None else microseconds(moment)


def _moment(micros: int) -> datetime | None:
    return None if micros == NEVER else moment_of(micros)
