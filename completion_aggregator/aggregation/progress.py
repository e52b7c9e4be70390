"""Progress as records: of one learner, of many, worked out now. Nothing here writes or needs the projection."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.courses import bounded, graph_of
from completion_aggregator.aggregation.standings import Standing, batched, live_standing, live_standings, usernames
from completion_aggregator.conf import block_types, setting
from completion_aggregator.course_graph.rollup import NEVER
from completion_aggregator.course_graph.visibility import moment_of
from completion_aggregator.ports import get_platform

#: Ask for these levels to get every aggregator of the course, whatever its type.
ALL_LEVELS: Final = frozenset({"all"})
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


def of_learner(user_id: int, course_key: CourseKey, *, levels: Collection[str] | None = None) -> LearnerProgress:
    """Return a learner's progress, worked out now from her completions with three queries. Raises UnknownCourse."""
    return _progress(live_standing(user_id, course_key), levels)


def of_course(
    course_key: CourseKey, *, user_ids: Collection[int] | None = None, levels: Collection[str] | None = None
) -> Iterator[LearnerProgress]:
    """Yield the progress of many learners (all active enrollments) by user id, worked out now from their completions.

    Memory holds one batch of learners, whatever the size of the course. Raises UnknownCourse.
    """
    wanted = iter(sorted(user_ids)) if user_ids is not None else get_platform().enrolled_user_ids(course_key)
    for batch in batched(wanted, bounded(setting("BATCH_SIZE"), len(graph_of(course_key)))):
        found = live_standings(course_key, batch)
        yield from (_progress(found[user_id], levels) for user_id in batch)


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


def asked(block_type: str, levels: Collection[str] | None) -> bool:
    """Return whether *levels* (None: those of the settings) ask for blocks of this type."""
    if levels is None:
        return block_type in block_types()
    return block_type in levels or not ALL_LEVELS.isdisjoint(levels)


def _progress(standing: Standing, levels: Collection[str] | None) -> LearnerProgress:
    blocks, sums = standing.blocks, standing.sums.tolist()
    times = [NEVER] * len(sums) if standing.times is None else standing.times.tolist()

    def tally(row: int) -> BlockProgress:
        earned, possible, percent, optional_earned, optional_possible, optional_percent = sums[row]
        return BlockProgress(
            block_key=blocks.keys[row],
            block_type=blocks.types[row],
            title=blocks.titles[row],
            earned=earned,
            possible=possible,
            percent=percent,
            optional_earned=optional_earned,
            optional_possible=optional_possible,
            optional_percent=optional_percent,
            last_modified=None if times[row] == NEVER else moment_of(times[row]),
        )

    rows = (row for row, block_type in enumerate(blocks.types) if asked(block_type, levels))
    return LearnerProgress(standing.user_id, tally(0), tuple(map(tally, rows)))
