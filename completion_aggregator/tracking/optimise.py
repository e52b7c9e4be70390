"""Small parts into large ones, sorted by course and time; and persons who were known by name alone by their number."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Final

import duckdb
import pyarrow as pa

from completion_aggregator.tracking import loading, tables
from completion_aggregator.tracking.columns import DAY
from completion_aggregator.tracking.engine import engine
from completion_aggregator.tracking.ledger import Ledger, Part
from completion_aggregator.tracking.replacement import BATCH_ROWS, Replacement, files
from completion_aggregator.tracking.store import Store

#: Whoever opened the parts a moment before may read them for so long.
GRACE: Final = timedelta(hours=1)
#: Rows of a part; a day that has more is in several.
MOST_ROWS: Final = 20_000_000

#: Told after each day: bytes that were read.
Advance = Callable[[int], None]

_SORTED: Final = ("course", "time", "event_id")


@dataclass(slots=True)
class Optimised:
    """What was done, or would be. ``joined``: names whose number is known now; ``ambiguous``: names of several."""

    days: int = 0
    parts_before: int = 0
    parts_after: int = 0
    rows: int = 0
    bytes: int = 0
    joined: int = 0
    ambiguous: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """Parts of one table and day that become one."""

    name: str
    day: int
    old: tuple[Part, ...]

    @property
    def bytes(self) -> int:
        """How much is read."""
        return sum(part.bytes for part in self.old)


def plan(store: Store, *, days: int | None = None) -> Optimised:
    """Say what there is to do."""
    with store.reading() as ledger, engine(store, "plan") as connection:
        return _summary(connection, _steps(_Joined(connection, store, ledger, is_whole=not days), days))


def optimise(
    store: Store, advance: Advance, *, days: int | None = None, begin: Callable[[Optimised], None] = lambda _: None
) -> Optimised:
    """Merge and join; *days*: only the last ones. *begin* is told what there is to do. Raises StoreInUse."""
    with store.writing() as ledger, engine(store, "optimise") as connection:
        loading.sweep(store, ledger)
        joined = _Joined(connection, store, ledger, is_whole=not days)
        steps = _steps(joined, days)
        done = _summary(connection, steps)
        begin(done)
        done.parts_after = 0
        # People last: as long as a name is in their table without a number, days may be left to be joined.
        for _, group in groupby(steps, key=lambda step: (step.name == "person", step.day)):
            together = list(group)
            with Replacement(store, ledger, "optimise") as replacement:
                for step in together:
                    done.parts_after += replacement.replace(step.old, joined.rows(step), most=MOST_ROWS)
                replacement.commit(grace=GRACE)
            advance(sum(step.bytes for step in together))
        return done


class _Joined:
    """The store, as it is read for this: with names that have exactly one number as that number.

    *is_whole*: all days are looked at. If not, the table of people keeps names without it, for the days that are left.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, store: Store, ledger: Ledger, *, is_whole: bool) -> None:
        self.connection, self._store, self.ledger, self._is_whole = connection, store, ledger, is_whole
        people = ledger.parts("person")
        connection.execute(_NO_PEOPLE)
        if people:
            connection.execute(_PEOPLE, [files(store, people)])
        for statement in _JOINED:
            connection.execute(statement)
        self._days: list[tuple[int, int]] = connection.execute(_DAYS, {"day": DAY}).fetchall()

    def holders(self, stored: Sequence[Part]) -> list[Part]:
        """Return those of the parts of one table that hold a person under a name that has a number."""
        if not stored or not self._days or "person" not in _names(stored[0].name):
            return []
        if stored[0].name == "person":
            suspect = list(stored) if self._is_whole else []
        else:
            suspect = [part for part in stored if any(low <= part.day <= high for low, high in self._days)]
        if not suspect:
            return []
        found = {row[0] for row in self.connection.execute(_HOLDERS, [files(self._store, suspect)]).fetchall()}
        return [part for part, file in zip(suspect, files(self._store, suspect), strict=True) if file in found]

    def rows(self, step: Step) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a step, sorted."""
        sql = (
            self._sorted(_names(step.name)) if step.name != "person" else _PERSON if self._is_whole else _MERGED_PERSON
        )
        yield from self.connection.sql(sql, params=[files(self._store, step.old)]).to_arrow_reader(BATCH_ROWS)

    def _sorted(self, names: list[str]) -> str:
        # Rows of an event stand in one file, in their order.
        order = ", ".join([*(name for name in _SORTED if name in names), "filename", "file_row_number"])
        columns = ", ".join(f'"{name}"' for name in names)
        source = _JOINED_PARTS if "person" in names and self._days else _PARTS
        return f"SELECT {columns} FROM ({source}) ORDER BY {order}"


def _names(table: str) -> list[str]:
    return [column.name for column in tables.TABLES[table].columns]


def _steps(joined: _Joined, days: int | None) -> list[Step]:
    steps = []
    window = _window(joined.ledger, days)
    for name in tables.TABLES:
        stored = joined.ledger.parts(name, window)
        holders = set(joined.holders(stored))
        for day, group in groupby(stored, key=lambda part: part.day):
            found = list(group)
            small = [part for part in found if part.rows < MOST_ROWS]
            merged = set(small) if len(small) > 1 else set()
            old = tuple(part for part in found if part in merged or part in holders)
            if old:
                steps.append(Step(name, day, old))
    return sorted(steps, key=lambda step: (step.name == "person", step.day, step.name))


def _window(ledger: Ledger, days: int | None) -> tuple[int, int] | None:
    if not days:
        return None
    last = max((part.day for part in ledger.parts("event")), default=0)
    return last - days + 1, last


def _summary(connection: duckdb.DuckDBPyConnection, steps: list[Step]) -> Optimised:
    joined, ambiguous = connection.execute(_COUNTS).fetchall()[0]
    parts = [part for step in steps for part in step.old]
    return Optimised(
        days=len({step.day for step in steps}),
        parts_before=len(parts),
        parts_after=sum(-(-sum(part.rows for part in step.old) // MOST_ROWS) for step in steps),
        rows=sum(part.rows for part in parts),
        bytes=sum(step.bytes for step in steps),
        joined=joined,
        ambiguous=ambiguous,
    )


_NO_PEOPLE: Final = """
CREATE TABLE people (person UUID, user_id BIGINT, username VARCHAR, first TIMESTAMPTZ, time TIMESTAMPTZ)
"""
_PEOPLE: Final = """
INSERT INTO people SELECT person, user_id, username, first, time FROM read_parquet(?, hive_partitioning = false)
"""
_JOINED: Final = (
    """
CREATE TABLE numbered AS
SELECT lower(username) AS name, count(DISTINCT user_id) AS numbers, any_value(user_id) AS user_id,
    any_value(person) AS person
FROM people WHERE user_id IS NOT NULL AND username IS NOT NULL GROUP BY ALL
""",
    """
CREATE TABLE unnumbered AS
SELECT person AS old, lower(username) AS name, min(first) AS first, max(time) AS last
FROM people WHERE user_id IS NULL AND username IS NOT NULL GROUP BY ALL
""",
    """
CREATE TABLE joined AS
SELECT any_value(n.person) AS person, any_value(n.user_id) AS user_id, u.old, min(u.first) AS first, max(u.last) AS last
FROM unnumbered AS u JOIN numbered AS n USING (name) WHERE n.numbers = 1 GROUP BY u.old
""",
)
_COUNTS: Final = """
SELECT (SELECT count(*) FROM joined),
    (SELECT count(*) FROM unnumbered AS u JOIN numbered AS n USING (name) WHERE n.numbers > 1)
"""
_DAYS: Final = """
SELECT DISTINCT CAST(floor(epoch_us(first) / $day) AS BIGINT), CAST(floor(epoch_us(last) / $day) AS BIGINT) FROM joined
"""
_HOLDERS: Final = """
SELECT DISTINCT p.filename FROM read_parquet(?, hive_partitioning = false, filename = true) AS p
SEMI JOIN joined ON joined.old = p.person
"""
_PARTS: Final = "SELECT * FROM read_parquet(?, hive_partitioning = false, filename = true, file_row_number = true)"
_JOINED_PARTS: Final = """
SELECT p.* REPLACE (coalesce(j.person, p.person) AS person)
FROM read_parquet(?, hive_partitioning = false, filename = true, file_row_number = true) AS p
LEFT JOIN joined AS j ON j.old = p.person
"""
_PERSON: Final = """
SELECT coalesce(j.person, p.person) AS person, coalesce(j.user_id, p.user_id) AS user_id, p.username,
    min(p.first) AS first, max(p.time) AS time, max(p.legacy) AS legacy
FROM read_parquet(?, hive_partitioning = false) AS p LEFT JOIN joined AS j ON j.old = p.person AND p.user_id IS NULL
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_MERGED_PERSON: Final = """
SELECT person, user_id, username, min(first) AS first, max(time) AS time, max(legacy) AS legacy
FROM read_parquet(?, hive_partitioning = false) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
