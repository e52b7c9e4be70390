"""Forget somebody: private rows go, events stay without person and session, and old logs do not bring them back.

Rows are changed in the order of their file, so that all others stay as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from completion_aggregator.tracking import loading, people, scrub, tables
from completion_aggregator.tracking.columns import DAY
from completion_aggregator.tracking.engine import engine
from completion_aggregator.tracking.identity import Identity, identify
from completion_aggregator.tracking.ledger import Ledger, Part
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.replacement import AT_ONCE, BATCH_ROWS, Replacement, files, settle
from completion_aggregator.tracking.store import Store
from completion_aggregator.tracking.tombstones import ANONYMOUS, names_one

_OPEN_EVENTS: Final = tuple(table.name for table in tables.OPEN if table is not tables.COPY)

#: Told after each part: bytes that were read.
Advance = Callable[[int], None]
_Change = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(slots=True)
class Forgotten:
    """What was done, or would be. ``users``: how many were asked for, of which the store never saw ``unseen``.

    ``events``: that stand without a person now; ``shared``: names that were left, since others have them too.
    """

    users: int = 0
    unseen: int = 0
    shared: int = 0
    names: int = 0
    events: int = 0
    parts: int = 0
    tables: int = 0
    bytes: int = 0


def forget(
    store: Store, users: Iterable[str | int], *, dry_run: bool = False, advance: Advance = lambda _: None
) -> Forgotten:
    """Forget users, given by number or name: numbers, names that are digits as ``name:123``.

    All or nothing, and again with the same result. Raises StoreInUse, NoStore, SeveralPersons.
    """
    asked = list(users)
    with store.writing() as ledger, engine(store, "forget") as connection:
        loading.sweep(store, ledger)
        people.tell(connection, store, ledger)
        found = identify(connection, asked)
        meant = _Meant(connection, store, ledger, found)
        work = list(meant.work())
        done = Forgotten(len(asked), found.unseen, found.shared, len(found.names), len(meant.events))
        done.parts, done.bytes = len(work), sum(part.bytes for part, _ in work)
        refreshed = list(meant.refreshed())
        done.tables = len(refreshed)
        if not dry_run:
            with Replacement(store, ledger, "forget") as replacement:
                for part, change in work:
                    [file] = files(store, [part])
                    replacement.replace([part], _changed(Path(file), change))
                    advance(part.bytes)
                for table, change in refreshed:
                    replacement.stage(table, pq.read_schema(table), _changed(table, change))
                replacement.commit(grace=AT_ONCE, tombstones=meant.hashes | meant.scorers)
            settle(store, ledger)
        return done


class _Meant:
    """What of the store is of those who are meant."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, store: Store, ledger: Ledger, identity: Identity) -> None:
        self._connection, self._store, self._ledger, self._identity = connection, store, ledger, identity
        pseudonyms = Pseudonyms(store.keys)
        self.hashes = identity.hashes(pseudonyms)
        anonymous_ids = self._anonymous_ids()
        self.scorers = {pseudonyms.keyed(ANONYMOUS, each) for each in anonymous_ids}
        #: What texts must not hold, in small letters.
        self._words = identity.names | set(anonymous_ids)
        #: How they may be written; looking for these is faster than taking texts apart.
        self._forms = sorted({form for each in self._words for form in (each, *scrub.variants(each))})
        self._persons = pa.array(sorted(self.hashes), pa.binary(16))
        self._names = _as_written(connection, identity.names)
        self._fill("person", pa.table({"person": pa.ExtensionArray.from_storage(pa.uuid(), self._persons)}))
        scorers = pa.array(sorted(self.scorers), pa.binary(16))
        self._fill("scorer", pa.table({"scorer": pa.ExtensionArray.from_storage(pa.uuid(), scorers)}))
        self._fill("name", pa.table({"username": pa.array(sorted(self._names), pa.string())}))
        self._scorers = scorers
        rows = connection.execute(_DAYS, {"day": DAY}).fetchall()
        self._days: list[tuple[int, int]] = [(low, high) for low, high in rows]
        self.events = self._found_events()

    def work(self) -> Iterator[tuple[Part, _Change]]:
        """Yield the parts that hold them, and what becomes of their rows."""
        for name in _OPEN_EVENTS:
            held = self._holding(self._seen(name), _OF_EVENTS)
            if name == tables.ASSESSMENT.name:
                held = _together(held, self._holding(self._ledger.parts(name), _OF_SCORERS))
            yield from ((part, self._blanked) for part in held)
        said = self._saying("event_private", "raw", _SAY_RAW)
        private = _together(self._holding(self._seen("event_private"), _OF_EVENTS), said)
        yield from ((part, self._without_raw) for part in private)
        yield from ((part, self._dropped) for part in self._holding(self._seen("text"), _OF_EVENTS))
        yield from ((part, self._dropped) for part in self._holding(self._ledger.parts("account"), _OF_ACCOUNTS))
        yield from ((part, self._dropped) for part in self._holding(self._ledger.parts("person"), _OF_PEOPLE))
        yield from ((part, self._silenced) for part in self._saying("quarantine", "line", _SAY_LINE))

    def refreshed(self) -> Iterator[tuple[Path, _Change]]:
        """Yield the tables of the platform that hold them, and what becomes of their rows."""
        items = self._items()
        for path in sorted(self._store.tables_folder.glob("*.parquet")):
            if self._is_among(path, self._is_person):
                yield path, self._blanked_person
        for path in sorted((self._store.private_folder / "tables").glob("*.parquet")):
            is_theirs = partial(self._is_private, items=items if path.stem == "post_text" else None)
            if self._is_among(path, is_theirs):
                yield path, partial(_dropped, is_theirs)

    def _fill(self, name: str, rows: pa.Table) -> None:
        self._connection.register(f"meant_{name}", rows)

    def _anonymous_ids(self) -> list[str]:
        path = self._store.private_folder / "tables" / "anonymous_id.parquet"
        if not path.exists() or not self._identity.numbers:
            return []
        values = [str(path), sorted(self._identity.numbers)]
        return [row[0] for row in self._connection.execute(_ANONYMOUS_IDS, values).fetchall()]

    def _items(self) -> pa.Array:
        path = self._store.tables_folder / "post.parquet"
        if not path.exists():
            return pa.array([], pa.string())
        return pa.array([row[0] for row in self._connection.execute(_ITEMS, [str(path)]).fetchall()], pa.string())

    def _found_events(self) -> pa.Array:
        self._connection.execute(_NO_EVENTS)
        for name, sql in (("event", _BY_PERSON), ("event_private", _BY_NAME)):
            if stored := self._seen(name):
                self._connection.execute(sql, [files(self._store, stored)])
        found = self._connection.sql("SELECT DISTINCT event_id FROM hers ORDER BY event_id").to_arrow_table()
        return _plain(found.column("event_id").combine_chunks()).cast(pa.binary(16))

    def _seen(self, name: str) -> list[Part]:
        """Return the parts of the days on which they were seen."""
        return [part for part in self._ledger.parts(name) if any(low <= part.day <= high for low, high in self._days)]

    def _holding(self, stored: Sequence[Part], sql: str) -> list[Part]:
        if not stored:
            return []
        paths = files(self._store, stored)
        found = {row[0] for row in self._connection.execute(sql, [paths]).fetchall()}
        return [part for part, path in zip(stored, paths, strict=True) if path in found]

    def _saying(self, name: str, column: str, sql: str) -> list[Part]:
        """Return the parts in whose texts somebody is named."""
        stored = self._ledger.parts(name)
        forms = self._forms
        if not stored or not forms:
            return []
        paths = files(self._store, stored)
        # SQL finds the name in longer ones, too.
        perhaps = {row[0] for row in self._connection.execute(sql, [paths, forms]).fetchall()}
        found = {path for path in perhaps if self._is_said(path, column)}
        return [part for part, path in zip(stored, paths, strict=True) if path in found]

    def _is_said(self, path: str, column: str) -> bool:
        batches = pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=[column])
        return any(self._names_one(text) for batch in batches for text in batch[column].to_pylist())

    def _names_one(self, text: str | None) -> bool:
        if text is None:
            return False
        low = text.lower()
        if not any(form in low for form in self._forms):
            return False
        return names_one(text, lambda word: word.lower() in self._words)

    def _is_event(self, batch: pa.RecordBatch) -> pa.Array:
        return pc.is_in(_plain(batch["event_id"]), value_set=self.events)

    def _is_person(self, batch: pa.RecordBatch) -> pa.Array:
        return _is_in(batch, "person", self._persons)

    def _is_private(self, batch: pa.RecordBatch, items: pa.Array | None = None) -> pa.Array:
        found = self._is_person(batch)
        found = pc.or_(found, _is_in(batch, "user_id", pa.array(sorted(self._identity.numbers), pa.int64())))
        if "username" in batch.schema.names:
            lowered = [
                each is not None and each.lower() in self._identity.names for each in batch["username"].to_pylist()
            ]
            found = pc.or_(found, pa.array(lowered, pa.bool_()))
        return found if items is None else pc.or_(found, _is_in(batch, "item", items))

    def _is_among(self, path: Path, is_meant: Callable[[pa.RecordBatch], pa.Array]) -> bool:
        return any(pc.any(is_meant(batch)).as_py() for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS))

    def _blanked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        theirs = self._is_event(batch)
        batch = _without(batch, ("person", "session"), theirs)
        return _without(batch, ("scorer",), _is_in(batch, "scorer", self._scorers))

    def _blanked_person(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return _without(batch, ("person",), self._is_person(batch))

    def _dropped(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        found = self._is_private(batch)
        if "event_id" in batch.schema.names:
            found = pc.or_(found, self._is_event(batch))
        return batch.filter(pc.invert(found))

    def _without_raw(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return self._silent(self._dropped(batch), "raw", None)

    def _silenced(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return self._silent(batch, "line", "")

    def _silent(self, batch: pa.RecordBatch, name: str, instead: str | None) -> pa.RecordBatch:
        if batch[name].null_count == batch.num_rows:
            return batch
        kept = [instead if self._names_one(text) else text for text in batch[name].to_pylist()]
        return batch.set_column(
            batch.schema.get_field_index(name), batch.schema.field(name), pa.array(kept, pa.string())
        )


def _changed(file: Path, change: _Change) -> Iterator[pa.RecordBatch]:
    for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS):
        yield change(batch)


def _dropped(is_meant: Callable[[pa.RecordBatch], pa.Array], batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.filter(pc.invert(is_meant(batch)))


def _together(*parts: Sequence[Part]) -> list[Part]:
    return list({part.path: part for some in parts for part in some}.values())


def _as_written(connection: duckdb.DuckDBPyConnection, names: set[str]) -> set[str]:
    """Return the names in each way in which they were seen: Python and SQL do not agree on what small letters are."""
    rows = connection.execute("SELECT DISTINCT username FROM known WHERE username IS NOT NULL")
    found = set(names)
    while some := rows.fetchmany(100_000):
        found |= {name for (name,) in some if name.lower() in names}
    return found


def _is_in(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.Array:
    if name not in batch.schema.names or not len(values):
        return pa.array([False] * batch.num_rows, pa.bool_())
    column = _plain(batch[name])
    return pc.is_in(column, value_set=values.cast(column.type))


def _without(batch: pa.RecordBatch, names: Sequence[str], rows: pa.Array) -> pa.RecordBatch:
    for name in names:
        index = batch.schema.get_field_index(name)
        if index >= 0:
            column, field = batch.column(index), batch.schema.field(index)
            kept = pc.if_else(rows, None, _plain(column))
            if isinstance(column, pa.ExtensionArray):
                kept = pa.ExtensionArray.from_storage(column.type, kept)
            batch = batch.set_column(index, field, kept)
    return batch


def _plain(column: Any) -> Any:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


_DAYS: Final = """
SELECT DISTINCT CAST(floor(epoch_us(first) / $day) AS BIGINT), CAST(floor(epoch_us(time) / $day) AS BIGINT) FROM people
WHERE person IN (SELECT person FROM meant_person) OR username IN (SELECT username FROM meant_name)
"""
_NO_EVENTS: Final = "CREATE TABLE hers (event_id UUID)"
_BY_PERSON: Final = """
INSERT INTO hers SELECT event_id FROM read_parquet(?, hive_partitioning = false)
WHERE person IN (SELECT person FROM meant_person)
"""
_BY_NAME: Final = """
INSERT INTO hers SELECT event_id FROM read_parquet(?, hive_partitioning = false)
WHERE username IN (SELECT username FROM meant_name)
"""
_OF_EVENTS: Final = """
SELECT DISTINCT filename FROM read_parquet(?, hive_partitioning = false, filename = true)
WHERE event_id IN (SELECT event_id FROM hers)
"""
_OF_SCORERS: Final = """
SELECT DISTINCT filename FROM read_parquet(?, hive_partitioning = false, filename = true)
WHERE scorer IN (SELECT scorer FROM meant_scorer)
"""
_OF_ACCOUNTS: Final = """
SELECT DISTINCT filename FROM read_parquet(?, hive_partitioning = false, filename = true)
WHERE event_id IN (SELECT event_id FROM hers) OR lower(username) IN (SELECT lower(username) FROM meant_name)
"""
_OF_PEOPLE: Final = """
SELECT DISTINCT filename FROM read_parquet(?, hive_partitioning = false, filename = true)
WHERE person IN (SELECT person FROM meant_person) OR username IN (SELECT username FROM meant_name)
"""
_SAY_RAW: Final = """
SELECT DISTINCT filename FROM read_parquet(?, hive_partitioning = false, filename = true)
WHERE raw IS NOT NULL AND list_bool_or([contains(lower(raw), form) FOR form IN ?])
"""
_SAY_LINE: Final = """
SELECT DISTINCT filename FROM read_parquet(?, hive_partitioning = false, filename = true)
WHERE line <> '' AND list_bool_or([contains(lower(line), form) FOR form IN ?])
"""
_ANONYMOUS_IDS: Final = "SELECT anonymous_id FROM read_parquet(?) WHERE list_contains(?, user_id)"
_ITEMS: Final = "SELECT item FROM read_parquet(?) WHERE person IN (SELECT person FROM meant_person)"
