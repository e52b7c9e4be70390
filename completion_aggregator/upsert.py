"""Set-based writes: insert rows, or update those that exist, with a method per database.

The methods were chosen by measurement: SQLite prepares one statement and repeats it; MariaDB and MySQL read one JSON
parameter as a table; PostgreSQL unnests one array per column. Rows go in the order of their key, which is faster and
keeps concurrent writers from deadlocks.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

try:
    import orjson
except ImportError:  # the [fast] extra is not there

    def _json(rows: object) -> str:
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))

else:

    def _json(rows: object) -> str:
        return orjson.dumps(rows).decode()


Row = Sequence[Any]
#: Rows per statement: far below the default limits of packet and parameter sizes, above what round trips cost.
CHUNK: Final = 5000
_NARROW: Final = 255


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
    escaped. Values are str, int, float, bool, bytes, aware datetimes or None, of one type in each column.
    """
    if not rows:
        return 0
    connection = connections[using]
    rest = [column for column in columns if column not in key] if update is None else list(update)
    statement = _Statement(table, columns, key, rest, greatest)
    ordered = sorted(rows, key=itemgetter(*(columns.index(name) for name in key)))
    write = _WRITERS[connection.vendor]
    for start in range(0, len(ordered), CHUNK):
        write(connection, statement, ordered[start : start + CHUNK])
    return len(ordered)


def adapted(connection: BaseDatabaseWrapper, rows: Sequence[Row]) -> Iterator[Row]:
    """Yield *rows* with their moments as this database stores them."""
    moments = {at for row in rows[:1] for at in range(len(row))}
    moments = {at for at in moments if any(isinstance(row[at], datetime) for row in rows)}
    adapt = connection.ops.adapt_datetimefield_value
    for row in rows:
        yield [adapt(value) if at in moments else value for at, value in enumerate(row)] if moments else row


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
            list(adapted(connection, rows)),
        )


def _postgresql(connection: BaseDatabaseWrapper, statement: _Statement, rows: Sequence[Row]) -> None:
    columns = list(zip(*rows, strict=True))
    # A column of nothing has no type: as a bare NULL it takes that of the table.
    arrays = {at: list(column) for at, column in enumerate(columns) if any(value is not None for value in column)}
    chosen = ", ".join(f"r.c{at}" if at in arrays else "NULL" for at in range(len(columns)))
    marks = ", ".join(f"%s::{_POSTGRESQL_TYPES[_type_of(column)]}[]" for column in arrays.values())
    named = ", ".join(f"c{at}" for at in arrays)
    table = statement.table
    sets = [
        f"{name} = GREATEST({table}.{name}, EXCLUDED.{name})"
        if name in statement.greatest
        else f"{name} = EXCLUDED.{name}"
        for name in statement.update
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(statement.columns)}) SELECT {chosen} FROM unnest({marks}) AS r({named}) "
            + _on_conflict(statement, sets),
            list(arrays.values()),
        )


def _on_conflict(statement: _Statement, sets: Sequence[str]) -> str:
    action = f"UPDATE SET {', '.join(sets)}" if sets else "NOTHING"
    return f"ON CONFLICT ({', '.join(statement.key)}) DO {action}"


def _mysql(connection: BaseDatabaseWrapper, statement: _Statement, rows: Sequence[Row]) -> None:
    plain = list(adapted(connection, rows))
    kinds = [_mysql_kind(column) for column in zip(*rows, strict=True)]
    binary = [at for at, (_, expression) in enumerate(kinds) if expression != "{}"]
    if binary:
        plain = [[v.hex() if at in binary and v is not None else v for at, v in enumerate(row)] for row in plain]
    table = statement.table
    declared = ", ".join(f"c{at} {kind} PATH '$[{at}]'" for at, (kind, _) in enumerate(kinds))
    chosen = ", ".join(expression.format(f"j.c{at}") for at, (_, expression) in enumerate(kinds))
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
            [_json(plain)],
        )


_POSTGRESQL_TYPES: Final[dict[type, str]] = {
    str: "text", bool: "boolean", int: "bigint", float: "double precision", bytes: "bytea", datetime: "timestamptz",
}  # fmt: skip


def _type_of(column: Sequence[Any]) -> type:
    kind = next((type(value) for value in column if value is not None), str)
    return datetime if issubclass(kind, datetime) else kind


def _mysql_kind(column: Sequence[Any]) -> tuple[str, str]:
    """Return how JSON_TABLE declares a column and the expression that turns it into the value to store."""
    kind = _type_of(column)
    if kind is str:
        narrow = all(value is None or len(value) <= _NARROW for value in column)
        return "VARCHAR(255) CHARACTER SET utf8mb4" if narrow else "LONGTEXT CHARACTER SET utf8mb4", "{}"
    if kind is bytes:
        return "LONGTEXT CHARACTER SET ascii", "UNHEX({})"
    return {bool: "TINYINT", int: "BIGINT", float: "DOUBLE", datetime: "DATETIME(6)"}[kind], "{}"


_WRITERS: Final[dict[str, Callable[[BaseDatabaseWrapper, _Statement, Sequence[Row]], None]]] = {
    "sqlite": _sqlite,
    "mysql": _mysql,
    "postgresql": _postgresql,
}
