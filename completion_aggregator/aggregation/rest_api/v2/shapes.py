"""The answers of v2, made from records: nothing here asks the database."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.api import BlockSummary, CourseSummary, RosterEntry, Standing
from completion_aggregator.aggregation.records import Row, iso
from completion_aggregator.aggregation.rest_api.renderers import Entries
from completion_aggregator.course_graph.rollup import NEVER
from completion_aggregator.course_graph.visibility import moment_of
from completion_aggregator.exceptions import CompletionAggregatorError

Shape: TypeAlias = dict[str, Any]
#: Blocks that a tree shows at most, each way to one counted, and how deep it may be: JSON readers have limits, too.
MOST_WRITTEN: Final = 100_000
MOST_NESTED: Final = 100


class TooLarge(CompletionAggregatorError):
    """The blocks of a course would make too large a tree: list them flat, or fewer levels."""


def tally(sums: Sequence[float]) -> Shape:
    """Return earned, possible and percent, and the same of what is optional."""
    earned, possible, percent, *optional = sums
    return {
        "earned": earned,
        "possible": possible,
        "percent": percent,
        "optional": dict(zip(("earned", "possible", "percent"), optional, strict=True)),
    }


def course_progress(sums: Sequence[float], last_activity: datetime | None) -> Shape:
    """Return a learner's tally of the course, with when she was last active in it."""
    return {**tally(sums), "last_activity": iso(last_activity)}


def course_entry(course_key: CourseKey, standing: Standing | None) -> Shape:
    """Return one course of a learner; without progress where its content cannot be read."""
    if standing is None:
        return {"course_key": str(course_key), "title": "", "progress": None}
    progress = course_progress(standing.sums[0].tolist(), standing.last_activity)
    return {"course_key": str(course_key), "title": standing.blocks.titles[0], "progress": progress}


def learner(standing: Standing, listed: Sequence[int], *, tree: bool) -> Shape:
    """Return a learner's progress in a course, and the blocks that are *listed*, flat or nested."""
    sums = standing.sums.tolist()
    times = [NEVER] * len(sums) if standing.times is None else standing.times.tolist()
    shapes = {
        row: {
            **_block(standing, row, sums[row]),
            "last_activity": None if times[row] == NEVER else iso(moment_of(times[row])),
        }
        for row in listed
    }
    return {
        "title": standing.blocks.titles[0],
        "progress": course_progress(sums[0], standing.last_activity),
        "blocks": _nested(standing, shapes) if tree else list(shapes.values()),
    }


def learners(entries: Sequence[RosterEntry], listing: "Listing") -> Entries:
    """Return the learners of a page, each made when it is written."""
    return Entries([partial(_entry, entry, listing) for entry in entries])


def rows(course_id: str, roster: api.Roster, listing: "Listing") -> Iterator[Row]:
    """Yield the rows of an export: for each learner the course, then the blocks that are listed."""
    for entry in roster.entries:
        yield (entry.username, course_id, roster.block_key, roster.block_type, *entry.sums, entry.last_modified)
        if entry.standing is not None:
            blocks, sums = entry.standing.blocks, entry.standing.sums.tolist()
            for row in listing(entry.standing):
                # When a block below the course was last completed, a completion vector does not say.
                yield (entry.username, course_id, blocks.keys[row], blocks.types[row], *sums[row], None)


def summary(found: CourseSummary) -> Shape:
    """Return a class as a whole; the course itself is not listed among its blocks."""
    listed = (block for block in found.blocks if block.depth)
    return {
        "course_key": str(found.course_key),
        "title": found.title,
        "learners": found.learners,
        "started": found.started,
        "half": found.half,
        "finished": found.finished,
        "mean": found.mean,
        "deciles": found.deciles,
        "histogram": found.histogram,
        "blocks": [_block_summary(block) for block in listed],
    }


class Listing:
    """Which rows of a learner's tree are listed; learners who see one tree share them."""

    def __init__(self, levels: frozenset[str] | None) -> None:
        self._levels = levels
        self._rows: dict[object, tuple[int, ...]] = {}

    def __call__(self, standing: Standing) -> tuple[int, ...]:
        """Return the rows of the levels asked for, the course itself left out."""
        blocks = standing.blocks
        if blocks not in self._rows:
            wanted = (row for row, kind in enumerate(blocks.types) if row and api.levels_ask(kind, self._levels))
            self._rows[blocks] = tuple(wanted)
        return self._rows[blocks]


def _entry(entry: RosterEntry, listing: Listing) -> Shape:
    shape: Shape = {
        "username": entry.username,
        "as_of": iso(entry.as_of),
        "progress": course_progress(entry.sums, entry.last_activity),
        "blocks": [],
    }
    if entry.standing is not None:
        standing, sums = entry.standing, entry.standing.sums.tolist()
        shape["blocks"] = [_block(standing, row, sums[row]) for row in listing(standing)]
    return shape


def _block(standing: Standing, row: int, sums: Sequence[float]) -> Shape:
    blocks = standing.blocks
    return {
        "block_key": blocks.keys[row],
        "block_type": blocks.types[row],
        "title": blocks.titles[row],
        **tally(sums),
    }


def _nested(standing: Standing, shapes: dict[int, Shape]) -> list[Shape]:
    """Return the shapes that have no listed ancestor but the course; the others stand in their ancestors' children."""
    top: list[Shape] = []
    nearest: dict[int, dict[int, None]] = {0: {0: None}}
    for shape in shapes.values():
        shape["children"] = []
    for row in range(1, len(standing.blocks.keys)):  # parents come first
        above = dict.fromkeys(each for parent in standing.blocks.parents[row] for each in nearest[parent])
        if row in shapes:
            for ancestor in above:
                (shapes[ancestor]["children"] if ancestor else top).append(shapes[row])
        nearest[row] = {row: None} if row in shapes else above
    if _written(shapes, top) > MOST_WRITTEN:
        raise TooLarge
    return top


def _written(shapes: dict[int, Shape], top: Sequence[Shape]) -> float:
    """Return how many blocks a tree shows, one with two parents twice; infinity if it is too deep for JSON."""
    sizes: dict[int, tuple[int, int]] = {}
    for shape in reversed(shapes.values()):  # children come after their parents
        below = [sizes[id(child)] for child in shape["children"]]
        sizes[id(shape)] = 1 + sum(size for size, _ in below), 1 + max((depth for _, depth in below), default=0)
    if max((depth for _, depth in sizes.values()), default=0) > MOST_NESTED:
        return float("inf")
    return sum(sizes[id(shape)][0] for shape in top)


def _block_summary(block: BlockSummary) -> Shape:
    return {
        "block_key": block.block_key,
        "block_type": block.block_type,
        "title": block.title,
        "depth": block.depth,
        "learners": block.learners,
        "started": block.started,
        "half": block.half,
        "finished": block.finished,
        "mean": block.mean,
        "deciles": block.deciles,
    }
