"""Where a class stands: each block of a course, over all who are enrolled."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import state
from completion_aggregator.aggregation.courses import bounded, known_course
from completion_aggregator.aggregation.progress import asked, batched, tallies_from_vectors
from completion_aggregator.conf import setting
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.rollup import Tallies
from completion_aggregator.ports import get_platform

#: Learners who see a block, started it, are half through, finished it.
_Counts: TypeAlias = tuple[int, ...]
HISTOGRAM_BINS: Final = 10


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


def summary_of(course_key: CourseKey, *, levels: Collection[str] | None = None) -> CourseSummary:
    """Return where a class stands, from the learners' completion vectors as last refreshed. Raises UnknownCourse."""
    course = known_course(course_key)
    keys, types, titles, depths = course.graph.keys, course.graph.types, course.graph.titles, _depths(course.graph)
    counts: dict[int, _Counts] = {}
    sums: dict[int, float] = {}
    percents: list[float] = []
    size = bounded(setting("BATCH_SIZE"), len(course.leaves))
    for batch in batched(get_platform().enrolled_user_ids(course_key), size):
        sights = get_platform().sights(course.key, course.graph, batch, now=timezone.now())
        states = state.of_learners(course.row.pk, batch) if course.row.pk else {}
        for tallies, _ in tallies_from_vectors(course, {user_id: sights[user_id] for user_id in batch}, states):
            percents += tallies.percent[tallies.view.root].tolist()
            for row, block in enumerate(tallies.view.aggregators.tolist()):
                counted = _count(tallies, row)
                before = counts.get(block, (0, 0, 0, 0))
                counts[block] = tuple(a + b for a, b in zip(before, counted, strict=True))
                sums[block] = sums.get(block, 0.0) + float(tallies.percent[row].sum())
    blocks = [
        BlockSummary(
            block_key=keys[block],
            block_type=types[block],
            title=titles[block],
            depth=depths[block],
            learners=counts[block][0],
            started=counts[block][1],
            half=counts[block][2],
            finished=counts[block][3],
            mean=sums[block] / counts[block][0],
        )
        for block in sorted(counts)
        if asked(types[block], levels)
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


def _depths(graph: CourseGraph) -> list[int]:
    depths = [0] * len(graph)
    for block, children in enumerate(graph.children):
        for child in children:
            depths[child] = max(depths[child], depths[block] + 1)
    return depths
