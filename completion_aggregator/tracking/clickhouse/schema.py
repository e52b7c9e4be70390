"""What makes the tables in ClickHouse, from those that there are.

A row that is written again, since a run died between its insertion and its commit, has the key of the first one and
replaces it. No two other rows have equal keys: where an event can have several rows in a table, or the table is of
rows of a load, ``nth`` numbers them.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final

import pyarrow as pa

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.clickhouse.target import Target
from completion_aggregator.tracking.tables import COMMON, Column, Kind, Table

_TYPES: Final = {
    Kind.ID: "UUID",
    Kind.TIME: "DateTime64(6, 'UTC')",
    Kind.TERM: "String",
    Kind.TEXT: "String",
    Kind.INTEGER: "Int64",
    Kind.NUMBER: "Float64",
    Kind.FLAG: "Bool",
}
_NEVER_NULL: Final = frozenset({("event_id", Kind.ID), ("time", Kind.TIME), ("load", Kind.INTEGER)})
#: The tables in which an event has one row at most.
_SINGLE: Final = (tables.EVENT, tables.EVENT_PRIVATE)
#: What queries look for, for as long as they run: words that stand in a query stand in the server's logs, too.
WORDS: Final = "asked"
#: Inserts whose tokens a server without replicas remembers; with replicas it does so by itself.
_REMEMBERED: Final = 1000


class Numbering(Enum):
    """What ``nth`` counts: nothing, the rows of an event, the rows of a load."""

    NONE = "none"
    OF_EVENT = "event"
    OF_LOAD = "load"


#: What tables have here besides, as it is needed: name to type, Arrow's type and meaning.
EXTRA: Final = {
    "load": ("Int64", pa.int64(), "The load that brought it."),
    "nth": ("UInt32", pa.uint32(), "Number of the row, from 0: of its event in this table, or of its load."),
    "loaded_at": (_TYPES[Kind.TIME], pa.timestamp("us", tz="UTC"), "When the load began that brought it."),
}


def numbering_of(table: Table) -> Numbering:
    """Return what ``nth`` counts in a table."""
    names = {column.name for column in table.columns}
    if table in _SINGLE:
        return Numbering.NONE
    # Copies of an event are met in any number of places, often several in a load.
    return Numbering.OF_EVENT if "event_id" in names and "load" not in names else Numbering.OF_LOAD


def key_of(table: Table) -> tuple[str, ...]:
    """Return what no two rows of a table share."""
    names = [column.name for column in table.columns]
    course = ["course"] if table.columns[: len(COMMON)] == COMMON else []
    subject = [name for name in ("event_id", "person") if name in names][:1]
    number = {Numbering.NONE: [], Numbering.OF_EVENT: ["nth"], Numbering.OF_LOAD: ["load", "nth"]}[numbering_of(table)]
    return (*course, "toDate(time)", *subject, *number)


def extra_of(table: Table) -> list[str]:
    """Return the names of the columns that a table has here besides."""
    own = {column.name for column in table.columns}
    return [name for name in EXTRA if name not in own and name in (*key_of(table), "loaded_at")]


def statements(target: Target) -> Iterator[str]:
    """Yield what makes the databases and all tables, where they are not there yet."""
    for database in (target.database, target.private_database):
        yield f"CREATE DATABASE IF NOT EXISTS {quoted(database)}{on_cluster(target)}"
    for table in tables.TABLES.values():
        yield table_statement(target, table)
    yield f"CREATE TABLE IF NOT EXISTS {words(target)}{on_cluster(target)} (`word` String) ENGINE = Memory"


def names(target: Target) -> Iterator[tuple[str, str]]:
    """Yield database and name of all that the statements make."""
    for name, table in tables.TABLES.items():
        yield target.database_of(table), name
    yield target.private_database, WORDS


def table_statement(target: Target, table: Table) -> str:
    """Return what makes a table, where it is not there yet."""
    key = key_of(table)
    columns = [column(each, key) for each in table.columns]
    columns += [f"{quoted(name)} {EXTRA[name][0]} COMMENT {text(EXTRA[name][2])}" for name in extra_of(table)]
    columns.append("`day` Date ALIAS toDate(time) COMMENT 'The day, UTC.'")
    listed = ",\n    ".join(columns)
    # Outside a course `course` is NULL here as it is everywhere, though it begins the key.
    settings = ["allow_nullable_key = 1"]
    if not target.cluster:
        settings.append(f"non_replicated_deduplication_window = {_REMEMBERED}")
    return (
        f"CREATE TABLE IF NOT EXISTS {qualified(target, table)}{on_cluster(target)} (\n    {listed}\n)"
        f"\nENGINE = {replacing(target, 'loaded_at')}\nPARTITION BY toYYYYMM(time)\nORDER BY ({', '.join(key)})"
        f"\nSETTINGS {', '.join(settings)}\nCOMMENT {text(f'One row per {table.row}.')}"
    )


def qualified(target: Target, table: Table) -> str:
    """Return the name of a table with that of its database."""
    return f"{quoted(target.database_of(table))}.{quoted(table.name)}"


def words(target: Target) -> str:
    """Return the name of the table of words that queries look for."""
    return f"{quoted(target.private_database)}.{quoted(WORDS)}"


def quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    return f"`{name}`"


def text(value: str) -> str:
    """Return a text as SQL takes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def column(each: Column, key: tuple[str, ...]) -> str:
    """Return what makes a column."""
    return f"{quoted(each.name)} {_type_of(each, key)} COMMENT {text(each.meaning)}"


def _type_of(column: Column, key: tuple[str, ...]) -> str:
    plain = _TYPES[column.kind]
    never_null = (column.name, column.kind) in _NEVER_NULL or (column.name in key and column.name != "course")
    fitted = plain if never_null else f"Nullable({plain})"
    return f"LowCardinality({fitted})" if column.kind is Kind.TERM else fitted


def replacing(target: Target, version: str) -> str:
    """Return the engine of a table in which the row with the greatest *version* replaces others of its key."""
    if target.cluster:
        path = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
        return f"ReplicatedReplacingMergeTree({path}, {version})"
    return f"ReplacingMergeTree({version})"


def on_cluster(target: Target) -> str:
    """Return what has something made on all servers of a cluster."""
    return f" ON CLUSTER {quoted(target.cluster)}" if target.cluster else ""
