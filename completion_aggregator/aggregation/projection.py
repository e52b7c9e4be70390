"""The ``Aggregator`` rows that other software reads: written where they changed, removed where their block went."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from operator import itemgetter
from typing import Any, Final, TypeAlias

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.events import Change, wanted_types
from completion_aggregator.aggregation.models import NEVER_COMPLETED, Aggregator
from completion_aggregator.course_graph.rollup import Tallies
from completion_aggregator.course_graph.visibility import microseconds
from completion_aggregator.upsert import among, upsert

TABLE: Final = Aggregator._meta.db_table
_KEY: Final = ("course_key", "block_key", "user_id", "aggregation_name")
_VALUES: Final = ("earned", "possible", "percent", "optional_earned", "optional_possible", "optional_percent")
_TYPE: Final = _KEY.index("aggregation_name")
#: Of a row as ``_rows`` makes it: user id, usage key, block type, earned, possible, percent.
_CHANGE: Final = itemgetter(2, 1, 3, 4, 5, 6)
_DELETE_CHUNK: Final = 5000
# A delete by a list of ids reads, and so locks, rows between them. Joined in this order it looks up one by one.
_DELETE_MYSQL: Final = (
    "DELETE a FROM JSON_TABLE(%s, '$[*]' COLUMNS (id BIGINT PATH '$')) j"
    f" STRAIGHT_JOIN {Aggregator._meta.db_table} a ON a.id = j.id"
)
_MICROS: Final = {
    "sqlite": (
        "CAST(strftime('%%s', substr(last_modified, 1, 19)) AS INTEGER) * 1000000"
        " + CAST(substr(substr(last_modified, 21) || '000000', 1, 6) AS INTEGER)"
    ),
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', last_modified)",
    "postgresql": "(EXTRACT(EPOCH FROM last_modified) * 1000000)::bigint",
}
_NEVER_COMPLETED: Final = microseconds(NEVER_COMPLETED)

#: Usage key, block type: what tells one row of a learner and course from another.
Place: TypeAlias = tuple[str, str]
#: What is written of one tally: the columns of ``write_rows``, in their order.
Row: TypeAlias = tuple[Any, ...]
Mask: TypeAlias = NDArray[np.bool_]
_ROW: Final = np.dtype(
    [("id", "i8"), ("user_id", "i8"), ("key", "O"), ("type", "O"), ("time", "i8"), *((name, "f8") for name in _VALUES)]
)


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows were written, and what events are to tell of them."""

    rows: int = 0
    told: Sequence[Change] = ()

    def __add__(self, other: "Written") -> "Written":
        return Written(self.rows + other.rows, [*self.told, *other.told])


@dataclass(frozen=True, eq=False)
class Stored:
    """Rows of one course as they are: ``places`` numbers the blocks that have any, ``blocks`` has a number a row."""

    ids: NDArray[np.int64]
    user_ids: NDArray[np.int64]
    places: Mapping[Place, int]
    blocks: NDArray[np.intp]
    values: NDArray[np.float64]
    times: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Projected:
    """What the rows of some learners, by ascending user id, are to be.

    ``values`` has shape (6, blocks, learners), ``times`` (blocks, learners).
    """

    user_ids: Sequence[int]
    keys: Sequence[str]
    types: Sequence[str]
    values: NDArray[np.float64]
    times: NDArray[np.int64]

    def find(self, rows: Stored) -> NDArray[np.intp]:
        """Return the position of each of these tallies among *rows*, shape (blocks, learners), -1 where it is not."""
        found = np.full(self.times.shape, -1, dtype=np.intp)
        numbers = np.full(len(rows.places), -1, dtype=np.intp)
        for block, place in enumerate(zip(self.keys, self.types, strict=True)):
            if place in rows.places:
                numbers[rows.places[place]] = block
        blocks, user_ids = numbers[rows.blocks], np.array(self.user_ids, dtype=np.int64)
        learners = np.searchsorted(user_ids, rows.user_ids).clip(max=len(user_ids) - 1)
        ours = np.flatnonzero((blocks >= 0) & (user_ids[learners] == rows.user_ids))
        found[blocks[ours], learners[ours]] = ours
        return found


def project(
    tallies: Tallies, keys: Sequence[str], types: Sequence[str], levels: Collection[str], user_ids: Sequence[int]
) -> Projected:
    """Pick the blocks of the projected *levels*; *keys* and *types* are the graph's, by block number."""
    blocks = tallies.view.aggregators.tolist()
    # In the order in which rows are written, so that there is little left to sort.
    rows = sorted(
        (row for row, block in enumerate(blocks) if types[block] in levels), key=lambda row: keys[blocks[row]]
    )
    sums = (
        tallies.earned, tallies.possible, tallies.percent,
        tallies.optional_earned, tallies.optional_possible, tallies.optional_percent,
    )  # fmt: skip
    times = np.full((len(rows), len(user_ids)), _NEVER_COMPLETED)
    if tallies.newest is not None:
        times = np.maximum(times, tallies.newest[rows])
    return Projected(
        user_ids=user_ids,
        keys=[keys[blocks[row]] for row in rows],
        types=[types[blocks[row]] for row in rows],
        values=np.stack([each[rows] for each in sums]),
        times=times,
    )


def stored(course_key: CourseKey, user_ids: Collection[int]) -> Stored:
    """Return every row of these learners in the course, of whatever type, with one query."""
    rows: Sequence[tuple[Any, ...]] = ()
    if user_ids:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, user_id, block_key, aggregation_name, {_MICROS[connection.vendor]}, {', '.join(_VALUES)}"
                f" FROM {TABLE} WHERE {among('user_id', len(user_ids))} AND course_key = %s",
                [*user_ids, str(course_key)],
            )
            rows = cursor.fetchall()
    read, places = np.fromiter(rows, dtype=_ROW, count=len(rows)), dict[Place, int]()
    each_place = zip(read["key"].tolist(), read["type"].tolist(), strict=True)
    return Stored(
        ids=read["id"],
        user_ids=read["user_id"],
        places=places,
        blocks=np.fromiter((places.setdefault(each, len(places)) for each in each_place), np.intp, len(rows)),
        values=np.stack([read[name] for name in _VALUES]),
        times=read["time"],
    )


def differing(projected: Projected, rows: Stored) -> Mask:
    """Return which tallies, shape (blocks, learners), are not stored exactly so."""
    found = projected.find(rows)
    exists = found >= 0
    same = np.zeros(found.shape, dtype=np.bool_)
    at = found[exists]
    same[exists] = (rows.values[:, at] == projected.values[:, exists]).all(axis=0)
    same[exists] &= rows.times[at] == projected.times[exists]
    return ~same


def vanished(projected: Sequence[Projected], rows: Stored) -> list[int]:
    """Return the ids of the rows that no learner is to have: their block went, or is no longer seen or projected."""
    wanted = np.zeros(len(rows.ids) + 1, dtype=np.bool_)
    for each in projected:
        wanted[each.find(rows)] = True  # the last one, at -1, stands for all that are not there
    return list(rows.ids[~wanted[:-1]].tolist())


def write(
    course_key: CourseKey, chosen: Sequence[tuple[Projected, Mask]], *, now: datetime, keep_newer: bool = False
) -> Written:
    """Write the rows that the masks, shape (blocks, learners), choose.

    *keep_newer*: the times are of the changed completions alone, so that a later one that is stored stays.
    """
    return write_rows(
        [row for projected, mask in chosen for row in _rows(course_key, projected, mask, now)], keep_newer=keep_newer
    )


def write_rows(rows: Sequence[Row], *, keep_newer: bool = False) -> Written:
    """Write these rows."""
    upsert(
        TABLE, (*_KEY, *_VALUES, "last_modified", "created", "modified"), _KEY, rows,
        update=(*_VALUES, "last_modified", "modified"), greatest=("last_modified",) if keep_newer else (),
    )  # fmt: skip
    types = wanted_types()
    return Written(len(rows), [Change._make(_CHANGE(row)) for row in rows if row[_TYPE] in types] if types else ())


def rows_of(
    course_key: CourseKey,
    *,
    user_ids: Sequence[int],
    keys: Sequence[str],
    types: Sequence[str],
    values: Iterable[NDArray[np.float64]],
    times: NDArray[np.int64],
    now: datetime,
) -> Iterator[Row]:
    """Yield rows to be written from columns; *times* are microseconds, ``NEVER`` or before 1900 where there is none."""
    # Naive, which is UTC to ``upsert``: a first refresh makes a quarter of a million.
    moments = np.maximum(times, _NEVER_COMPLETED).astype("datetime64[us]").tolist()
    numbers = [each.tolist() for each in values]
    return zip(repeat(str(course_key)), keys, user_ids, types, *numbers, moments, repeat(now), repeat(now))


def _rows(course_key: CourseKey, projected: Projected, mask: Mask, now: datetime) -> Iterator[Row]:
    blocks, learners = np.nonzero(mask)
    return rows_of(
        course_key,
        user_ids=[projected.user_ids[learner] for learner in learners.tolist()],
        keys=[projected.keys[block] for block in blocks.tolist()],
        types=[projected.types[block] for block in blocks.tolist()],
        values=[each[blocks, learners] for each in projected.values],
        times=projected.times[blocks, learners],
        now=now,
    )


def remove(ids: Collection[int]) -> None:
    """Delete rows by id; no others are locked, so that workers at other learners do not meet here."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _DELETE_CHUNK):
        chunk = ordered[start : start + _DELETE_CHUNK]
        if connection.vendor == "mysql":
            with connection.cursor() as cursor:
                cursor.execute(_DELETE_MYSQL, [json.dumps(chunk)])
        else:
            Aggregator.objects.filter(pk__in=chunk)._raw_delete(connection.alias)
