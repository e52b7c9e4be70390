"""Where learners stand in courses, as numbers: from their completions as they are, or from what is stored of them.

Nothing here writes, and no number of learners or courses takes more queries than one does.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from django.contrib.auth import get_user_model
from django.utils import timezone
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import completions, seen, state
from completion_aggregator.aggregation.batch import Floats, draws_of, tallies_of
from completion_aggregator.aggregation.completions import Completions
from completion_aggregator.aggregation.courses import (
    KnownCourse,
    as_known,
    graph_of,
    graphs_of,
    numbering_of,
    views_of,
)
from completion_aggregator.aggregation.leaves import LeafNumbers
from completion_aggregator.aggregation.state import Packed
from completion_aggregator.course_graph import vector
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.rollup import NEVER, Tallies, View, roll_up
from completion_aggregator.course_graph.visibility import moment_of
from completion_aggregator.ports import Sight

_kept_blocks: Final[WeakKeyDictionary[View, "Blocks"]] = WeakKeyDictionary()
_kept_numbers: Final[WeakKeyDictionary[View, tuple[LeafNumbers, NDArray[np.intp]]]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Blocks:
    """The aggregators that one visibility profile sees, in document order, the course itself first.

    ``parents``: the positions, here, of the aggregators that each is a child of. ``rows``: where each stands among the
    aggregators of the view.
    """

    keys: tuple[str, ...]
    types: tuple[str, ...]
    titles: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    rows: NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class Standing:
    """One learner in one course, as numbers: a row for each of ``blocks``.

    ``sums`` has the columns earned, possible, percent, and the same of the optional side. ``times``: microseconds of
    the newest completion below, ``NEVER`` where there is none; None where the times are not known. ``activity``:
    microseconds of the newest completion in the course, seen or not; ``NEVER`` where there is none or it is not known.
    """

    user_id: int
    blocks: Blocks
    sums: Floats
    times: NDArray[np.int64] | None
    activity: int = NEVER

    @property
    def last_modified(self) -> datetime | None:
        """The newest completion that counts in the course."""
        return None if self.times is None or self.times[0] == NEVER else moment_of(int(self.times[0]))

    @property
    def last_activity(self) -> datetime | None:
        """The newest completion in the course."""
        return None if self.activity == NEVER else moment_of(self.activity)


def live_standing(user_id: int, course_key: CourseKey, *, as_of: datetime | None = None) -> Standing:
    """Return where a learner stands, from her completions that were last changed at or before *as_of* (None: all).

    Content and rules are those of now. Three queries. Raises UnknownCourse or InvalidCourse.
    """
    graph = graph_of(course_key)
    sights = seen.by_learners(course_key, graph, [user_id], now=timezone.now())
    facts = completions.of_learners(course_key, [user_id])
    return next(_rolled_up(course_key, graph, sights, facts if as_of is None else facts.until(as_of)))


def live_standings(course_key: CourseKey, user_ids: Sequence[int]) -> dict[int, Standing]:
    """Return where these learners stand, worked out now from their completions with three queries.

    Raises UnknownCourse or InvalidCourse.
    """
    graph = graph_of(course_key)
    sights = seen.by_learners(course_key, graph, user_ids, now=timezone.now())
    return {standing.user_id: standing for standing in _live(course_key, graph, sights)}


def live_courses(user_id: int, course_keys: Collection[CourseKey]) -> dict[CourseKey, Standing]:
    """Return where a learner stands in those of these courses whose content can be read.

    At most three queries, however many courses there are, and one for each graph that this process has not kept.
    """
    graphs = graphs_of(course_keys)
    sights = seen.by_learner(user_id, graphs, now=timezone.now())
    facts = completions.of_learner(user_id, list(graphs))
    return {key: next(_rolled_up(key, graph, {user_id: sights[key]}, facts[key])) for key, graph in graphs.items()}


def standings_of_learner(
    user_id: int, course_keys: Collection[CourseKey], *, username: str | None = None
) -> dict[CourseKey, Standing | None]:
    """Return where a learner stands in each of these courses, worked out now from her completions.

    None: nothing of hers was ever completed or aggregated there, or the course's content cannot be read. At most four
    queries, however many courses there are, one to look up her name unless it is told, and one for each graph that
    this process has not kept.
    """
    graphs = graphs_of(course_keys)
    sights = seen.by_learner(user_id, graphs, now=timezone.now())
    facts = completions.of_learner(user_id, list(graphs))
    untouched = [key for key in graphs if not len(facts[key])]
    touched = _touched(user_id, untouched, username) if untouched else set()
    found: dict[CourseKey, Standing | None] = dict.fromkeys(course_keys)
    for key, graph in graphs.items():
        if len(facts[key]) or key in touched:
            found[key] = next(_rolled_up(key, graph, {user_id: sights[key]}, facts[key]))
    return found


def standings_of_class(course_key: CourseKey, user_ids: Sequence[int]) -> dict[int, Standing | None]:
    """Return where these learners stand, from their completion vectors as last refreshed, with three queries.

    Who was never refreshed is read from the facts, with one query more; None: there are none either. Raises
    UnknownCourse or InvalidCourse.
    """
    graph = graph_of(course_key)
    sights = seen.by_learners(course_key, graph, user_ids, now=timezone.now())
    row, states = state.packed_of_class(course_key, user_ids)
    course = as_known(graph, row)
    begun = [user_id for user_id in user_ids if user_id in states and states[user_id].begun]
    found: dict[int, Standing | None] = dict.fromkeys(user_ids)
    for tallies, learners in tallies_from_vectors(course, {user_id: sights[user_id] for user_id in begun}, states):
        found |= _standings(graph, tallies, learners)
    new = {user_id: sights[user_id] for user_id in user_ids if user_id not in states or not states[user_id].built}
    facts = completions.of_learners(course_key, list(new))
    some = set(facts.user_ids.tolist())
    live = _rolled_up(course_key, graph, {user_id: new[user_id] for user_id in new if user_id in some}, facts)
    return found | {standing.user_id: standing for standing in live}


def stored_standings(course: KnownCourse, user_ids: Sequence[int]) -> dict[int, Standing]:
    """Return where these learners, who were refreshed before, stand by their completion vectors, with two queries."""
    sights = seen.by_learners(course.key, course.graph, user_ids, now=timezone.now())
    states = state.packed(course.row.pk, user_ids)
    found: dict[int, Standing] = {}
    for tallies, learners in tallies_from_vectors(course, sights, states):
        found |= _standings(course.graph, tallies, learners)
    return found


def tallies_from_vectors(
    course: KnownCourse, sights: Mapping[int, Sight], states: Mapping[int, Packed]
) -> Iterator[tuple[Tallies, list[int]]]:
    """Yield the tallies of these learners, a group who see one tree at a time, each with whose they are."""
    user_ids = list(sights)
    unpacked = vector.unpack([states[user_id].vector if user_id in states else b"" for user_id in user_ids])
    # The next refresh writes a damaged vector anew; until then its learner is read from the facts, like a new one.
    broken = [user_ids[row] for row in unpacked.damaged]
    facts = completions.of_learners(course.key, broken) if broken else None
    rows = {user_id: row for row, user_id in enumerate(user_ids)}
    for view, learners in _by_view(course.graph, sights):
        numbers = _leaf_numbers(course, view)
        values = unpacked.dense(numbers, vectors=np.array([rows[user_id] for user_id in learners], dtype=np.intp))
        if facts is not None:
            whose = {user_id: column for column, user_id in enumerate(learners) if user_id in broken}
            values[:, list(whose.values())] = _read_anew(course, list(whose), facts, numbers)
        yield roll_up(view, values, draws=draws_of(view, [sights[user_id] for user_id in learners])), learners


def tallies_from_facts(
    course_key: CourseKey, graph: CourseGraph, sights: Mapping[int, Sight], facts: Completions
) -> Iterator[tuple[Tallies, list[int]]]:
    """Yield the tallies of these learners, a group who see one tree at a time; *facts* may be of others, too."""
    rows, positions = {user_id: row for row, user_id in enumerate(sights)}, graph.completable_positions
    values, times = _spread(course_key, numbering_of(graph), rows, facts)
    for view, user_ids in _by_view(graph, sights):
        at, leaves = [rows[user_id] for user_id in user_ids], positions[view.leaves]
        yield tallies_of(view, leaves, values[at], times[at], [sights[user_id] for user_id in user_ids]), user_ids


def usernames(user_ids: Collection[int]) -> dict[int, str]:
    """Return the username of each of these users."""
    model = get_user_model()
    return dict(model._default_manager.filter(pk__in=user_ids).values_list("pk", model.USERNAME_FIELD))


def batched(ids: Iterator[int], size: int) -> Iterator[list[int]]:
    """Yield *ids* in lists of *size*."""
    while batch := list(islice(ids, size)):
        yield batch


def _touched(user_id: int, course_keys: Collection[CourseKey], username: str | None) -> set[CourseKey]:
    """Return in which of these courses the learner has begun, or is stale."""
    name = usernames([user_id]).get(user_id, "") if username is None else username
    return state.touched_courses(user_id, name, course_keys)


def _live(course_key: CourseKey, graph: CourseGraph, sights: Mapping[int, Sight]) -> Iterator[Standing]:
    """Yield standings in the order of *sights* from the facts, read with one query."""
    return _rolled_up(course_key, graph, sights, completions.of_learners(course_key, list(sights)))


def _rolled_up(
    course_key: CourseKey, graph: CourseGraph, sights: Mapping[int, Sight], facts: Completions
) -> Iterator[Standing]:
    """Yield standings in the order of *sights* from completions that may be of others, too."""
    learners, at = np.unique(facts.user_ids, return_inverse=True)
    newest = np.full(len(learners), NEVER, dtype=np.int64)
    np.maximum.at(newest, at, facts.times)
    activity = dict(zip(learners.tolist(), newest.tolist(), strict=True))
    done: dict[int, Standing] = {}
    for tallies, user_ids in tallies_from_facts(course_key, graph, sights, facts):
        done |= _standings(graph, tallies, user_ids, activity)
    return (done[user_id] for user_id in sights)


def _spread(
    course_key: CourseKey, leaves: LeafNumbers, rows: Mapping[int, int], read: Completions
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the completions of these learners (user id to row) and their times, shape (learners, leaf numbers)."""
    at = np.fromiter((rows.get(user_id, -1) for user_id in read.user_ids.tolist()), dtype=np.intp, count=len(read))
    numbers = np.fromiter(map(partial(_number, leaves, course_key), read.keys), dtype=np.intp, count=len(read))
    values = np.full((len(rows), len(leaves)), np.nan)
    times = np.full(values.shape, NEVER, dtype=np.int64)
    ours = (numbers >= 0) & (at >= 0)
    values[at[ours], numbers[ours]] = read.values[ours]
    times[at[ours], numbers[ours]] = read.times[ours]
    return values, times


def _read_anew(course: KnownCourse, user_ids: Sequence[int], facts: Completions, numbers: NDArray[np.intp]) -> Floats:
    """Return the completions of these learners, shape (leaf numbers asked for, learners), 0.0 where there is none."""
    rows = {user_id: row for row, user_id in enumerate(user_ids)}
    values, _ = _spread(course.key, course.leaves, rows, facts)
    # One column more than there are leaves: leaf number -1, of a block that has no number yet.
    padded = np.pad(values, ((0, 0), (0, 1)), constant_values=np.nan)
    return np.nan_to_num(padded[:, numbers].T, nan=0.0)


def _number(leaves: LeafNumbers, course_key: CourseKey, key: str) -> int:
    number = leaves.numbers.get(key)
    return leaves.numbers.get(completions.full_key(key, course_key), -1) if number is None else number


def _standings(
    graph: CourseGraph, tallies: Tallies, user_ids: Sequence[int], activity: Mapping[int, int] | None = None
) -> dict[int, Standing]:
    """Return the standing of each learner of *tallies*, which are of *user_ids*, in their order."""
    newest = activity or {}
    blocks = _blocks(graph, tallies.view)
    columns = (
        tallies.earned, tallies.possible, tallies.percent,
        tallies.optional_earned, tallies.optional_possible, tallies.optional_percent,
    )  # fmt: skip
    table = np.empty((len(columns), len(blocks.rows), len(user_ids)))
    for each, out in zip(columns, table, strict=True):
        np.take(each, blocks.rows, axis=0, out=out)
    sums = table.transpose(2, 1, 0)
    times = None if tallies.newest is None else tallies.newest[blocks.rows].T
    return {
        user_id: Standing(
            user_id, blocks, sums[column], None if times is None else times[column], newest.get(user_id, NEVER)
        )
        for column, user_id in enumerate(user_ids)
    }


def _leaf_numbers(course: KnownCourse, view: View) -> NDArray[np.intp]:
    """Return the leaf numbers of the view's leaves, -1 for one that has none yet."""
    kept = _kept_numbers.get(view)
    if kept is None or kept[0] is not course.leaves:
        keys = course.graph.keys  # made anew at each look
        numbers = course.leaves.find([keys[block] for block in view.leaves.tolist()])
        kept = _kept_numbers[view] = course.leaves, numbers
    return kept[1]


def _blocks(graph: CourseGraph, view: View) -> Blocks:
    kept = _kept_blocks.get(view)
    if kept is None:
        rows = np.argsort(view.aggregators)
        numbers = view.aggregators[rows].tolist()
        keys, types, titles = graph.keys, graph.types, graph.titles  # made anew at each look
        kept = _kept_blocks[view] = Blocks(
            keys=tuple(keys[block] for block in numbers),
            types=tuple(types[block] for block in numbers),
            titles=tuple(titles[block] for block in numbers),
            parents=_parents(graph, numbers),
            rows=rows,
        )
    return kept


def _parents(graph: CourseGraph, numbers: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    position, parents = {block: at for at, block in enumerate(numbers)}, [dict[int, None]() for _ in numbers]
    children = graph.children
    for at, block in enumerate(numbers):
        for child in children[block]:
            if child in position:
                parents[position[child]][at] = None
    return tuple(map(tuple, parents))


def _by_view(graph: CourseGraph, sights: Mapping[int, Sight]) -> list[tuple[View, list[int]]]:
    views: dict[str, View] = {}
    learners: dict[str, list[int]] = {}
    for user_id, view in zip(sights, views_of(graph, sights.values()), strict=True):
        views[view.digest] = view
        learners.setdefault(view.digest, []).append(user_id)
    return [(view, learners[digest]) for digest, view in views.items()]
