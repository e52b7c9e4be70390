"""DuckDB for work on a whole store, within little memory."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb

from completion_aggregator.tracking.parts import INCOMING
from completion_aggregator.tracking.store import Store

#: Memory for sorting; what does not fit is spilled to the private folder.
MEMORY: Final = "512MB"


@contextmanager
def engine(store: Store, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Provide DuckDB that keeps within its memory."""
    spill = store.private_folder / INCOMING / f"{purpose}-spill-{secrets.token_hex(4)}"
    connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(spill)})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET arrow_lossless_conversion = true")
        yield connection
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)
