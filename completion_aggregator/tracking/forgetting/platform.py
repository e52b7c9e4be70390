"""The tables of the platform, which stand beside those of the logs and are written anew as a whole."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from completion_aggregator.tracking.forgetting.meant import Meant, without
from completion_aggregator.tracking.replacement import BATCH_ROWS
from completion_aggregator.tracking.store import Store

_Change = Callable[[pa.RecordBatch], pa.RecordBatch]


def refreshed(connection: duckdb.DuckDBPyConnection, store: Store, meant: Meant) -> Iterator[tuple[Path, _Change]]:
    """Yield the tables of the platform that hold whoever is meant, and what becomes of their rows."""
    items = _items(connection, store)
    for path in sorted(store.tables_folder.glob("*.parquet")):
        if _is_among(path, meant.is_person):
            yield path, partial(_blanked, meant)
    for path in sorted((store.private_folder / "tables").glob("*.parquet")):
        is_theirs = partial(meant.is_private, items=items if path.stem == "post_text" else None)
        if _is_among(path, is_theirs):
            yield path, partial(_dropped, is_theirs)


def _items(connection: duckdb.DuckDBPyConnection, store: Store) -> pa.Array:
    path = store.tables_folder / "post.parquet"
    if not path.exists():
        return pa.array([], pa.string())
    return pa.array([row[0] for row in connection.execute(_ITEMS, [str(path)]).fetchall()], pa.string())


def _is_among(path: Path, is_meant: Callable[[pa.RecordBatch], pa.Array]) -> bool:
    return any(pc.any(is_meant(batch)).as_py() for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS))


def _blanked(meant: Meant, batch: pa.RecordBatch) -> pa.RecordBatch:
    return without(batch, ("person",), meant.is_person(batch))


def _dropped(is_meant: Callable[[pa.RecordBatch], pa.Array], batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.filter(pc.invert(is_meant(batch)))


_ITEMS: Final = "SELECT item FROM read_parquet(?) WHERE person IN (SELECT person FROM meant_person)"
