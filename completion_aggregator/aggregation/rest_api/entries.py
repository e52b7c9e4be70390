"""The entries of v0 and v1: one learner in one course, as clients know it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.api import Blocks, Standing
from completion_aggregator.aggregation.rest_api.parameters import Fields
from completion_aggregator.aggregation.rest_api.renderers import dumps
from completion_aggregator.aggregation.rest_api.stencils import Stencil
from completion_aggregator.conf import block_types

Entry: TypeAlias = dict[str, Any]
#: The sums of a learner of whom nothing is known.
_NOTHING: Final = (0.0, None, 0.0, 0.0, None, 0.0)
#: How a version writes one tally: earned, possible, percent.
Tally: TypeAlias = Callable[[float, float | None, float], Entry]


def tally_v1(earned: float, possible: float | None, percent: float) -> Entry:
    """Return a tally as v1 writes it."""
    return {"earned": earned, "possible": possible, "percent": percent}


def tally_v0(earned: float, possible: float | None, percent: float) -> Entry:
    """Return a tally as v0 writes it, unless it is an optional one: with the percent under its older name, too."""
    return {"earned": earned, "possible": possible, "percent": percent, "ratio": percent}


class EntryMaker:
    """Makes the entries of one request: what they hold, and which rows of a learner's tree that takes."""

    def __init__(self, fields: Fields, *, tally: Tally = tally_v1) -> None:
        self._fields = fields
        self._tally = tally
        self._rows: dict[Blocks, dict[str, list[tuple[int, str]]]] = {}
        self._stencils: dict[Blocks, Stencil | None] = {}

    def __call__(
        self, course_key: CourseKey, standing: Standing | None, *, username: str | None, mean: float | None
    ) -> "LearnerEntry":
        """Return the entry to be of a learner in a course; no standing: nothing was ever aggregated there."""
        return LearnerEntry(self, str(course_key), standing, username, mean)

    def entry(self, to_be: "LearnerEntry", sums: Sequence[Sequence[Any]], username: Any) -> Entry:
        """Return the entry with these sums, a row for each block, and this username."""
        standing = to_be.standing
        entry: Entry = {"course_key": to_be.course_key, "completion": self._tally(*sums[0][:3])}
        if username is not None:
            entry["username"] = username
        if to_be.mean is not None:
            entry["mean"] = to_be.mean
        if self._fields.optional:
            entry["optional_completion"] = tally_v1(*sums[0][3:])
        listed = dict.fromkeys(self._fields.block_types, ()) if standing is None else self._listed(standing)
        for block_type, rows in listed.items():
            entry[block_type] = [self._block(to_be.course_key, key, sums[row]) for row, key in rows]
        return entry

    def stencil(self, to_be: "LearnerEntry", standing: Standing) -> Stencil | None:
        """Return a stencil for all entries of learners who see one tree; None for the first: it may be the only one."""
        blocks = standing.blocks
        if blocks not in self._stencils:
            self._stencils[blocks] = None
            return None
        found = self._stencils[blocks]
        if found is None:
            named = to_be.username is not None
            found = self._stencils[blocks] = Stencil(
                standing.sums.shape, lambda cells, name: self.entry(to_be, cells, name if named else None)
            )
        return found

    def _block(self, course_key: str, block_key: str, sums: Sequence[Any]) -> Entry:
        block: Entry = {"course_key": course_key, "block_key": block_key, "completion": self._tally(*sums[:3])}
        if self._fields.optional:
            block["optional_completion"] = tally_v1(*sums[3:])
        return block

    def _listed(self, standing: Standing) -> dict[str, list[tuple[int, str]]]:
        """Return the rows to list, with their keys, by block type; learners who see one tree share them."""
        blocks = standing.blocks
        if blocks not in self._rows:
            told = block_types()
            below = self._below(standing)
            self._rows[blocks] = {
                wanted: [
                    (row, key)
                    for row, (key, block_type) in enumerate(zip(blocks.keys, blocks.types, strict=True))
                    if block_type == wanted and wanted in told and row in below
                ]
                for wanted in self._fields.block_types
            }
        return self._rows[blocks]

    def _below(self, standing: Standing) -> set[int] | range:
        """Return the rows at or below the root block."""
        blocks, root = standing.blocks, self._fields.root_block
        if root is None:
            return range(len(blocks.keys))
        below = set[int]()
        for row, key in enumerate(blocks.keys):  # parents come first
            if key == root or not below.isdisjoint(blocks.parents[row]):
                below.add(row)
        return below


@dataclass(frozen=True, slots=True)
class LearnerEntry:
    """One learner in one course, to be made into a dictionary or written as JSON."""

    maker: EntryMaker
    course_key: str
    standing: Standing | None
    username: str | None
    mean: float | None

    def __call__(self) -> Entry:
        """Return the entry as a dictionary."""
        sums: list[Any] = [_NOTHING] if self.standing is None else self.standing.sums.tolist()
        return self.maker.entry(self, sums, self.username)

    def json(self) -> bytes:
        """Return the entry as JSON."""
        stencil = None if self.standing is None else self.maker.stencil(self, self.standing)
        if stencil is None or self.standing is None:
            return dumps(self())
        return stencil.fill(self.standing.sums, self.username)
