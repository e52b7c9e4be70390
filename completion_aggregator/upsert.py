"""Set-based SQL: insert rows, or update those that exist, with a method per database.

The methods were chosen by measurement: SQLite prepares one statement and repeats it; MariaDB and MySQL read one JSON
parameter as a table; PostgreSQL unnests one array per column. What is the same in all rows goes once. Rows go in the
order of their key, which is faster and keeps concurrent writers from deadlocks.
"""

import json
from collections.abc import Callable, Collection, Sequence
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
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"), default=str)

else:

    def _json(rows: object) -> str:
        return orjson.dumps(rows).decode()


Row = Sequence[Any]
Column = Sequence[Any]
#: Rows per statement: far below the default limits of packet and parameter sizes, above what round trips cost.
CHUNK: Final = 5000
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


def among(column: str, count: int, *, using: str = DEFAULT_DB_ALIAS) -> str:
    """Return the condition that *column* is one of *count* parameters.

    MariaDB turns a list of a thousand into a table of its own, and may then read ours from end to end instead of by its
    index: there, lists are kept shorter. *count* is at least 1.
    """
    longest = _LIST if connections[using].vendor == "mysql" else count
    lists = [min(longest, count - start) for start in range(0, count, longest)]
    return "(" + " OR ".join(f"{column} IN ({', '.join(['%s'] * each)})" for each in lists) + ")"


def _stored(connection: BaseDatabaseWrapper, column: Column) -> Column:
    """Return *column* as the database takes it: without aware datetimes, in the time zone that it stores."""
    if connection.vendor == "postgresql" or _type_of(column) is not datetime:
        return column
    zone = connection.timezone
    return [None if value is None else value.astimezone(zone).replace(tzinfo=None) for value in column]


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
    arrays = {at: list(column) for at, column in enumerate(columns) if at not in constant}
    kinds = [_POSTGRESQL_TYPES[_type_of(column)] for column in columns]
    # A column of nothing has no type: as a bare NULL it takes that of the table.
    chosen = ", ".join(
        f"r.c{at}" if at in arrays else "NULL" if constant[at] is None else f"CAST(%s AS {kind})"
        for at, kind in enumerate(kinds)
    )
    marks = ", ".join(f"%s::{kinds[at]}[]" for at in arrays)
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
            [*(value for value in constant.values() if value is not None), *arrays.values()],
        )


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


def _type_of(column: Sequence[Any]) -> type:
    kind = next((type(value) for value in column if value is not None), str)
    return datetime if issubclass(kind, datetime) else kind


def _hexadecimal(column: Column) -> Column:
    return [None if value is None else value.hex() for value in column] if _type_of(column) is bytes else column


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
