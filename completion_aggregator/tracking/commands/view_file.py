"""A DuckDB file of views over a store, for other programs; written again, it says what the store has by then.

Its views are of the parts that the ledger names when it is written. A pattern of names in their place would hold for
later parts, too, but count those twice that were merged within the hour, and those that a crash left, and nobody would
be told. So a file that is too old fails, and to write it again is made easy.
"""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from completion_aggregator.tracking import views
from completion_aggregator.tracking.destination import require_here
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.store import Store

_COMMENT: Final = (
    "Files of {store} as they were at {time}: nothing of what was loaded later. After `tracking people forget`, and an"
    " hour after `tracking store optimise`, some are gone: then write this file again, with `tracking sql --write`."
)
_NOTED: Final = "CREATE OR REPLACE TABLE written (store VARCHAR, private BOOLEAN, written TIMESTAMPTZ)"
_VIEWS: Final = "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"


def write(store: Store, path: Path, *, private: bool = False) -> None:
    """Write the views into a file, or anew into one that was so written: what else is in it stays.

    Raises TrackingError where the file is another's, or open elsewhere.
    """
    with store.reading() as ledger:
        require_here(ledger)
    if path.exists():
        _require_ours(store, path, private=private)
    with views.connected(store, private=private, path=path) as connection:
        _note(connection, store, private=private)


def _require_ours(store: Store, path: Path, *, private: bool) -> None:
    try:
        with closing(duckdb.connect(str(path))) as connection:
            found = connection.execute("SELECT store, private FROM written").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        found = []
    except duckdb.Error as error:
        raise TrackingError(f"{path} exists, and cannot be written: {error}") from error
    if found != [(str(store.folder), private)]:
        raise TrackingError(
            f"{path} exists, and was not written from {store.folder} {'with' if private else 'without'} --private: name"
            " another file, nothing is written over"
        )


def _note(connection: duckdb.DuckDBPyConnection, store: Store, *, private: bool) -> None:
    """Say in the file what it is of, and of each view how long it holds."""
    now = datetime.now(UTC)
    connection.execute(_NOTED)
    connection.execute("INSERT INTO written VALUES (?, ?, ?)", [str(store.folder), private, now])
    comment = _COMMENT.format(store=store.folder, time=now.isoformat(timespec="seconds")).replace("'", "''")
    for schema, name in connection.execute(_VIEWS).fetchall():
        connection.execute(f"COMMENT ON VIEW {_name(schema)}.{_name(name)} IS '{comment}'")


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
