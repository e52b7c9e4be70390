"""The facts: rows of edx-completion's ``BlockCompletion``, read as arrays.

No model instances and no parsed keys: a course of a thousand learners has a third of a million rows.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.course_graph.visibility import microseconds
from completion_aggregator.upsert import among

TABLE: Final = "completion_blockcompletion"

#: ``modified`` as microseconds since 1970: to make a datetime of each would cost more than to read the row.
#: SQLite gets whole seconds to convert, for it would round the others to milliseconds, and so up to the next second.
_MICROS: Final = {
    "sqlite": (
        "CAST(strftime('%%s', substr(c.modified, 1, 19)) AS INTEGER) * 1000000"
        " + CAST(substr(substr(c.modified, 21) || '000000', 1, 6) AS INTEGER)"
    ),
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', c.modified)",
    "postgresql": "(EXTRACT(EPOCH FROM c.modified) * 1000000)::bigint",
}
# The optimiser reads an OR of equalities on the unique index (course, block, user) as single look-ups. It does not do
# that for pairs in one IN, and a joined table of pairs would have to guess the collation of the column.
_PAIRS: Final = {
    "sqlite": (
        "SELECT c.user_id, c.block_key, c.completion, {micros} FROM json_each(%s) AS pair CROSS JOIN {table} AS c"
        " WHERE c.course_key = %s AND c.block_key = json_extract(pair.value, '$[0]')"
        " AND c.user_id = json_extract(pair.value, '$[1]')"
    ),
    "postgresql": (
        "SELECT c.user_id, c.block_key, c.completion, {micros}"
        " FROM unnest(%s::text[], %s::bigint[]) AS pair(block, learner)"
        " JOIN {table} AS c ON c.course_key = %s AND c.block_key = pair.block AND c.user_id = pair.learner"
    ),
}


_ROW: Final = np.dtype([("user_id", "i8"), ("key", "O"), ("value", "f8"), ("time", "i8")])


@dataclass(frozen=True, eq=False)
class Completions:
    """Completions of one course: for each, the learner, the usage key as stored, the value, the time in microseconds.

    Values are as the definition wants them, in [0, 1]: ``mended`` counts those that were not.
    """

    user_ids: NDArray[np.int64]
    keys: Sequence[str]
    values: NDArray[np.float64]
    times: NDArray[np.int64]
    mended: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    def until(self, moment: datetime) -> "Completions":
        """Return those that were last changed at or before *moment*."""
        kept = self.times <= microseconds(moment)
        keys = [key for key, keep in zip(self.keys, kept.tolist(), strict=True) if keep]
        return Completions(self.user_ids[kept], keys, self.values[kept], self.times[kept], self.mended)


def of_learners(course_key: CourseKey, user_ids: Collection[int]) -> Completions:
    """Return every completion of these learners in the course, with one query."""
    if not user_ids:
        return _completions([])
    return _read(
        f"SELECT c.user_id, c.block_key, c.completion, {_MICROS[connection.vendor]} FROM {TABLE} c"
        f" WHERE {among('c.user_id', len(user_ids))} AND c.course_key = %s",
        [*user_ids, str(course_key)],
    )


def of_pairs(course_key: CourseKey, pairs: Mapping[str, Collection[int]]) -> Completions:
    """Return the completions of these blocks by these learners, with one query that looks up nothing else."""
    if not pairs:
        return _completions([])
    micros, course = _MICROS[connection.vendor], str(course_key)
    flat = [(key, user_id) for key, user_ids in sorted(pairs.items()) for user_id in sorted(user_ids)]
    if connection.vendor == "sqlite":
        return _read(_PAIRS["sqlite"].format(micros=micros, table=TABLE), [json.dumps(flat), course])
    if connection.vendor == "postgresql":
        keys, learners = [key for key, _ in flat], [user_id for _, user_id in flat]
        return _read(_PAIRS["postgresql"].format(micros=micros, table=TABLE), [keys, learners, course])
    either = " OR ".join(
        f"(c.block_key = %s AND c.user_id IN ({', '.join(['%s'] * len(user_ids))}))" for user_ids in pairs.values()
    )
    parameters = [value for key, user_ids in pairs.items() for value in (key, *user_ids)]
    return _read(
        f"SELECT c.user_id, c.block_key, c.completion, {micros} FROM {TABLE} c WHERE c.course_key = %s AND ({either})",
        [course, *parameters],
    )


def of_learner(user_id: int, course_keys: Collection[CourseKey]) -> dict[CourseKey, Completions]:
    """Return every completion of one learner in each of these courses, with one query."""
    rows: dict[str, list[tuple[int, str, float, int]]] = {str(course_key): [] for course_key in course_keys}
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT c.course_key, c.user_id, c.block_key, c.completion, {_MICROS[connection.vendor]}"
                f" FROM {TABLE} c WHERE c.user_id = %s AND c.course_key IN ({', '.join(['%s'] * len(rows))})",
                [user_id, *rows],
            )
            for course, *row in cursor.fetchall():
                if course in rows:  # the column may compare without case
                    rows[course].append(tuple(row))
    return {course_key: _completions(rows[str(course_key)]) for course_key in course_keys}


@lru_cache(maxsize=8192)
def full_key(key: str, course_key: CourseKey) -> str:
    """Return *key* with the run filled in: keys of old courses are stored without it."""
    if not key.startswith("i4x:"):
        return key
    try:
        return str(UsageKey.from_string(key).map_into_course(course_key))
    except (InvalidKeyError, AttributeError):
        return key


def _read(sql: str, parameters: list[Any]) -> Completions:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return _completions(cursor.fetchall())


def _completions(rows: Sequence[tuple[int, str, float, int]]) -> Completions:
    table = np.fromiter(rows, dtype=_ROW, count=len(rows))
    whole = np.clip(np.nan_to_num(table["value"], nan=0.0), 0.0, 1.0)
    return Completions(
        user_ids=table["user_id"],
        keys=table["key"].tolist(),
        values=whole,
        times=table["time"],
        mended=int(np.count_nonzero(table["value"] != whole)),
    )
