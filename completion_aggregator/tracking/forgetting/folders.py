"""Where those who are meant stand in the folders of a store, and what becomes of their rows.

Rows are changed in the order of their file, so that all others stay as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.columns import DAY
from completion_aggregator.tracking.forgetting.meant import Meant, plain, without
from completion_aggregator.tracking.ledger import Ledger, Part
from completion_aggregator.tracking.replacement import BATCH_ROWS, files
from completion_aggregator.tracking.store import Store

_OPEN_EVENTS: Final = tuple(table.name for table in tables.OPEN if table is not tables.COPY)

_Change = Callable[[pa.RecordBatch], pa.RecordBatch]


class Holdings:
    """What of the store is of those who are meant."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, store: Store, ledger: Ledger, meant: Meant) -> None:
        self._connection, self._store, self._ledger, self._meant = connection, store, ledger, meant
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

    def _found_events(self) -> pa.Array:
        self._connection.execute(_NO_EVENTS)
        for name, sql in (("event", _BY_PERSON), ("event_private", _BY_NAME)):
            if stored := self._seen(name):
                self._connection.execute(sql, [files(self._store, stored)])
        found = self._connection.sql("SELECT DISTINCT event_id FROM hers ORDER BY event_id").to_arrow_table()
        return plain(found.column("event_id").combine_chunks()).cast(pa.binary(16))

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
        forms = self._meant.forms
        if not stored or not forms:
            return []
        paths = files(self._store, stored)
        # SQL finds the name in longer ones, too.
        perhaps = {row[0] for row in self._connection.execute(sql, [paths, forms]).fetchall()}
        found = {path for path in perhaps if self._is_said(path, column)}
        return [part for part, path in zip(stored, paths, strict=True) if path in found]

    def _is_said(self, path: str, column: str) -> bool:
        batches = pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=[column])
        return any(self._meant.are_named(text) for batch in batches for text in batch[column].to_pylist())

    def _is_event(self, batch: pa.RecordBatch) -> pa.Array:
        return pc.is_in(plain(batch["event_id"]), value_set=self.events)

    def _blanked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        batch = without(batch, ("person", "session"), self._is_event(batch))
        return without(batch, ("scorer",), self._meant.is_scorer(batch))

    def _dropped(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        found = self._meant.is_private(batch)
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
        kept = [instead if self._meant.are_named(text) else text for text in batch[name].to_pylist()]
        return batch.set_column(
            batch.schema.get_field_index(name), batch.schema.field(name), pa.array(kept, pa.string())
        )


def _together(*parts: Sequence[Part]) -> list[Part]:
    return list({part.path: part for some in parts for part in some}.values())


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
