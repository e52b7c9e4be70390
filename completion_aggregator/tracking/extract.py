"""Cut some courses and days out of a table into one file: Parquet, CSV, SQLite or DuckDB."""

import csv
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow.parquet as pq

from completion_aggregator.tracking.cells import neutral, neutral_row
from completion_aggregator.tracking.errors import TrackingError

#: The columns that an extract of events had before, and the answer, which stands in ``response``.
USUAL: Final = (
    *("event_id", "time", "person", "course", "name", "family", "source", "block", "session", "country"),
    *("agent", "page", "day", "copies", "extra"),
)
ALL: Final = ("*",)
FORMATS: Final = ("parquet", "csv", "sqlite", "duckdb")
_ROWS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Cut:
    """What is wanted: a table, a pattern of course keys, days from and to, columns (none: all, of events the usual)."""

    table: str
    course: str | None = None
    since: date | None = None
    until: date | None = None
    columns: Sequence[str] = ()


def extract(connection: duckdb.DuckDBPyConnection, cut: Cut, target: Path, form: str) -> int:
    """Write the file and return its rows. Raises TrackingError where it exists, or a table or column does not."""
    if target.exists():
        raise TrackingError(f"{target} exists: name another file, nothing is written over")
    sql, values = query(connection, cut)
    unfinished = target.with_name(f".{target.name}.part")
    unfinished.unlink(missing_ok=True)
    try:
        rows = _WRITERS[form](connection, sql, values, unfinished)
        # Not a rename: what came to be there meanwhile is not written over either.
        target.hardlink_to(unfinished)
    except FileExistsError:
        raise TrackingError(f"{target} exists: name another file, nothing is written over") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def query(connection: duckdb.DuckDBPyConnection, cut: Cut) -> tuple[str, list[Any]]:
    """Return the query of a cut, and its values."""
    found = connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'main'"
    ).fetchall()
    known = {table: [column for each, column in found if each == table] for table, _ in found if table[0] != "_"}
    if cut.table not in known:
        raise TrackingError(f"there is no table {cut.table!r}; there are: {', '.join(sorted(known))}")
    has = known[cut.table]
    usual = USUAL if cut.table == "event" else has
    columns = has if cut.columns == ALL else cut.columns or usual
    if unknown := [column for column in columns if column not in has]:
        raise TrackingError(f"{cut.table} has no column {', '.join(unknown)}; it has: {', '.join(has)}")
    where, values = _where(cut, has)
    names = ", ".join(f'"{column}"' for column in columns)
    return f'SELECT {names} FROM "{cut.table}" {where}', values


def _where(cut: Cut, has: Sequence[str]) -> tuple[str, list[Any]]:
    given = {
        ("course", '"course" GLOB ?'): cut.course,
        ("time", '"time" >= CAST(? AS DATE)'): cut.since,
        ("time", '"time" < CAST(? AS DATE) + INTERVAL 1 DAY'): cut.until,
    }
    terms, values = [], []
    for (column, term), value in given.items():
        if value is None:
            continue
        if column not in has:
            raise TrackingError(f"{cut.table} has no column {column} to choose by")
        terms.append(term)
        values.append(value)
    return f"WHERE {' AND '.join(terms)}" if terms else "", values


def _parquet(connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any], target: Path) -> int:
    reader: Any = connection.sql(sql, params=values).to_arrow_reader(_ROWS)
    rows = 0
    with pq.ParquetWriter(target, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _csv(connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any], target: Path) -> int:
    found = connection.execute(sql, values)
    rows = 0
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(neutral_row(_names(found)))
        for batch in _batches(found):
            writer.writerows([[neutral(each) for each in map(_plain, row)] for row in batch])
            rows += len(batch)
    return rows


def _sqlite(connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any], target: Path) -> int:
    found = connection.execute(sql, values)
    names = _names(found)
    rows = 0
    database = sqlite3.connect(target)
    try:
        columns = ", ".join(f'"{name}"' for name in names)
        database.execute(f"CREATE TABLE extract ({columns})")
        for batch in _batches(found):
            marks = ", ".join("?" for _ in names)
            database.executemany(
                f"INSERT INTO extract VALUES ({marks})", [[_plain(each) for each in row] for row in batch]
            )
            rows += len(batch)
        database.commit()
    finally:
        database.close()
    return rows


def _duckdb(connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any], target: Path) -> int:
    path = str(target).replace("'", "''")
    try:
        connection.execute(f"ATTACH '{path}' AS target")
    except duckdb.IOException as error:
        raise TrackingError(f"{target} cannot be written: {error}") from error
    try:
        connection.execute(f"CREATE TABLE target.extract AS {sql}", values)
        rows: int = connection.execute("SELECT count(*) FROM target.extract").fetchall()[0][0]
    finally:
        connection.execute("DETACH target")
    return rows


_WRITERS: Final = {"parquet": _parquet, "csv": _csv, "sqlite": _sqlite, "duckdb": _duckdb}


def _names(found: duckdb.DuckDBPyConnection) -> list[str]:
    return [each[0] for each in found.description or ()]


def _batches(found: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    while batch := found.fetchmany(_ROWS):
        yield batch


def _plain(value: Any) -> Any:
    """Return a value as CSV and SQLite have it: times and ids as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
