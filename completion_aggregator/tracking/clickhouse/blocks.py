"""The rows of a load as blocks to insert: large ones, and the same ones whenever they are made."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from completion_aggregator.tracking import parts
from completion_aggregator.tracking.clickhouse import schema
from completion_aggregator.tracking.clickhouse.schema import Numbering
from completion_aggregator.tracking.destination import ids_of
from completion_aggregator.tracking.ledger import Delivery
from completion_aggregator.tracking.parts import Roots
from completion_aggregator.tracking.tables import Table

#: A block is sent when it has so many rows, or bytes: few large ones suit ClickHouse, and memory is bounded.
BLOCK_ROWS: Final = 100_000
BLOCK_BYTES: Final = 64 * 2**20
_READ_ROWS: Final = 20_000

Numbers = npt.NDArray[np.int64]


def blocks(roots: Roots, delivery: Delivery, table: Table) -> Iterator[pa.Table]:
    """Yield the rows of a table in blocks, with the columns that it has in ClickHouse."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in _batches(roots, delivery, table):
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= BLOCK_ROWS or size >= BLOCK_BYTES:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _batches(roots: Roots, delivery: Delivery, table: Table) -> Iterator[pa.RecordBatch]:
    folder = parts.aside(roots, delivery.aside, table.name)
    names = [column.name for column in table.columns]
    numbering = _Numbers(schema.numbering_of(table))
    for part in delivery.parts:
        if part.name != table.name:
            continue
        with pq.ParquetFile(folder / part.path) as file:
            for batch in file.iter_batches(batch_size=_READ_ROWS, columns=names):
                yield _completed(batch, table, delivery, numbering)


def _completed(batch: pa.RecordBatch, table: Table, delivery: Delivery, numbering: "_Numbers") -> pa.RecordBatch:
    """Return the rows with the columns that the table has in ClickHouse besides."""
    given = {"load": delivery.load, "loaded_at": delivery.began}
    for name in schema.extra_of(table):
        kind = schema.EXTRA[name][1]
        values = numbering.of(batch) if name == "nth" else pa.repeat(pa.scalar(given[name], kind), len(batch))
        batch = batch.append_column(name, values)
    return batch


class _Numbers:
    """Counts rows, of a load or of each event: the rows of an event stand side by side, in one part."""

    def __init__(self, numbering: Numbering) -> None:
        self._is_of_event = numbering is Numbering.OF_EVENT
        self._next = 0
        self._last: tuple[int, int] | None = None

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the numbers of rows that follow those that were asked for before."""
        return pa.array(self._of(batch).astype(np.uint32))

    def _of(self, batch: pa.RecordBatch) -> Numbers:
        rows = np.arange(batch.num_rows)
        if not self._is_of_event:
            self._next += len(rows)
            return rows + self._next - len(rows)
        ids = ids_of(batch.column("event_id").storage)
        first = np.ones(len(ids), bool)
        first[1:] = (ids[1:] != ids[:-1]).any(axis=1)
        first[0] = self._last != (int(ids[0, 0]), int(ids[0, 1]))
        # A run that began in the batch before goes on with its number.
        starts = np.where(first, rows, -self._next if not first[0] else 0)
        numbers = rows - np.maximum.accumulate(starts)
        self._last, self._next = (int(ids[-1, 0]), int(ids[-1, 1])), int(numbers[-1]) + 1
        return numbers
