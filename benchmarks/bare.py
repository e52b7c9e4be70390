"""The rows of a refresh from scratch, written again by nothing but the statement: the ways that each database has."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from django.db import connection, transaction

from benchmarks.cost import Result, measured
from benchmarks.refresh import Bench, empty
from completion_aggregator.upsert import upsert

TABLE: Final = "completion_aggregator_aggregator"
_KEY: Final = ("course_key", "block_key", "user_id", "aggregation_name")
_TALLY: Final = ("earned", "possible", "percent", "optional_earned", "optional_possible", "optional_percent")
COLUMNS: Final = (*_KEY, *_TALLY, "last_modified", "created", "modified")
_NAMES: Final = ", ".join(COLUMNS)
_MARKS: Final = f"({', '.join(['%s'] * len(COLUMNS))})"
_CHUNK: Final = 1000

Rows = Sequence[tuple[Any, ...]]


def bare(bench: Bench) -> Result:
    """Return what each way costs with the rows that are in the table, which is emptied before each."""
    rows = _rows()
    assert len(rows) >= bench.count, "there are no rows: refresh everybody from scratch before"
    return {name: _measured(write, rows) for name, write in WAYS[connection.vendor].items()}


def _rows() -> Rows:
    """Return the rows in the order of their key."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_NAMES} FROM {TABLE} ORDER BY {', '.join(_KEY)}")
        return [tuple(map(_aware, row)) for row in cursor.fetchall()]


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _measured(write: Callable[[Rows], None], rows: Rows) -> Result:
    empty([TABLE])
    result = Result()
    with measured(result), transaction.atomic():
        write(rows)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {TABLE}")
        assert cursor.fetchone() == (len(rows),)
    return result | {"rows_written": len(rows)}


def ours(rows: Rows) -> None:
    """Write by the statement that our refreshes use."""
    upsert(TABLE, COLUMNS, _KEY, rows)


def many_values(rows: Rows) -> None:
    """Write a thousand rows with each statement."""
    with connection.cursor() as cursor:
        for start in range(0, len(rows), _CHUNK):
            some = [_naive(row) for row in rows[start : start + _CHUNK]]
            marks = ", ".join([_MARKS] * len(some))
            cursor.execute(
                f"INSERT INTO {TABLE} ({_NAMES}) VALUES {marks} {_MYSQL_ACTION}",
                [value for row in some for value in row],
            )


def load_data(rows: Rows) -> None:
    """Write a file, have the server read it into a temporary table, and insert from there."""
    with TemporaryDirectory() as folder, _temporary(rows) as (cursor, varying, insert):
        path = Path(folder) / "rows.tsv"
        with path.open("w") as file:
            file.writelines("\t".join(map(str, row)) + "\n" for row in map(_naive, _picked(rows, varying)))
        names = ", ".join(varying)
        cursor.execute(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE bare CHARACTER SET utf8mb4 ({names})")
        cursor.execute(*insert(_MYSQL_ACTION))


def copy(rows: Rows) -> None:
    """Stream the rows into a temporary table of PostgreSQL, and insert from there."""
    with _temporary(rows) as (cursor, varying, insert):
        with cursor.copy(f"COPY bare ({', '.join(varying)}) FROM STDIN") as stream:
            for row in _picked(rows, varying):
                stream.write_row(row)
        cursor.execute(*insert(_ACTION))


@contextmanager
def _temporary(rows: Rows) -> Iterator[tuple[Any, list[str], Callable[[str], tuple[str, list[Any]]]]]:
    """Give a cursor that sees the table ``bare``, the columns it has, and the statement that inserts from it.

    Columns with one value throughout stand in that statement alone.
    """
    values = [set(column) for column in zip(*rows, strict=True)]
    constant = {name: each.pop() for name, each in zip(COLUMNS, values, strict=True) if len(each) == 1}
    varying = [name for name in COLUMNS if name not in constant]
    chosen = ", ".join("%s" if name in constant else name for name in COLUMNS)
    parameters = list(_naive(tuple(constant.values())))
    with connection.cursor() as cursor:
        # Only MariaDB's own engine is faster than the usual one.
        engine = "ENGINE=Aria " if getattr(connection, "mysql_is_mariadb", False) else ""
        cursor.execute(f"CREATE TEMPORARY TABLE bare {engine}AS SELECT {', '.join(varying)} FROM {TABLE} WHERE 1 = 0")
        yield (
            cursor,
            varying,
            lambda action: (f"INSERT INTO {TABLE} ({_NAMES}) SELECT {chosen} FROM bare {action}", parameters),
        )
        cursor.execute("DROP TABLE bare")


def _picked(rows: Rows, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return map(itemgetter(*(COLUMNS.index(name) for name in names)), rows)


def _naive(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in row)


_SETS: Final = [name for name in COLUMNS if name not in _KEY]
_SET: Final = ", ".join(f"{name} = EXCLUDED.{name}" for name in _SETS)
_ACTION: Final = f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {_SET}"
_MYSQL_ACTION: Final = f"ON DUPLICATE KEY UPDATE {', '.join(f'{name} = VALUES({name})' for name in _SETS)}"
WAYS: Final[dict[str, dict[str, Callable[[Rows], None]]]] = {
    "sqlite": {"executemany": ours},
    "mysql": {"json_table": ours, "many_values": many_values, "load_data": load_data},
    "postgresql": {"unnest": ours, "copy": copy},
}
