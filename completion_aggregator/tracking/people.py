"""Who is who: names, numbers and pseudonyms, from the private tables. Whoever asks is written to their access log."""

import csv
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from completion_aggregator.tracking.cells import neutral_row
from completion_aggregator.tracking.clickhouse import access, erasing, persons
from completion_aggregator.tracking.engine import engine
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.ledger import Ledger
from completion_aggregator.tracking.replacement import files, settle
from completion_aggregator.tracking.store import Store
from completion_aggregator.tracking.views import log_access

if TYPE_CHECKING:
    from completion_aggregator.tracking.clickhouse.connection import Connection

#: Characters of the hash that json_to_relation had for a name.
_LEGACY: Final = 40
_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """A name under which somebody was seen: with the platform's number, the pseudonym, and the old hash if kept."""

    username: str | None
    user_id: int | None
    person: str
    legacy: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked, and who that is: nobody, or under several names."""

    asked: str
    found: tuple[Known, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


class Directory:
    """Everybody whom the store knows."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        store: Store,
        ledger: Ledger,
        elsewhere: "Connection | None" = None,
    ) -> None:
        self._connection, self._store, self._ledger, self._elsewhere = connection, store, ledger, elsewhere
        tell(connection, store, ledger, elsewhere)

    def everybody(self, course: str | None = None) -> Iterator[Known]:
        """Yield who was seen, or who was in the courses that match a pattern, by name."""
        if course is None:
            found = self._connection.execute(_EVERYBODY)
        else:
            self._enter(course)
            found = self._connection.execute(_OF_COURSE)
        while rows := found.fetchmany(_ROWS):
            yield from (Known(*row) for row in rows)

    def usernames(self, course: str) -> list[str]:
        """Return the names of those who were in the courses that match a pattern."""
        self._enter(course)
        return [row[0] for row in self._connection.execute(_NAMES).fetchall()]

    def translate(self, asked: Iterable[str]) -> list[Answer]:
        """Return who that is, each given by number, name, pseudonym or old hash."""
        texts = list(asked)
        self._connection.register("asked", _asked(texts))
        found: dict[int, list[Known]] = {}
        for position, *known in self._connection.execute(_TRANSLATED).fetchall():
            found.setdefault(position, []).append(Known(*known))
        return [Answer(text, tuple(found.get(position, ()))) for position, text in enumerate(texts)]

    def _enter(self, course: str) -> None:
        self._connection.execute(_MEMBERS)
        if self._elsewhere:
            self._enter_from(self._elsewhere, course)
        elif stored := self._ledger.parts("event"):
            self._connection.execute(_FILL_MEMBERS, [files(self._store, stored), course])

    def _enter_from(self, elsewhere: "Connection", course: str) -> None:
        known = pa.table({"course": pa.array(persons.courses(elsewhere), pa.string())})
        self._connection.register("given", known)
        chosen = [row[0] for row in self._connection.execute(_CHOSEN, [course]).fetchall()]
        _fill(self._connection, _GIVEN_MEMBERS, persons.members(elsewhere, chosen))


@contextmanager
def directory(store: Store, what: str) -> Iterator[Directory]:
    """Provide everybody; *what* goes to the access log, and names nobody."""
    with store.reading() as ledger, engine(store, "people") as connection:
        log_access(store, what)
        yield Directory(connection, store, ledger, _elsewhere(store, ledger))


def tell(
    connection: duckdb.DuckDBPyConnection, store: Store, ledger: Ledger, elsewhere: "Connection | None" = None
) -> None:
    """Make the tables ``people``, as seen in the logs, and ``known``, with the platform's accounts if refreshed."""
    connection.execute(_PEOPLE)
    if elsewhere:
        _fill(connection, _GIVEN_PEOPLE, persons.people(elsewhere))
    elif stored := ledger.parts("person"):
        connection.execute(_FILL_PEOPLE, [files(store, stored)])
    accounts = store.private_folder / "tables" / "user.parquet"
    connection.execute(_KNOWN)
    if accounts.exists():
        connection.execute(_FILL_KNOWN, [str(accounts)])


def write_map(people: Iterable[Known], target: Path) -> int:
    """Write a CSV file for its owner's eyes alone; return its rows. Raises TrackingError where it exists."""
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise TrackingError(f"{target} exists: name another file, nothing is written over") from None
    rows = 0
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("username", "user_id", "person", "legacy"))
            for each in people:
                writer.writerow(neutral_row((each.username, each.user_id, each.person, each.legacy)))
                rows += 1
    except BaseException:
        target.unlink()
        raise
    return rows


def _elsewhere(store: Store, ledger: Ledger) -> "Connection | None":
    elsewhere = access.connection_of(ledger)
    if elsewhere and erasing.noted(ledger):
        # Whoever is being forgotten is not to be told any more.
        with store.writing() as writing:
            settle(store, writing)
            erasing.finish(writing, elsewhere)
    return elsewhere


def _fill(connection: duckdb.DuckDBPyConnection, sql: str, batches: Iterable[pa.RecordBatch]) -> None:
    for batch in batches:
        connection.register("given", pa.table(batch))
        connection.execute(sql)
        connection.unregister("given")


def _asked(texts: list[str]) -> pa.Table:
    return pa.table(
        {
            "position": pa.array(range(len(texts)), pa.int64()),
            "number": pa.array([_number(text) for text in texts], pa.int64()),
            "person": pa.array([_person(text) for text in texts], pa.string()),
            "legacy": pa.array([text.lower() if len(text) == _LEGACY else None for text in texts], pa.string()),
            "name": pa.array([text.lower() for text in texts], pa.string()),
        }
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _person(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


_PEOPLE: Final = """
CREATE TABLE people (
    person UUID, user_id BIGINT, username VARCHAR, first TIMESTAMPTZ, time TIMESTAMPTZ, legacy VARCHAR
)
"""
_FILL_PEOPLE: Final = """
INSERT INTO people SELECT person, user_id, username, first, time, legacy
FROM read_parquet(?, hive_partitioning = false)
"""
_GIVEN_PEOPLE: Final = "INSERT INTO people SELECT person, user_id, username, first, time, legacy FROM given"
_KNOWN: Final = """
CREATE TABLE known AS
SELECT username, user_id, person, max(legacy) AS legacy, false AS is_account FROM people GROUP BY ALL
"""
_FILL_KNOWN: Final = """
INSERT INTO known SELECT username, user_id, person, NULL, true FROM read_parquet(?) WHERE person IS NOT NULL
"""
_MEMBERS: Final = "CREATE OR REPLACE TABLE member (person UUID)"
_FILL_MEMBERS: Final = """
INSERT INTO member SELECT DISTINCT person FROM read_parquet(?, hive_partitioning = false) WHERE course GLOB ?
"""
_CHOSEN: Final = "SELECT course FROM given WHERE course GLOB ?"
_GIVEN_MEMBERS: Final = "INSERT INTO member SELECT person FROM given"
_EVERYBODY: Final = """
SELECT username, user_id, CAST(person AS VARCHAR), max(legacy) FROM known
GROUP BY username, user_id, person ORDER BY username, user_id, person
"""
_OF_COURSE: Final = """
SELECT username, user_id, CAST(person AS VARCHAR), max(legacy) FROM known SEMI JOIN member USING (person)
GROUP BY username, user_id, person ORDER BY username, user_id, person
"""
_NAMES: Final = """
SELECT DISTINCT username FROM known SEMI JOIN member USING (person) WHERE username IS NOT NULL ORDER BY username
"""
_TRANSLATED: Final = """
WITH found AS (
    SELECT a.position, k.* FROM asked AS a JOIN known AS k ON k.user_id = a.number
    UNION ALL SELECT a.position, k.* FROM asked AS a JOIN known AS k ON k.person = CAST(a.person AS UUID)
    UNION ALL SELECT a.position, k.* FROM asked AS a JOIN known AS k ON k.legacy = a.legacy
    UNION ALL SELECT a.position, k.* FROM asked AS a JOIN known AS k ON lower(k.username) = a.name
)
SELECT position, username, user_id, CAST(person AS VARCHAR), max(legacy) FROM found
GROUP BY position, username, user_id, person ORDER BY position, username, user_id, person
"""
