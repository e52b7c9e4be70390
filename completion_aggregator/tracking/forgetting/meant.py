"""Who is meant, and under which pseudonyms, numbers and names they may stand."""

from collections.abc import Iterable
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from completion_aggregator.tracking import names
from completion_aggregator.tracking.identity import identify
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.store import Store
from completion_aggregator.tracking.tombstones import ANONYMOUS, names_one


class Meant:
    """Those who are to be forgotten, told from the tables ``people`` and ``known``.

    ``hashes`` and ``scorers``: their pseudonyms, for good; ``names``: theirs as they were written.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, store: Store, users: Iterable[str | int]) -> None:
        self._connection, self._store = connection, store
        self.identity = identify(connection, users)
        pseudonyms = Pseudonyms(store.keys)
        self.hashes = self.identity.hashes(pseudonyms)
        anonymous_ids = self._anonymous_ids()
        self.scorers = {pseudonyms.keyed(ANONYMOUS, each) for each in anonymous_ids}
        self.names = _as_written(connection, self.identity.names)
        #: What texts must not hold, in small letters.
        self._words = self.identity.names | set(anonymous_ids)
        #: How they may be written; looking for these is faster than taking texts apart.
        self.forms = sorted({form for each in self._words for form in (each, *names.variants(each))})
        self._persons = pa.array(sorted(self.hashes), pa.binary(16))
        self._scorers = pa.array(sorted(self.scorers), pa.binary(16))
        self._fill("person", pa.table({"person": pa.ExtensionArray.from_storage(pa.uuid(), self._persons)}))
        self._fill("scorer", pa.table({"scorer": pa.ExtensionArray.from_storage(pa.uuid(), self._scorers)}))
        self._fill("name", pa.table({"username": pa.array(sorted(self.names), pa.string())}))

    def are_named(self, text: str | None) -> bool:
        """Tell whether somebody who is meant is named in a text."""
        if text is None:
            return False
        low = text.lower()
        if not any(form in low for form in self.forms):
            return False
        return names_one(text, lambda word: word.lower() in self._words)

    def are_called(self, name: str | None) -> bool:
        """Tell whether a user name is theirs."""
        return name is not None and name.lower() in self.identity.names

    def is_person(self, batch: pa.RecordBatch) -> pa.Array:
        """Tell which rows have them as person."""
        return _is_in(batch, "person", self._persons)

    def is_scorer(self, batch: pa.RecordBatch) -> pa.Array:
        """Tell which rows have them as scorer."""
        return _is_in(batch, "scorer", self._scorers)

    def is_private(self, batch: pa.RecordBatch, items: pa.Array | None = None) -> pa.Array:
        """Tell which rows are theirs, by person, number, name, or one of *items*."""
        found = self.is_person(batch)
        found = pc.or_(found, _is_in(batch, "user_id", pa.array(sorted(self.identity.numbers), pa.int64())))
        if "username" in batch.schema.names:
            called = [self.are_called(each) for each in batch["username"].to_pylist()]
            found = pc.or_(found, pa.array(called, pa.bool_()))
        return found if items is None else pc.or_(found, _is_in(batch, "item", items))

    def _fill(self, name: str, rows: pa.Table) -> None:
        self._connection.register(f"meant_{name}", rows)

    def _anonymous_ids(self) -> list[str]:
        path = self._store.private_folder / "tables" / "anonymous_id.parquet"
        if not path.exists() or not self.identity.numbers:
            return []
        values = [str(path), sorted(self.identity.numbers)]
        return [row[0] for row in self._connection.execute(_ANONYMOUS_IDS, values).fetchall()]


def without(batch: pa.RecordBatch, names: Iterable[str], rows: pa.Array) -> pa.RecordBatch:
    """Return the batch with nothing in some columns of some rows."""
    for name in names:
        index = batch.schema.get_field_index(name)
        if index >= 0:
            column, field = batch.column(index), batch.schema.field(index)
            kept = pc.if_else(rows, None, plain(column))
            if isinstance(column, pa.ExtensionArray):
                kept = pa.ExtensionArray.from_storage(column.type, kept)
            batch = batch.set_column(index, field, kept)
    return batch


def plain(column: Any) -> Any:
    """Return a column as Arrow's functions take it."""
    return column.storage if isinstance(column, pa.ExtensionArray) else column


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
    column = plain(batch[name])
    return pc.is_in(column, value_set=values.cast(column.type))


_ANONYMOUS_IDS: Final = "SELECT anonymous_id FROM read_parquet(?) WHERE list_contains(?, user_id)"
