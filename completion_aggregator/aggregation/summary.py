"""Where a class stands: each block of a course, over all who are enrolled."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Final

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import completions, seen, state
from completion_aggregator.aggregation.batch import Floats
from completion_aggregator.aggregation.courses import KnownCourse, bounded, known_course
from completion_aggregator.aggregation.progress import asked
from completion_aggregator.aggregation.standings import batched, tallies_from_facts, tallies_from_vectors
from completion_aggregator.conf import setting
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.rollup import Tallies
from completion_aggregator.ports import get_platform

HISTOGRAM_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class BlockSummary:
    """A class at one block: of those who see it, how many started, are half through, and finished; the mean percent.

    ``deciles``: see ``deciles_of``.
    """

    block_key: str
    block_type: str
    title: str
    depth: int
    learners: int
    started: int
    half: int
    finished: int
    mean: float
    deciles: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class CourseSummary:
    """A class in one course: how many started, are half through, and finished; the mean percent and the deciles.

    ``histogram``: learners by course percent, in tenths, the last one with 100 % included.
    """

    course_key: CourseKey
    title: str
    learners: int
    mean: float
    blocks: tuple[BlockSummary, ...]
    histogram: tuple[int, ...]
    deciles: tuple[float, ...] = ()
    started: int = 0
    half: int = 0
    finished: int = 0


@dataclass(slots=True)
class _Counted:
    """The percents of a class at one block: every value there is, ascending, and how many learners have it.

    A course has few: they are fractions of as many leaves as the block has.
    """

    values: Floats = field(default_factory=lambda: np.empty(0))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    started: int = 0

    def add(self, percents: Floats, earned: Floats) -> None:
        values, counts = np.unique(percents, return_counts=True)
        merged, at = np.unique(np.concatenate([self.values, values]), return_inverse=True)
        both = np.zeros(len(merged), dtype=np.int64)
        np.add.at(both, at, np.concatenate([self.counts, counts]))
        self.values, self.counts = merged, both
        self.started += int(np.count_nonzero(earned > 0))

    @property
    def learners(self) -> int:
        return int(self.counts.sum())

    def at_least(self, percent: float) -> int:
        return int(self.counts[self.values >= percent].sum())

    @property
    def mean(self) -> float:
        return fsum((self.values * self.counts).tolist()) / self.learners if self.learners else 0.0

    @property
    def histogram(self) -> tuple[int, ...]:
        counted, _ = np.histogram(self.values, bins=HISTOGRAM_BINS, range=(0.0, 1.0), weights=self.counts)
        return tuple(counted.astype(np.int64).tolist())


def summary_of(course_key: CourseKey, *, levels: Collection[str] | None = None) -> CourseSummary:
    """Return where a class stands, from the learners' completion vectors as last refreshed.

    Whoever was never refreshed counts with her completions of now. Memory holds a batch of learners, and for each block
    the values that occur. Raises UnknownCourse or InvalidCourse.
    """
    course = known_course(course_key)
    types, counted = course.graph.types, dict[int, _Counted]()
    size = bounded(setting("BATCH_SIZE"), len(course.graph))
    for user_ids in batched(get_platform().enrolled_user_ids(course_key), size):
        for tallies in _tallies(course, user_ids):
            for row, block in enumerate(tallies.view.aggregators.tolist()):
                if block == 0 or asked(types[block], levels):
                    counted.setdefault(block, _Counted()).add(tallies.percent[row], tallies.earned[row])
    whole = counted.get(0) or _Counted()
    return CourseSummary(
        course_key=course_key,
        title=course.graph.titles[0],
        learners=whole.learners,
        mean=whole.mean,
        blocks=tuple(_blocks(course.graph, {b: counted[b] for b in sorted(counted) if asked(types[b], levels)})),
        histogram=whole.histogram,
        deciles=deciles_of(whole.values, whole.counts),
        started=whole.started,
        half=whole.at_least(0.5),
        finished=whole.at_least(1.0),
    )


def deciles_of(values: Sequence[float] | Floats, counts: Sequence[int] | NDArray[np.int64]) -> tuple[float, ...]:
    """Return the nine deciles, 10 to 90 %, of values that occur so often; *values* ascend. Nothing of nothing.

    By nearest rank: the k-th decile of n values is the ceil(k * n / 10)-th smallest, and so always one that occurs.
    That is definition 1 of R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", The American
    Statistician 50 (1996), pages 361-365: the inverse of the empirical distribution function.
    """
    reached = np.cumsum(np.asarray(counts, dtype=np.int64))
    learners = int(reached[-1]) if len(reached) else 0
    if not learners:
        return ()
    ranks = [(tenth * learners + 9) // 10 for tenth in range(1, 10)]
    found = np.asarray(values, dtype=np.float64)[np.searchsorted(reached, ranks, side="left")]
    return tuple(found.tolist())


def _tallies(course: KnownCourse, user_ids: Sequence[int]) -> Iterator[Tallies]:
    sights = seen.by_learners(course.key, course.graph, user_ids, now=timezone.now())
    states = state.packed(course.row.pk, user_ids) if course.row.pk else {}
    built = {user_id: sights[user_id] for user_id in user_ids if user_id in states and states[user_id].built}
    new = {user_id: sights[user_id] for user_id in user_ids if user_id not in built}
    for tallies, _ in tallies_from_vectors(course, built, states):
        yield tallies
    if new:
        facts = completions.of_learners(course.key, list(new))
        for tallies, _ in tallies_from_facts(course.key, course.graph, new, facts):
            yield tallies


def _blocks(graph: CourseGraph, counted: Mapping[int, _Counted]) -> Iterator[BlockSummary]:
    keys, types, titles, depths = graph.keys, graph.types, graph.titles, _depths(graph)
    for block, found in counted.items():
        yield BlockSummary(
            block_key=keys[block],
            block_type=types[block],
            title=titles[block],
            depth=depths[block],
            learners=found.learners,
            started=found.started,
            half=found.at_least(0.5),
            finished=found.at_least(1.0),
            mean=found.mean,
            deciles=deciles_of(found.values, found.counts),
        )


def _depths(graph: CourseGraph) -> list[int]:
    depths = [0] * len(graph)
    for block, children in enumerate(graph.children):
        for child in children:
            depths[child] = max(depths[child], depths[block] + 1)
    return depths
