"""Where those who are meant stand in ClickHouse, and what becomes of the rows.

No name stands in a query: servers write queries into their logs, which nobody would think of.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import duckdb

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.clickhouse import schema
from completion_aggregator.tracking.clickhouse.connection import Connection
from completion_aggregator.tracking.clickhouse.erasing import KEYS_AT_ONCE, Change, Erasure, Key
from completion_aggregator.tracking.columns import DAY
from completion_aggregator.tracking.forgetting.meant import Meant
from completion_aggregator.tracking.tables import Table

#: Words that one query looks for: ClickHouse searches for 255 at a time.
_WORDS_AT_ONCE: Final = 200
_OPEN_EVENTS: Final = tuple(table for table in tables.OPEN if table is not tables.COPY)
_ID: Final = "toString(event_id)"
_NUMBER: Final = "concat(toString(load), ', ', toString(nth))"


class Holdings:
    """What of the tables in ClickHouse is of those who are meant."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, connection: Connection, meant: Meant) -> None:
        self._connection, self._meant = connection, meant
        self._persons = [str(UUID(bytes=each)) for each in sorted(meant.hashes)]
        self._scorers = [str(UUID(bytes=each)) for each in sorted(meant.scorers)]
        low, high = engine.execute(_DAYS, {"day": DAY}).fetchall()[0]
        self._days: tuple[int, int] | None = None if low is None else (low, high)
        self.events = sorted(self._found_events())

    def erasures(self) -> Iterator[Erasure]:
        """Yield what is to become of which rows."""
        yield from self._said(tables.QUARANTINE, "line", Key.NUMBER)
        yield from self._said(tables.EVENT_PRIVATE, "raw", Key.EVENT)
        yield from self._of_people()
        yield from self._of_accounts()
        for table in (tables.TEXT, tables.EVENT_PRIVATE):
            yield from self._of_events(table, Change.DROP)
        yield from self._of_scorers()
        for table in _OPEN_EVENTS:
            yield from self._of_events(table, Change.BLANK)

    def _found_events(self) -> set[str]:
        if self._days is None:
            return set()
        found: set[str] = set()
        for some in _pieces(self._persons, KEYS_AT_ONCE):
            found |= self._ids(tables.EVENT, f"person IN ({_listed(some)})")
        for _ in self._asking(sorted(self._meant.names)):
            found |= self._ids(tables.EVENT_PRIVATE, f"username IN (SELECT word FROM {self._words})")
        return found

    def _ids(self, table: Table, condition: str) -> set[str]:
        sql = f"SELECT DISTINCT {_ID} AS id FROM {self._named(table)} WHERE {condition} AND {self._when()}"
        return {each["id"] for each in self._rows(sql)}

    def _of_events(self, table: Table, change: Change) -> Iterator[Erasure]:
        """Yield what becomes of the rows of their events."""
        found: dict[str, int] = {}
        rows: Counter[int] = Counter()
        for some in _pieces(self.events, KEYS_AT_ONCE):
            sql = (
                f"SELECT {_ID} AS key, toYYYYMM(time) AS month, count() AS rows FROM {self._named(table)}"
                f" WHERE event_id IN ({_listed(some)}) AND {self._when()} GROUP BY key, month"
            )
            for each in self._rows(sql):
                found[each["key"]] = each["month"]
                rows[each["month"]] += each["rows"]
        yield from _erasures(table, change, Key.EVENT, found, rows)

    def _of_scorers(self) -> Iterator[Erasure]:
        for some in _pieces(self._scorers, KEYS_AT_ONCE):
            sql = (
                f"SELECT toYYYYMM(time) AS month, count() AS rows FROM {self._named(tables.ASSESSMENT)}"
                f" WHERE scorer IN ({_listed(some)}) GROUP BY month ORDER BY month"
            )
            for each in self._rows(sql):
                yield Erasure(tables.ASSESSMENT.name, each["month"], Change.UNSCORE, Key.SCORER, some, each["rows"])

    def _of_people(self) -> Iterator[Erasure]:
        found: dict[str, int] = {}
        for some in _pieces(self._persons, KEYS_AT_ONCE):
            found |= self._numbered(tables.PERSON, f"person IN ({_listed(some)})")
        for _ in self._asking(sorted(self._meant.names)):
            found |= self._numbered(tables.PERSON, f"username IN (SELECT word FROM {self._words})")
        yield from _erasures(tables.PERSON, Change.DROP, Key.NUMBER, found)

    def _numbered(self, table: Table, condition: str) -> dict[str, int]:
        sql = f"SELECT {_NUMBER} AS key, toYYYYMM(time) AS month FROM {self._named(table)} WHERE {condition}"
        return {each["key"]: each["month"] for each in self._rows(sql)}

    def _of_accounts(self) -> Iterator[Erasure]:
        theirs = set(self.events)
        sql = f"SELECT {_ID} AS key, toYYYYMM(time) AS month, username FROM {self._named(tables.ACCOUNT)}"
        found = {
            each["key"]: each["month"]
            for each in self._rows(sql)
            if each["key"] in theirs or self._meant.are_called(each["username"])
        }
        yield from _erasures(tables.ACCOUNT, Change.DROP, Key.EVENT, found)

    def _said(self, table: Table, column: str, key: Key) -> Iterator[Erasure]:
        """Yield what becomes of texts in which somebody is named, beyond those of their own events."""
        shown = _ID if key is Key.EVENT else _NUMBER
        sql = (
            f"SELECT {shown} AS key, toYYYYMM(time) AS month, {column} AS said FROM {self._named(table)}"
            f" WHERE {column} <> '' AND multiSearchAny(lowerUTF8(assumeNotNull({column})),"
            f" assumeNotNull((SELECT groupArray(word) FROM {self._words})))"
        )
        theirs = set(self.events)
        found: dict[str, int] = {}
        for _ in self._asking(self._meant.forms):
            # SQL finds the name in longer ones, too.
            named = (each for each in self._rows(sql) if self._meant.are_named(each["said"]))
            found |= {each["key"]: each["month"] for each in named if each["key"] not in theirs}
        yield from _erasures(table, Change.SILENCE, key, found)

    def _asking(self, words: Sequence[str]) -> Iterator[None]:
        """Let the table of words hold some of these for each step; none after the last one."""
        try:
            for some in _pieces(words, _WORDS_AT_ONCE):
                self._connection.ask_for(some)
                yield
        finally:
            self._connection.ask_for(())

    def _when(self) -> str:
        low, high = self._days or (0, -1)
        begin, end = (f"fromUnixTimestamp64Micro({day * DAY})" for day in (low, high + 1))
        return f"time >= {begin} AND time < {end}"

    def _rows(self, sql: str) -> Iterator[dict[str, Any]]:
        for batch in self._connection.batches(sql):
            yield from batch.to_pylist()

    def _named(self, table: Table) -> str:
        return schema.qualified(self._connection.target, table)

    @property
    def _words(self) -> str:
        return schema.words(self._connection.target)


def _erasures(
    table: Table, change: Change, key: Key, found: dict[str, int], rows: Counter[int] | None = None
) -> Iterator[Erasure]:
    """Yield a step for each month, of keys with their months; a key is of one row where nothing else is said."""
    months: dict[int, list[str]] = {}
    for each, month in sorted(found.items()):
        months.setdefault(month, []).append(each)
    for month, keys in sorted(months.items()):
        yield Erasure(table.name, month, change, key, keys, rows[month] if rows else len(keys))


def _pieces(items: Sequence[str], most: int) -> Iterator[list[str]]:
    for first in range(0, len(items), most):
        yield list(items[first : first + most])


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(f"'{each}'" for each in ids)


_DAYS: Final = """
SELECT CAST(floor(epoch_us(min(first)) / $day) AS BIGINT), CAST(floor(epoch_us(max(time)) / $day) AS BIGINT)
FROM people WHERE person IN (SELECT person FROM meant_person) OR username IN (SELECT username FROM meant_name)
"""
