"""Set-based SQL: insert rows, or update those that exist, with a method per database.

The methods were chosen by measurement: SQLite prepares one statement and repeats it; MariaDB and MySQL read one JSON
parameter as a table; PostgreSQL unnests one array per column, and copies many rows into a table for the moment. What is
the same in all rows goes once. Rows go in the order of their key, which is faster and keeps concurrent writers from
deadlocks.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

try:
    import orjson
except ImportError:  # the [fast] extra is not there

    def _json(rows: object) -> str:
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"), default=str)

else:

    def _json(rows: object) -> str:
        return orjson.dumps(rows).decode()


Row = Sequence[Any]
Column = Sequence[Any]
#: Rows per statement: far below the default limits of packet and parameter sizes, above what round trips cost.
CHUNK: Final = 5000
#: On PostgreSQL more rows are copied: half the CPU on our side; fewer are not worth a table.
COPIED_FROM: Final = 5000
#: Rows copied at once: a server may limit what a statement takes.
COPIED: Final = 50_000
_COPIED: Final = "completion_aggregator_copied"
_NARROW: Final = 255
_LIST: Final = 500


@dataclass(frozen=True, slots=True)
class _Statement:
    """What to write where: the same for every chunk."""

    table: str
    columns: Sequence[str]
    key: Sequence[str]
    update: Sequence[str]
    greatest: Collection[str]


def upsert(
    table: str,
    columns: Sequence[str],
    key: Sequence[str],
    rows: Collection[Row],
    *,
    update: Sequence[str] | None = None,
    greatest: Collection[str] = (),
    using: str = DEFAULT_DB_ALIAS,
) -> int:
    """Insert *rows* of *columns*, or set *update* where one with the same *key* exists; return how many were sent.

    ``key`` names the columns of a unique constraint. ``update``: None for all other columns, empty to leave existing
    rows alone. ``greatest``: columns of ``update`` that only grow. Names must be our own constants: they are not
    escaped. Values are str, int, float, bool, bytes, datetime or None, of one type in each column; the datetimes of a
    column are aware, or naive and then in UTC.
    """
    if not rows:
        return 0
    connection = connections[using]
    rest = [column for column in columns if column not in key] if update is None else list(update)
    statement = _Statement(table, columns, key, rest, greatest)
    ordered = sorted(rows, key=itemgetter(*(columns.index(name) for name in key)))
    write = _WRITERS[connection.vendor]
    chunk = CHUNK
    if connection.vendor == "postgresql" and len(ordered) > COPIED_FROM:
        write, chunk = _copy, COPIED
    for start in range(0, len(ordered), chunk):
        write(connection, statement, ordered[start : start + chunk])
    return len(ordered)


def among(column: str, count: int, *, using: str = DEFAULT_DB_ALIAS) -> str:
    """Return the condition that *column* is one of *count* parameters.

    MariaDB turns a list of a thousand into a table of its own, and may then read ours from end to end instead of by its
    index: there, lists are kept shorter. *count* is at least 1.
    """
    longest = _LIST if connections[using].vendor == "mysql" else count
    lists = [min(longest, count - start) for start in range(0, count, longest)]
    return "(" + " OR ".join(f"{column} IN ({', '.join(['%s'] * each)})" for each in lists) + ")"


def _stored(connection: BaseDatabaseWrapper, column: Column) -> Column:
    """Return *column* as the database takes it: datetimes naive, in the time zone that it stores.

    On PostgreSQL aware ones are taken as they are.
    """
    if _type_of(column) is not datetime:
        return column
    zone, to_postgresql = connection.timezone, connection.vendor == "postgresql"
    if next(value.tzinfo for value in column if value is not None) is not None:
        if to_postgresql:
            return column
        return [value and value.astimezone(zone).replace(tzinfo=None) for value in column]
    if zone is UTC and not to_postgresql:
        return column
    aware = [value and value.replace(tzinfo=UTC) for value in column]
    return aware if to_postgresql else _stored(connection, aware)


def _constant(columns: Sequence[Column]) -> dict[int, Any]:
    """Return the value of every column that has only one; there is always a column left to make the rows from."""
    found = {
        at: column[0]
        for at, column in enumerate(columns)
        if column[0] == column[-1] and column.count(column[0]) == len(column)
    }
    if len(found) == len(columns):
        del found[next(at for at, value in found.items() if value is not None)]
    return found


def _sqlite(connection: BaseDatabaseWrapper, statement: _Statement, rows: Sequence[Row]) -> None:
    marks = ", ".join(["%s"] * len(statement.columns))
    table = statement.table
    sets = [
        f"{name} = MAX({table}.{name}, excluded.{name})" if name in statement.greatest else f"{name} = excluded.{name}"
        for name in statement.update
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(statement.columns)}) VALUES ({marks}) {_on_conflict(statement, sets)}",
            list(zip(*(_texts(_stored(connection, column)) for column in zip(*rows, strict=True)), strict=True)),
        )


def _texts(column: Column) -> Column:
    # Python's sqlite3 no longer writes datetimes of itself.
    return [value and str(value) for value in column] if _type_of(column) is datetime else column


def _postgresql(connection: BaseDatabaseWrapper, statement: _Statement, rows: Sequence[Row]) -> None:
    columns: list[Column] = list(zip(*rows, strict=True))
    constant = _constant(columns)
    arrays = {at: list(_stored(connection, column)) for at, column in enumerate(columns) if at not in constant}
    marks = ", ".join(f"%s::{_postgresql_kind(columns[at])}[]" for at in arrays)
    named = ", ".join(f"c{at}" for at in arrays)
    chosen, parameters = _chosen(connection, columns, constant)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {statement.table} ({', '.join(statement.columns)})"
            f" SELECT {chosen} FROM unnest({marks}) AS r({named}) {_on_conflict(statement, _sets(statement))}",
            [*parameters, *arrays.values()],
        )


def _copy(connection: BaseDatabaseWrapper, statement: _Statement, rows: Sequence[Row]) -> None:
    columns: list[Column] = list(zip(*rows, strict=True))
    constant = _constant(columns)
    copied = {f"c{at}": _stored(connection, column) for at, column in enumerate(columns) if at not in constant}
    declared = ", ".join(f"{name} {_postgresql_kind(column)}" for name, column in copied.items())
    chosen, parameters = _chosen(connection, columns, constant)
    with transaction.atomic(using=connection.alias, savepoint=False), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {_COPIED} ({declared}) ON COMMIT DROP")
        # Django hands this on as it is, the driver's errors too; whoever tries again knows those of Django.
        with connection.wrap_database_errors, cursor.copy(f"COPY {_COPIED} FROM STDIN") as stream:
            for row in zip(*copied.values(), strict=True):
                stream.write_row(row)
        cursor.execute(
            f"INSERT INTO {statement.table} ({', '.join(statement.columns)})"
            f" SELECT {chosen} FROM {_COPIED} AS r {_on_conflict(statement, _sets(statement))}",
            parameters,
        )
        cursor.execute(f"DROP TABLE {_COPIED}")


def _chosen(
    connection: BaseDatabaseWrapper, columns: Sequence[Column], constant: Mapping[int, Any]
) -> tuple[str, list[Any]]:
    """Return what is selected from rows ``r`` with columns ``c0``, ``c1``, ...: these, and the constants beside."""
    # A column of nothing has no type: as a bare NULL it takes that of the table.
    chosen = ", ".join(
        f"r.c{at}"
        if at not in constant
        else "NULL"
        if constant[at] is None
        else f"CAST(%s AS {_postgresql_kind(column)})"
        for at, column in enumerate(columns)
    )
    return chosen, [_stored(connection, [value])[0] for value in constant.values() if value is not None]


def _sets(statement: _Statement) -> list[str]:
    table = statement.table
    return [
        f"{name} = GREATEST({table}.{name}, EXCLUDED.{name})"
        if name in statement.greatest
        else f"{name} = EXCLUDED.{name}"
        for name in statement.update
    ]


def _on_conflict(statement: _Statement, sets: Sequence[str]) -> str:
    action = f"UPDATE SET {', '.join(sets)}" if sets else "NOTHING"
    return f"ON CONFLICT ({', '.join(statement.key)}) DO {action}"


def _mysql(connection: BaseDatabaseWrapper, statement: _Statement, rows: Sequence[Row]) -> None:
    columns: list[Column] = list(zip(*rows, strict=True))
    constant = _constant(columns)
    kinds = {at: _mysql_kind(column) for at, column in enumerate(columns) if at not in constant}
    plain = [_hexadecimal(_stored(connection, columns[at])) for at in kinds]
    table = statement.table
    declared = ", ".join(f"c{at} {kind} PATH '$[{nth}]'" for nth, (at, (kind, _)) in enumerate(kinds.items()))
    chosen = ", ".join(kinds[at][1].format(f"j.c{at}") if at in kinds else "%s" for at in range(len(columns)))
    sets = [
        f"{name} = GREATEST({table}.{name}, VALUES({name}))"
        if name in statement.greatest
        else f"{name} = VALUES({name})"
        for name in statement.update
    ] or [f"{statement.key[0]} = {table}.{statement.key[0]}"]  # INSERT IGNORE would hide other errors too
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(statement.columns)}) "
            f"SELECT {chosen} FROM JSON_TABLE(%s, '$[*]' COLUMNS ({declared})) j "
            f"ON DUPLICATE KEY UPDATE {', '.join(sets)}",
            [*(_stored(connection, [value])[0] for value in constant.values()), _json(list(zip(*plain, strict=True)))],
        )


_POSTGRESQL_TYPES: Final[dict[type, str]] = {
    str: "text", bool: "boolean", int: "bigint", float: "double precision", bytes: "bytea", datetime: "timestamptz",
}  # fmt: skip


def _postgresql_kind(column: Sequence[Any]) -> str:
    return _POSTGRESQL_TYPES[_type_of(column)]


def _type_of(column: Sequence[Any]) -> type:
    kind = next((type(value) for value in column if value is not None), str)
    return datetime if issubclass(kind, datetime) else kind


def _hexadecimal(column: Column) -> Column:
    return [None if value is None else value.hex() for value in column] if _type_of(column) is bytes else column


def _mysql_kind(column: Sequence[Any]) -> tuple[str, str]:
    """Return how JSON_TABLE declares a column and the expression that turns it into the value to store."""
    kind = _type_of(column)
    if kind is str:
        narrow = max(map(len, filter(None, column)), default=0) <= _NARROW
        return "VARCHAR(255) CHARACTER SET utf8mb4" if narrow else "LONGTEXT CHARACTER SET utf8mb4", "{}"
    if kind is bytes:
        return "LONGTEXT CHARACTER SET ascii", "UNHEX({})"
    return {bool: "TINYINT", int: "BIGINT", float: "DOUBLE", datetime: "DATETIME(6)"}[kind], "{}"


_WRITERS: Final[dict[str, Callable[[BaseDatabaseWrapper, _Statement, Sequence[Row]], None]]] = {
    "sqlite": _sqlite,
    "mysql": _mysql,
    "postgresql": _postgresql,
}
