"""Learners who completed something more, followed from their stored row: only what is above it is worked out.

That is what nearly every refresh does. A learner's completions stay a bitmap, and the tallies above a changed leaf are
counts of its bits, so that the cost hardly depends on the size of the course. For whom this would not be exact is left
to ``batch``: who sees another tree than before, or item banks; who has completions that do not add up exactly in any
order, as thirds; whose change is not the newest of hers. Both ways end in the rows of a run from scratch.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.aggregation import completions, projection, seen
from completion_aggregator.aggregation.courses import Course, views_of
from completion_aggregator.aggregation.leaves import LeafNumbers
from completion_aggregator.aggregation.stale import Claim
from completion_aggregator.aggregation.state import State
from completion_aggregator.conf import projected_block_types, thresholds
from completion_aggregator.course_graph import vector
from completion_aggregator.course_graph.coverage import Coverage, bit_of, bytes_for, exact
from completion_aggregator.course_graph.rollup import NEVER, Floats, View, ratio
from completion_aggregator.course_graph.visibility import microseconds, moment_of
from completion_aggregator.ports import Sight

_coverages: Final[WeakKeyDictionary[View, tuple[LeafNumbers, Coverage | None]]] = WeakKeyDictionary()
#: Row of a vector, leaf number.
_Place: TypeAlias = tuple[int, int]


class Percents(NamedTuple):
    """How far some learners are below some blocks of one view, by user id.

    ``percent`` has shape (blocks, learners); ``counts``, likewise: whether anything is possible there.
    """

    blocks: Sequence[int]
    user_ids: Sequence[int]
    percent: Floats
    counts: NDArray[np.bool_]


class Followed(NamedTuple):
    """What is to be stored of the learners who were followed: their rows above what changed, and their states.

    ``percents``: those below all blocks of the types that have thresholds.
    """

    tallies: list[projection.Row]
    states: list[State]
    percents: list[Percents]


class _Found(NamedTuple):
    """A completion that was read; its time in microseconds."""

    time: int
    key: str
    value: float


class _Learner(NamedTuple):
    """Who may be followed, and what was found of what her claim names."""

    state: State
    sight: Sight
    claim: Claim
    found: Sequence[_Found]


@dataclass(frozen=True, slots=True)
class _Step:
    """What a learner completed since her last refresh: values and times by leaf number; her newest activity.

    ``unnumbered``: she has completed blocks that are no leaves, then or before.
    """

    values: Mapping[int, float]
    times: Mapping[int, int]
    activity: int
    unnumbered: bool


def follow(
    course: Course,
    states: Mapping[int, State],
    claims: Mapping[int, Claim],
    sights: Mapping[int, Sight],
    *,
    now: datetime,
) -> Followed:
    """Follow those of these learners, who are locked, for whom it is exact: one query, if there may be any."""
    followed = Followed([], [], [])
    alike = _alike(course, states, claims, sights)
    found = _found(course, [user_id for _, user_ids in alike.values() for user_id in user_ids], claims)
    for view, (coverage, user_ids) in alike.items():
        learners = [
            _Learner(states[user_id], sights[user_id], claims[user_id], found[user_id])
            for user_id in user_ids
            if user_id in found
        ]
        group = _Group.of(course, view, coverage, learners)
        followed.tallies.extend(group.tallies(now))
        followed.states.extend(group.states())
        followed.percents.extend(group.percents(thresholds()))
    return followed


def _alike(
    course: Course, states: Mapping[int, State], claims: Mapping[int, Claim], sights: Mapping[int, Sight]
) -> dict[View, tuple[Coverage, list[int]]]:
    """Return the learners of whom only completions changed, by what they see."""
    named = [
        user_id
        for user_id, state in states.items()
        if claims[user_id].blocks is not None
        and not claims[user_id].force
        and state.built
        # What was no leaf when she completed it may be one now.
        and not (state.unnumbered and state.leaf_count < len(course.leaves))
        # A vector of more leaves than we know of was written by newer content.
        and state.leaf_count <= len(course.leaves)
    ]
    alike: dict[View, tuple[Coverage, list[int]]] = {}
    for user_id, view in zip(named, views_of(course.graph, [sights[user_id] for user_id in named]), strict=True):
        coverage = _coverage(course, view) if states[user_id].view == view.digest else None
        if coverage is not None:
            alike.setdefault(view, (coverage, []))[1].append(user_id)
    return alike


def _coverage(course: Course, view: View) -> Coverage | None:
    kept = _coverages.get(view)
    if kept is None or kept[0] is not course.leaves:
        coverage = Coverage.of(view, course.numbers(view), len(course.leaves))
        kept = _coverages[view] = course.leaves, coverage
    return kept[1]


def _found(course: Course, user_ids: Sequence[int], claims: Mapping[int, Claim]) -> dict[int, list[_Found]]:
    """Return the completions that the claims of these learners name; nobody if some make no sense as they are."""
    pairs: dict[str, list[int]] = {}
    for user_id in user_ids:
        for key in claims[user_id].blocks or ():
            pairs.setdefault(key, []).append(user_id)
    read = completions.of_pairs(course.key, pairs)
    found: dict[int, list[_Found]] = {} if read.mended else {user_id: [] for user_id in user_ids}
    columns = (read.user_ids.tolist(), read.times.tolist(), read.keys, read.values.tolist())
    for user_id, *completion in zip(*columns, strict=True):
        if user_id in found:
            found[user_id].append(_Found(*completion))
    return found


def _number(course: Course, key: str) -> int:
    number = course.leaves.numbers.get(key)
    return course.leaves.numbers.get(completions.full_key(key, course.key), -1) if number is None else number


def _step(learner: _Learner, numbers: Mapping[str, int], before: Mapping[int, float]) -> _Step | None:
    """Return what a learner completed since her last refresh; None where her newest completions do not tell.

    *numbers*: leaf numbers, -1 for none, by key. *before*: her completions then by leaf number, NaN where none was.
    """
    activity, unnumbered = _micros(learner.state.last_activity), learner.state.unnumbered
    values: dict[int, float] = {}
    times: dict[int, int] = {}
    # In the order of time: of two completions, the older one is not to be taken for one from before.
    for time, key, value in sorted(learner.found):
        number = numbers[key]
        if number < 0:
            if time < activity:
                return None  # the time that it had before may have been the newest
            activity, unnumbered = time, True
            continue
        was = values.get(number, before[number])
        if not (isnan(was) or time > activity or (value != was and time == activity)):
            return None  # likewise
        values[number], times[number], activity = value, time, max(activity, time)
    for key in numbers.keys() - {each.key for each in learner.found}:
        if learner.state.unnumbered if numbers[key] < 0 else not isnan(before[numbers[key]]):
            return None  # it is gone, and with it a time that may have been the newest
    return _Step(values, times, activity, unnumbered)


@dataclass(frozen=True, eq=False)
class _Group:
    """Learners who see one tree and made a step; ``after``: their completions then, row n being of learner n."""

    course: Course
    view: View
    coverage: Coverage
    learners: Sequence[_Learner]
    steps: Sequence[_Step]
    after: vector.Read

    @classmethod
    def of(cls, course: Course, view: View, coverage: Coverage, learners: Sequence[_Learner]) -> "_Group":
        """Return those of the learners who made a step that can be followed."""
        read = vector.read([each.state.vector for each in learners], width=bytes_for(len(course.leaves)))
        unfit = {*read.damaged, *read.rows[~exact(read.values)].tolist()}
        numbers = [{key: _number(course, key) for key in _keys(each)} for each in learners]
        places = [(row, n) for row, named in enumerate(numbers) for n in dict.fromkeys(named.values()) if n >= 0]
        before: list[dict[int, float]] = [{} for _ in learners]
        for (row, number), value in zip(places, read.at(*_columns(places)).tolist(), strict=True):
            before[row][number] = value
        steps = {
            row: step
            for row, learner in enumerate(learners)
            if row not in unfit and (step := _step(learner, numbers[row], before[row])) is not None
        }
        chosen = {row: step for row, step in steps.items() if exact(np.array([*step.values.values()])).all()}
        after = _after(read, list(chosen), list(chosen.values()))
        return cls(course, view, coverage, [learners[row] for row in chosen], list(chosen.values()), after)

    def tallies(self, now: datetime) -> Iterator[projection.Row]:
        """Yield the projected tallies above what changed."""
        graph, blocks = self.course.graph, self.view.aggregators
        projected = graph.of_types(projected_block_types())[blocks]
        above: dict[int, list[int]] = {}
        touched: dict[_Place, int] = {}
        for learner, step in enumerate(self.steps):
            for number, time in step.times.items():
                if number not in above:
                    rows = self.coverage.above(number)
                    above[number] = rows[projected[rows]].tolist()
                for row in above[number]:
                    touched[learner, row] = max(time, touched.get((learner, row), NEVER))
        learners, rows = _columns(list(touched))
        chosen = blocks[rows].tolist()
        keys, types = graph.keys_of(set(chosen)), self.course.types
        return projection.rows_of(
            self.course.key,
            user_ids=[self.learners[learner].state.user_id for learner in learners.tolist()],
            keys=[keys[block] for block in chosen],
            types=[types[block] for block in chosen],
            values=self._sums(learners, rows),
            times=np.fromiter(touched.values(), dtype=np.int64, count=len(touched)),
            now=now,
        )

    def states(self) -> Iterator[State]:
        """Yield what is to be of the learners."""
        everybody = np.arange(len(self.learners))
        sums = self._sums(everybody, np.full(len(everybody), self.view.root))
        columns = (self.learners, self.steps, zip(*(each.tolist() for each in sums[:5]), strict=True))
        version, leaves = self.course.graph.tag, len(self.course.leaves)
        for (before, sight, *_), step, tally, packed in zip(*columns, vector.pack_read(self.after), strict=True):
            counted = [time for number, time in step.times.items() if len(self.coverage.above(number))]
            yield State(
                user_id=before.user_id,
                vector=packed,
                tally=tally,
                last_modified=_moment(max([_micros(before.last_modified), *counted])),
                last_activity=_moment(step.activity),
                graph_version=version,
                profile=seen.name_of(sight.profile),
                view=before.view,
                valid_until=sight.valid_until,
                unnumbered=step.unnumbered,
                begun=before.begun or step.activity != NEVER,
                leaf_count=leaves,
                attempts=before.attempts,
            )

    def percents(self, types: Collection[str]) -> Iterator[Percents]:
        """Yield the percents below all blocks of these types, if there are any."""
        blocks, everybody = self.view.aggregators, np.arange(len(self.learners))
        rows = np.flatnonzero(self.course.graph.of_types(types)[blocks]) if types else everybody[:0]
        if len(rows) and len(everybody):
            # Row by row: all at once are as many bitmaps as there are learners and blocks.
            percent = np.stack([self._sums(everybody, np.full(len(everybody), row))[2] for row in rows.tolist()])
            counts = np.broadcast_to(self.coverage.possible[rows, None] > 0, percent.shape)
            yield Percents(blocks[rows].tolist(), [each.state.user_id for each in self.learners], percent, counts)

    def _sums(self, learners: NDArray[np.intp], rows: NDArray[np.intp]) -> tuple[Floats, ...]:
        coverage = self.coverage
        earned, apart = coverage.earned(self.after, learners, rows)
        possible, optional = coverage.possible[rows], coverage.optional_possible[rows]
        return earned, possible, ratio(earned, possible), apart, optional, ratio(apart, optional)


def _keys(learner: _Learner) -> dict[str, None]:
    # A key may be stored in another form than it was marked with: that of an old course, or in other case.
    return dict.fromkeys([*(learner.claim.blocks or ()), *(each.key for each in learner.found)])


def _after(read: vector.Read, rows: Sequence[int], steps: Sequence[_Step]) -> vector.Read:
    """Return the completions of these learners after their steps."""
    changed = [(n, number, value) for n, step in enumerate(steps) for number, value in step.values.items()]
    learners, numbers = _columns([(n, number) for n, number, _ in changed])
    values = np.array([value for *_, value in changed])
    bitmaps, places, bits = read.bitmaps[list(rows)], (learners, numbers >> 3), bit_of(numbers)
    np.bitwise_and.at(bitmaps, places, ~bits)
    ones = values == 1.0
    np.bitwise_or.at(bitmaps, (learners[ones], numbers[ones] >> 3), bits[ones])
    at, lengths = read.ranges(np.array(rows, dtype=np.intp))
    stayed, columns = np.repeat(np.arange(len(rows)), lengths), read.columns[at]
    # Both ascend by learner and number: what changed is taken out, and what is no one is put in its place.
    width = bitmaps.shape[1] << 3
    order = np.argsort(learners * width + numbers)
    others, changes = stayed * width + columns, (learners * width + numbers)[order]
    gone = np.searchsorted(others, changes)
    gone = gone[others[np.minimum(gone, len(others) - 1)] == changes] if len(others) else gone[:0]
    others, kept = np.delete(others, gone), np.delete(read.values[at], gone)
    new, new_values = changes[~ones[order]], values[order][~ones[order]]
    places_of_new = np.searchsorted(others, new)
    others, kept = np.insert(others, places_of_new, new), np.insert(kept, places_of_new, new_values)
    return vector.Read(bitmaps, *np.divmod(others, width), kept)


def _columns(places: Sequence[_Place]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    pairs = np.array(places, dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _micros(moment: datetime | None) -> int:
    return NEVER if moment is None else microseconds(moment)


def _moment(micros: int) -> datetime | None:
    return None if micros == NEVER else moment_of(micros)
