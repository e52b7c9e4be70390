"""DuckDB over a store: a view for each table, from the parts that the ledger names, and views under the old names."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from completion_aggregator.tracking import old_names, tables
from completion_aggregator.tracking.destination import require_here
from completion_aggregator.tracking.errors import DamagedStore, TrackingError
from completion_aggregator.tracking.ledger import Ledger
from completion_aggregator.tracking.ledger_tables import LEDGER, query
from completion_aggregator.tracking.schemas import schema_of
from completion_aggregator.tracking.store import Store
from completion_aggregator.tracking.tables import Kind, Table

_TYPES: Final = {
    Kind.ID: "UUID",
    Kind.TIME: "TIMESTAMPTZ",
    Kind.TERM: "VARCHAR",
    Kind.TEXT: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.FLAG: "BOOLEAN",
}

#: What DuckDB raises of a Parquet file that is missing, cut or no Parquet; what is wrong with a query is none of them.
_BROKEN: Final = {duckdb.Error, duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException}


@contextmanager
def connected(store: Store, *, private: bool = False, path: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Provide DuckDB with the views of the store; *private*: those of the private tables in a schema of that name.

    Each use of the private ones is written to the log in their folder. With *path* the views stay in that file. Raises
    DamagedStore where files of the store are missing or broken, also from within.
    """
    connection = _opened(path)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        with store.reading() as ledger:
            require_here(ledger)
            _copy_ledger(connection, ledger)
            for statement in statements(store, ledger, private=private):
                connection.execute(statement)
        if private:
            log_access(store, "sql")
        yield connection
    except duckdb.Error as error:
        if type(error) not in _BROKEN:
            raise
        raise DamagedStore(
            f"{store.folder} does not hold what its ledger names: {error}. Bring the file back from a backup, or load"
            " the logs into a new store"
        ) from error
    finally:
        connection.close()


def _opened(path: Path | None) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(path) if path else ":memory:")
    except duckdb.Error as error:
        raise TrackingError(f"{path} cannot be written: {error}") from error


def statements(store: Store, ledger: Ledger, *, private: bool = False) -> Iterator[str]:
    """Yield what makes the views as the ledger is now; its own tables are copied before."""
    for table in tables.OPEN:
        yield _view(store, ledger, table, _name("_event" if table is tables.EVENT else table.name))
    yield _EVENT
    for path in sorted(store.tables_folder.glob("*.parquet")):
        yield f"CREATE OR REPLACE VIEW {_name(path.stem)} AS SELECT * FROM read_parquet({_text(str(path))})"
    yield from old_names.statements(has=_refreshed(store))
    if private:
        yield "CREATE SCHEMA IF NOT EXISTS private"
        for table in tables.PRIVATE:
            yield _view(store, ledger, table, f"private.{_name(table.name)}")
        for path in sorted((store.private_folder / "tables").glob("*.parquet")):
            yield f"CREATE OR REPLACE VIEW private.{_name(path.stem)} AS SELECT * FROM read_parquet({_text(str(path))})"
        yield from old_names.private_statements()


def log_access(store: Store, what: str) -> None:
    """Write down that somebody asks for names."""
    line = f"{datetime.now(UTC).isoformat(timespec='seconds')} {what}\n"
    with (store.private_folder / "access.log").open("a", encoding="utf-8") as log:
        log.write(line)


_EVENT: Final = """
CREATE OR REPLACE VIEW event AS
SELECT e.* EXCLUDE (load, extra), CAST(e.time AT TIME ZONE 'UTC' AS DATE) AS day, coalesce(c.copies, 0) AS copies,
    e.load, e.extra
FROM _event AS e LEFT JOIN (SELECT event_id, count(*) AS copies FROM copy GROUP BY event_id) AS c USING (event_id)
"""


def _view(store: Store, ledger: Ledger, table: Table, name: str) -> str:
    root = store.roots.of(table.name)
    paths = [str(root / part.path) for part in ledger.parts(table.name)]
    if not paths:
        columns = ", ".join(f"CAST(NULL AS {_TYPES[each.kind]}) AS {_name(each.name)}" for each in table.columns)
        return f"CREATE OR REPLACE VIEW {name} AS SELECT {columns} WHERE false"
    files = ", ".join(_text(path) for path in paths)
    return f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet([{files}], hive_partitioning = false)"


def _copy_ledger(connection: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    for table in LEDGER:
        wanted = schema_of(table)
        rows = ledger.rows(query(table))
        columns = list(zip(*rows, strict=True)) or [()] * len(wanted)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, wanted, strict=True)]
        connection.register("given", pa.table(arrays, schema=wanted))
        connection.execute(f"CREATE OR REPLACE TABLE {_name(table.name)} AS SELECT * FROM given")
        connection.unregister("given")


def _refreshed(store: Store) -> set[str]:
    return {path.stem for path in store.tables_folder.glob("*.parquet")}


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
