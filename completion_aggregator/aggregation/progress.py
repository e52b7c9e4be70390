"""The read side: progress of a learner, of many, of a course. Nothing here writes or needs the projection."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, TypeAlias

import numpy as np
from django.contrib.auth import get_user_model
from django.utils import timezone
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import completions, state
from completion_aggregator.aggregation.batch import Floats, tallies_of
from completion_aggregator.aggregation.courses import Course, bounded, graph_of, open_course, views_of
from completion_aggregator.aggregation.leaves import LeafNumbers
from completion_aggregator.conf import block_types, setting
from completion_aggregator.course_graph import vector
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.rollup import NEVER, Tallies, View
from completion_aggregator.course_graph.visibility import moment_of
from completion_aggregator.ports import Sight, get_platform

#: Learners who see a block, started it, are half through, finished it.
_Counts: TypeAlias = tuple[int, ...]
#: Ask for these levels to get every aggregator of the course, whatever its type.
ALL_LEVELS: Final = frozenset({"all"})
HISTOGRAM_BINS: Final = 10
#: Learners whose names are looked up together: their records are in memory meanwhile.
RECORDS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class BlockProgress:
    """One learner's tally of one block; ``last_modified`` is None where nothing below was ever completed."""

    block_key: str
    block_type: str
    title: str
    earned: float
    possible: float
    percent: float
    optional_earned: float
    optional_possible: float
    optional_percent: float
    last_modified: datetime | None


@dataclass(frozen=True, slots=True)
class LearnerProgress:
    """One learner in one course: the course's own tally, and those of the levels asked for, in document order."""

    user_id: int
    course: BlockProgress
    blocks: tuple[BlockProgress, ...]


@dataclass(frozen=True, slots=True)
class ProgressRecord:
    """A learner's tally of a block, with whose it is."""

    user_id: int
    username: str
    tally: BlockProgress


@dataclass(frozen=True, slots=True)
class BlockSummary:
    """A class at one block: of those who see it, how many started, are half through, and finished; the mean percent."""

    block_key: str
    block_type: str
    title: str
    depth: int
    learners: int
    started: int
    half: int
    finished: int
    mean: float


@dataclass(frozen=True, slots=True)
class CourseSummary:
    """A class in one course. ``histogram``: learners by course percent, in tenths, the last one with 100 % included."""

    course_key: CourseKey
    title: str
    learners: int
    mean: float
    blocks: tuple[BlockSummary, ...]
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Names:
    """What the blocks of a graph are called, by block number."""

    keys: Sequence[str]
    types: Sequence[str]
    titles: Sequence[str]


def of_learner(user_id: int, course_key: CourseKey, *, levels: Collection[str] | None = None) -> LearnerProgress:
    """Return a learner's progress, worked out now from her completions with three queries. Raises UnknownCourse."""
    graph = graph_of(course_key)
    sight = get_platform().sights(course_key, graph, [user_id], now=timezone.now())[user_id]
    return next(_live(course_key, graph, {user_id: sight}, levels))


def of_course(
    course_key: CourseKey, *, user_ids: Collection[int] | None = None, levels: Collection[str] | None = None
) -> Iterator[LearnerProgress]:
    """Yield the progress of many learners (all active enrollments) by user id, worked out now from their completions.

    Memory holds one batch of learners, whatever the size of the course. Raises UnknownCourse.
    """
    graph = graph_of(course_key)
    platform = get_platform()
    wanted = iter(sorted(user_ids)) if user_ids is not None else platform.enrolled_user_ids(course_key)
    for batch in _batched(wanted, bounded(setting("BATCH_SIZE"), len(graph))):
        sights = platform.sights(course_key, graph, batch, now=timezone.now())
        yield from _live(course_key, graph, {user_id: sights[user_id] for user_id in batch}, levels)


def records_of(
    course_key: CourseKey, *, user_ids: Collection[int] | None = None, levels: Collection[str] | None = None
) -> Iterator[ProgressRecord]:
    """Yield ``of_course`` as flat records, a row for each learner and block."""
    found = of_course(course_key, user_ids=user_ids, levels=levels)
    while batch := list(islice(found, RECORDS_AT_ONCE)):
        names = usernames([each.user_id for each in batch])
        for learner in batch:
            for block in learner.blocks:
                yield ProgressRecord(learner.user_id, names.get(learner.user_id, ""), block)


def usernames(user_ids: Collection[int]) -> dict[int, str]:
    """Return the username of each of these users."""
    model = get_user_model()
    return dict(model._default_manager.filter(pk__in=user_ids).values_list("pk", model.USERNAME_FIELD))


def summary_of(course_key: CourseKey, *, levels: Collection[str] | None = None) -> CourseSummary:
    """Return where a class stands, from the learners' completion vectors as last refreshed. Raises UnknownCourse."""
    course = open_course(course_key)
    titles, depths = course.graph.titles, _depths(course.graph)
    counts: dict[int, _Counts] = {}
    sums: dict[int, float] = {}
    percents: list[float] = []
    size = bounded(setting("BATCH_SIZE"), len(course.leaves))
    for batch in _batched(get_platform().enrolled_user_ids(course_key), size):
        for tallies in _from_vectors(course, batch):
            percents += tallies.percent[tallies.view.root].tolist()
            for row, block in enumerate(tallies.view.aggregators.tolist()):
                counted = _count(tallies, row)
                before = counts.get(block, (0, 0, 0, 0))
                counts[block] = tuple(a + b for a, b in zip(before, counted, strict=True))
                sums[block] = sums.get(block, 0.0) + float(tallies.percent[row].sum())
    blocks = [
        BlockSummary(
            block_key=course.keys[block],
            block_type=course.types[block],
            title=titles[block],
            depth=depths[block],
            learners=counts[block][0],
            started=counts[block][1],
            half=counts[block][2],
            finished=counts[block][3],
            mean=sums[block] / counts[block][0],
        )
        for block in sorted(counts)
        if _asked(course.types[block], levels)
    ]
    histogram, _ = np.histogram(percents, bins=HISTOGRAM_BINS, range=(0.0, 1.0))
    mean = sum(percents) / len(percents) if percents else 0.0
    return CourseSummary(course_key, titles[0], len(percents), mean, tuple(blocks), tuple(histogram.tolist()))


def _count(tallies: Tallies, row: int) -> _Counts:
    """Return how many learners see a block, started it, are half through, and finished."""
    percent, earned = tallies.percent[row], tallies.earned[row]
    return (
        len(percent),
        int(np.count_nonzero(earned > 0)),
        int(np.count_nonzero(percent >= 0.5)),
        int(np.count_nonzero(percent == 1.0)),
    )


def _live(
    course_key: CourseKey, graph: CourseGraph, sights: Mapping[int, Sight], levels: Collection[str] | None
) -> Iterator[LearnerProgress]:
    """Yield progress in the order of *sights* from the facts, read with one query."""
    names = _Names(graph.keys, graph.types, graph.titles)
    numbers = LeafNumbers(0, {key: number for number, key in enumerate(graph.completable_keys)})
    rows = {user_id: row for row, user_id in enumerate(sights)}
    values, times = _facts(course_key, numbers, rows)
    done: dict[int, LearnerProgress] = {}
    for view, user_ids in _by_view(graph, sights):
        at = [rows[user_id] for user_id in user_ids]
        leaves = numbers.of([names.keys[block] for block in view.leaves.tolist()])
        tallies = tallies_of(view, leaves, values[at], times[at], [sights[user_id] for user_id in user_ids])
        for column, user_id in enumerate(user_ids):
            done[user_id] = _learner(user_id, tallies, column, names, levels)
    return (done[user_id] for user_id in sights)


def _facts(course_key: CourseKey, leaves: LeafNumbers, rows: Mapping[int, int]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the completions of these learners (user id to row) and their times, shape (learners, leaf numbers)."""
    read = completions.of_learners(course_key, list(rows))
    at = np.fromiter((rows[user_id] for user_id in read.user_ids.tolist()), dtype=np.intp, count=len(read))
    numbers = np.fromiter(
        (leaves.numbers.get(completions.full_key(key, course_key), -1) for key in read.keys),
        dtype=np.intp, count=len(read),
    )  # fmt: skip
    values = np.full((len(rows), len(leaves)), np.nan)
    times = np.full(values.shape, NEVER, dtype=np.int64)
    leaf = numbers >= 0
    values[at[leaf], numbers[leaf]] = read.values[leaf]
    times[at[leaf], numbers[leaf]] = read.times[leaf]
    return values, times


def _learner(
    user_id: int, tallies: Tallies, column: int, graph: _Names, levels: Collection[str] | None
) -> LearnerProgress:
    sums = (
        tallies.earned, tallies.possible, tallies.percent,
        tallies.optional_earned, tallies.optional_possible, tallies.optional_percent,
    )  # fmt: skip
    numbers = np.stack([each[:, column] for each in sums], axis=1).tolist()
    times = [NEVER] * len(numbers) if tallies.newest is None else tallies.newest[:, column].tolist()

    def tally(row: int, block: int) -> BlockProgress:
        earned, possible, percent, optional_earned, optional_possible, optional_percent = numbers[row]
        return BlockProgress(
            block_key=graph.keys[block],
            block_type=graph.types[block],
            title=graph.titles[block],
            earned=earned,
            possible=possible,
            percent=percent,
            optional_earned=optional_earned,
            optional_possible=optional_possible,
            optional_percent=optional_percent,
            last_modified=None if times[row] == NEVER else moment_of(times[row]),
        )

    blocks = tallies.view.aggregators.tolist()
    in_order = sorted((block, row) for row, block in enumerate(blocks) if _asked(graph.types[block], levels))
    root = tallies.view.root
    return LearnerProgress(user_id, tally(root, blocks[root]), tuple(tally(row, block) for block, row in in_order))


def _from_vectors(course: Course, user_ids: Sequence[int]) -> Iterator[Tallies]:
    sights = get_platform().sights(course.key, course.graph, user_ids, now=timezone.now())
    states = state.of_learners(course.row.pk, user_ids)
    unpacked = vector.unpack([states[user_id].vector if user_id in states else b"" for user_id in user_ids])
    values: Floats = unpacked.dense(np.arange(len(course.leaves)), absent=np.nan).T
    # The next refresh writes a damaged vector anew; until then its learner is read from the facts, like a new one.
    broken = list(unpacked.damaged)
    values[broken], _ = _facts(course.key, course.leaves, {user_ids[row]: nth for nth, row in enumerate(broken)})
    rows = {user_id: row for row, user_id in enumerate(user_ids)}
    for view, learners in _by_view(course.graph, {user_id: sights[user_id] for user_id in user_ids}):
        at = [rows[user_id] for user_id in learners]
        yield tallies_of(view, course.numbers(view), values[at], None, [sights[user_id] for user_id in learners])


def _by_view(graph: CourseGraph, sights: Mapping[int, Sight]) -> list[tuple[View, list[int]]]:
    views: dict[str, View] = {}
    learners: dict[str, list[int]] = {}
    for user_id, view in zip(sights, views_of(graph, sights.values()), strict=True):
        views[view.digest] = view
        learners.setdefault(view.digest, []).append(user_id)
    return [(view, learners[digest]) for digest, view in views.items()]


def _depths(graph: CourseGraph) -> list[int]:
    depths = [0] * len(graph)
    for block, children in enumerate(graph.children):
        for child in children:
            depths[child] = max(depths[child], depths[block] + 1)
    return depths


def _asked(block_type: str, levels: Collection[str] | None) -> bool:
    if levels is None:
        return block_type in block_types()
    return block_type in levels or not ALL_LEVELS.isdisjoint(levels)


def _batched(ids: Iterator[int], size: int) -> Iterator[list[int]]:
    while batch := list(islice(ids, size)):
        yield batch
