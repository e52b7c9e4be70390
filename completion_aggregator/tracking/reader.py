"""Events out of a store, in the order of load, time and event, from any place on: what the door hands out."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.destination import require_here
from completion_aggregator.tracking.errors import DamagedStore, TrackingError
from completion_aggregator.tracking.ledger import COUNTS, Ledger
from completion_aggregator.tracking.positions import InvalidPosition, Position
from completion_aggregator.tracking.schemas import schema_of
from completion_aggregator.tracking.store import Store
from completion_aggregator.tracking.views import log_access
from completion_aggregator.tracking.windows import Part, Window, latest_load, of_days, snapshot, windows

_MEMORY: Final = "512MB"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TOTALS: Final = (
    "SELECT count(*) AS loads, coalesce(sum(bytes), 0) AS bytes, "
    + ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in COUNTS)
    + " FROM load"
)
_RANGE: Final = "SELECT count(*) AS sources, min(first) AS earliest, max(last) AS latest FROM source"
_EVENTS: Final = """
SELECT {columns} FROM read_parquet($events, hive_partitioning = false) AS e WHERE {conditions}
ORDER BY e.load, e.time, e.event_id
"""
_TYPED: Final = """
SELECT {columns}
FROM read_parquet($events, hive_partitioning = false) AS e
JOIN read_parquet($typed, hive_partitioning = false, file_row_number = true) AS t ON t.event_id = e.event_id
WHERE {conditions}
ORDER BY e.load, e.time, e.event_id, t.file_row_number
"""
_PEOPLE: Final = """
CREATE OR REPLACE TEMP TABLE people AS
SELECT person, max(user_id) AS user_id, arg_max(username, time) FILTER (username <> '') AS username
FROM read_parquet($people, hive_partitioning = false) GROUP BY person
"""
_NAMED: Final = """
SELECT {columns}
FROM read_parquet($events, hive_partitioning = false) AS e
JOIN read_parquet($typed, hive_partitioning = false) AS t ON t.event_id = e.event_id
LEFT JOIN people AS p ON p.person = t.person
WHERE {conditions}
ORDER BY e.load, e.time, e.event_id
"""
_BEHIND: Final = "(e.load, e.time, e.event_id) > ($load, CAST($time AS TIMESTAMPTZ), CAST($event_id AS UUID))"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; *table*: ``event``, or a typed table, of which only events with rows there."""

    table: str = "event"
    course: str | None = None
    names: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    #: With the learner's number and name: out of the private store.
    is_named: bool = False

    @property
    def days(self) -> tuple[int, int]:
        """The first and the last day on which such events may be."""
        first = -(2**40) if self.since is None else (self.since - _EPOCH) // timedelta(days=1)
        last = 2**40 if self.until is None else (self.until - _EPOCH) // timedelta(days=1)
        return first, last

    @property
    def schema(self) -> pa.Schema:
        """The columns that come: those of the order, who and where, and those of the table."""
        of_event = schema_of(tables.EVENT)
        if self.table == "event":
            names = ("load", "time", "event_id", "person", "course", "name")
            return pa.schema([of_event.field(name) for name in (*names, *(_apart(of_event.names, names)))])
        own = schema_of(tables.TABLES[self.table])
        shared = [of_event.field(name) for name in ("load", "time", "event_id", "person", "course", "name")]
        who = [pa.field("user_id", pa.int64()), pa.field("username", pa.string())] if self.is_named else []
        return pa.schema([*shared, *who, *(own.field(name) for name in tables.TABLES[self.table].own)])


def load_id(ledger: Ledger, load: int) -> str:
    """Return what no load of another store has. Raises InvalidPosition where there is no such load."""
    found = ledger.rows("SELECT run FROM load WHERE load = ?", load)
    if not found:
        raise InvalidPosition(f"the store has no load {load}: it is another one, or an older copy of it")
    return f"{found[0]['run']}-{load}"


def counts(ledger: Ledger) -> dict[str, Any]:
    """Return what all loads came to, and the times of the first and the last event as text."""
    with snapshot(ledger):
        return dict(ledger.rows(_TOTALS)[0]) | dict(ledger.rows(_RANGE)[0])


def check(ledger: Ledger, after: Position | None, store: Store) -> None:
    """Raise InvalidPosition for a place that this store cannot have given out, TrackingError where it has no tables."""
    require_here(ledger)
    last = latest_load(ledger)
    if after is not None and after.load > last:
        raise InvalidPosition(f"the position {after} is behind load {last}, the last one of {store.folder}")


def read(store: Store, wanted: Wanted, after: Position | None, batch_size: int) -> Iterator[tuple[Position, pa.Table]]:
    """Yield what is asked for in batches, each with the place behind it; the last one may be empty.

    Raises NoStore, DamagedStore.
    """
    with store.reading() as ledger:
        last = latest_load(ledger)
        if wanted.is_named:
            log_access(store, "completions")
        yield from _Reading(store, ledger, wanted, batch_size, last).batches(after)


class _Reading:
    """One call: the connection, and the windows that are still to be read."""

    def __init__(self, store: Store, ledger: Ledger, wanted: Wanted, batch_size: int, last: int) -> None:
        self._store, self._ledger, self._wanted = store, ledger, wanted
        self._batch_size, self._last = batch_size, last
        self._schema = wanted.schema
        self._people: list[str] | None = None
        #: The first load in a part, by path.
        self._lows: dict[str, int] = {}

    def batches(self, after: Position | None) -> Iterator[tuple[Position, pa.Table]]:
        """Yield the batches of all windows."""
        place, told = after, after
        with _connected() as connection:
            waiting = self._windows(after)
            while waiting:
                window = waiting.pop(0)
                try:
                    stream = self._stream(connection, self._narrowed(window), place)
                except (duckdb.Error, OSError) as error:
                    # Parts that were merged, or rewritten, meanwhile: the ledger knows by now where the rows are.
                    again = self._windows(place)
                    if again[:1] == [window] and self._people == self._parts_of_people():
                        raise _told_of(error, self._store) from error
                    waiting, self._people = again, None
                    continue
                place = Position.behind(window.last)
                for position, rows in self._cut(stream, place):
                    told = position
                    yield position, rows
        if place is not None and place != told:
            yield place, self._schema.empty_table()

    def _stream(
        self, connection: duckdb.DuckDBPyConnection, window: Window, after: Position | None
    ) -> Iterator[pa.Table]:
        """Return the rows of a window, sorted: when the first come, all files have been read."""
        if not window.events or (self._wanted.table != "event" and not window.typed):
            return iter(())
        self._find_people(connection)
        sql, values = _statement(self._wanted, window, after, self._schema)
        root = self._store.roots.of("event")
        values["events"] = [str(root / part.path) for part in window.events]
        if window.typed:
            values["typed"] = [str(root / part.path) for part in window.typed]
        stream = connection.sql(sql, params=values).to_arrow_reader(self._batch_size)
        first = next(stream, None)
        return iter(()) if first is None else self._tables(first, stream)

    def _tables(self, first: pa.RecordBatch, stream: pa.RecordBatchReader) -> Iterator[pa.Table]:
        yield pa.Table.from_batches([first]).cast(self._schema)
        for batch in stream:
            yield pa.Table.from_batches([batch]).cast(self._schema)

    def _cut(self, stream: Iterator[pa.Table], end: Position) -> Iterator[tuple[Position, pa.Table]]:
        """Yield batches of the size that was asked for, or a little more: rows of one event stay together."""
        held = self._schema.empty_table()
        for table in stream:
            held = pa.concat_tables([held, table])
            while (size := self._fitting(held)) is not None:
                yield _place_behind(held, size - 1), held.slice(0, size)
                held = held.slice(size)
        if held.num_rows:
            yield end, held

    def _fitting(self, held: pa.Table) -> int | None:
        """Return how many rows make a batch; None: more of them have to be seen."""
        size = self._batch_size
        ids = held["event_id"]
        while size < held.num_rows and ids[size] == ids[size - 1]:
            size += 1
        return size if size < held.num_rows else None

    def _narrowed(self, window: Window) -> Window:
        """Leave out parts that begin with loads behind the window."""
        if not window.is_piece:
            return window
        parts = tuple(part for part in window.events if part.load >= window.first and self._low(part) <= window.last)
        return replace(window, events=parts, typed=of_days(window.typed, parts))

    def _low(self, part: Part) -> int:
        found = self._lows.get(part.path)
        if found is None:
            groups = pq.read_metadata(self._store.roots.of("event") / part.path).to_dict()["row_groups"]
            loads = [column for group in groups for column in group["columns"] if column["path_in_schema"] == "load"]
            found = self._lows[part.path] = min(
                (each["statistics"]["min"] for each in loads if each["statistics"]), default=0
            )
        return found

    def _find_people(self, connection: duckdb.DuckDBPyConnection) -> None:
        if not self._wanted.is_named or self._people is not None:
            return
        self._people = self._parts_of_people()
        if self._people:
            connection.execute(_PEOPLE, {"people": self._people})
        else:
            connection.execute("CREATE OR REPLACE TEMP TABLE people (person UUID, user_id BIGINT, username VARCHAR)")

    def _windows(self, after: Position | None) -> list[Window]:
        return windows(self._ledger, self._wanted.table, self._wanted.days, after, last=self._last)

    def _parts_of_people(self) -> list[str] | None:
        root = self._store.roots.of("person")
        return [str(root / part.path) for part in self._ledger.parts("person")] if self._wanted.is_named else None


@contextmanager
def _connected() -> Iterator[duckdb.DuckDBPyConnection]:
    # What does not fit into memory while it is sorted goes to a folder of its own.
    with tempfile.TemporaryDirectory(prefix="tracking-") as folder:
        connection = duckdb.connect(":memory:", config={"memory_limit": _MEMORY, "temp_directory": folder})
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET arrow_lossless_conversion = true")
            yield connection
        finally:
            connection.close()


def _told_of(error: duckdb.Error | OSError, store: Store) -> TrackingError:
    if isinstance(error, duckdb.OutOfMemoryException):
        return TrackingError(
            f"{store.folder}: what is sorted fits neither into memory nor into the folder for it: {error}"
        )
    return DamagedStore(f"{store.folder}: the ledger names a part that cannot be read: {error}")


def _statement(wanted: Wanted, window: Window, after: Position | None, schema: pa.Schema) -> tuple[str, dict[str, Any]]:
    """Return the statement of a window and its parameters, apart from the files."""
    conditions = ["e.load BETWEEN $first AND $last"]
    values: dict[str, Any] = {"first": window.first, "last": window.last}
    if after is not None and not after.is_behind_load and after.load >= window.first:
        conditions.append(_BEHIND)
        values |= {"load": after.load, "time": after.time.isoformat(), "event_id": str(after.event_id)}
    for name, condition, value in (
        ("course", "e.course = $course", wanted.course),
        ("since", "e.time >= CAST($since AS TIMESTAMPTZ)", wanted.since and wanted.since.isoformat()),
        ("until", "e.time < CAST($until AS TIMESTAMPTZ)", wanted.until and wanted.until.isoformat()),
        ("names", "e.name IN (SELECT unnest($names))", list(wanted.names)),
        ("families", "e.family IN (SELECT unnest($families))", list(wanted.families)),
    ):
        if value:
            conditions.append(condition)
            values[name] = value
    beside = _NAMED if wanted.is_named else _TYPED
    template = _EVENTS if wanted.table == "event" else beside
    columns = ", ".join(_selected(name, wanted) for name in schema.names)
    return template.format(columns=columns, conditions=" AND ".join(conditions)), values


def _selected(name: str, wanted: Wanted) -> str:
    if wanted.table == "event" or name in {"load", "time", "event_id", "name", "course"}:
        source = "e"
    elif name in {"user_id", "username"}:
        source = "p"
    else:  # of whom the row is, may be told by the table itself
        source = "t"
    return f'{source}."{name}"'


def _place_behind(rows: pa.Table, number: int) -> Position:
    micros = pc.cast(rows["time"].slice(number, 1), pa.int64())[0].as_py()
    event_id = UUID(bytes=rows["event_id"].slice(number, 1).combine_chunks().storage[0].as_py())
    return Position(rows["load"][number].as_py(), _EPOCH + timedelta(microseconds=micros), event_id)


def _apart(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Return the names that are not taken, in their order."""
    return [name for name in names if name not in taken]
