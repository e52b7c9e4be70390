"""Who is who, as the tables in ClickHouse know it. No name stands in a query: servers write those into logs."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.clickhouse import schema

if TYPE_CHECKING:
    from completion_aggregator.tracking.clickhouse.connection import Connection

_AT_ONCE: Final = 1000


def people(connection: "Connection") -> Iterator[pa.RecordBatch]:
    """Yield everybody: person, number, name, first and last seen, old hash."""
    # Nullable, since ClickHouse hands out texts of few values as bytes else.
    sql = (
        "SELECT UUIDToNum(person) AS who, user_id AS number, CAST(username AS Nullable(String)) AS called,"
        " min(first) AS since, max(time) AS until, CAST(any(legacy) AS Nullable(String)) AS hash"
        f" FROM {schema.qualified(connection.target, tables.PERSON)} GROUP BY who, number, called"
    )
    names = [column.name for column in tables.PERSON.columns]
    for batch in connection.batches(sql):
        yield with_ids(batch.rename_columns(names), "person")


def courses(connection: "Connection") -> list[str]:
    """Return the courses in which something happened."""
    sql = f"SELECT DISTINCT CAST(course AS Nullable(String)) AS course FROM {_event(connection)}"
    return [each for batch in connection.batches(sql) for each in batch.column(0).to_pylist() if each is not None]


def members(connection: "Connection", chosen: Collection[str]) -> Iterator[pa.RecordBatch]:
    """Yield the persons of the events of some courses."""
    listed = sorted(chosen)
    for begin in range(0, len(listed), _AT_ONCE):
        some = ", ".join(schema.text(each) for each in listed[begin : begin + _AT_ONCE])
        sql = (
            f"SELECT DISTINCT UUIDToNum(assumeNotNull(person)) AS person FROM {_event(connection)}"
            f" WHERE course IN ({some}) AND person IS NOT NULL"
        )
        for batch in connection.batches(sql):
            yield with_ids(batch, "person")


def with_ids(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Return the batch with a column of 16 bytes as ids, which DuckDB knows."""
    at = batch.schema.get_field_index(name)
    ids = pa.ExtensionArray.from_storage(pa.uuid(), batch.column(at).cast(pa.binary(16)))
    return batch.set_column(at, pa.field(name, pa.uuid()), ids)


def _event(connection: "Connection") -> str:
    return schema.qualified(connection.target, tables.EVENT)
