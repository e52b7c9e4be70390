"""Where refreshed tables go: a Parquet file each, which is the old one until the new one is whole."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from completion_aggregator.tracking.errors import StoreInUse

#: A row group is written when it has as many rows, or as many bytes in memory.
GROUP_ROWS: Final = 50_000
GROUP_BYTES: Final = 64 << 20


class Target(Protocol):
    """Takes whole tables."""

    def write(
        self, table_name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, private: bool = False
    ) -> int:
        """Put these rows in the place of the table, all or nothing, and return how many there were."""


@dataclass(frozen=True)
class ParquetTarget:
    """Two folders: one of open tables, one of private tables, which only their owner may read."""

    tables_folder: Path
    private_folder: Path

    def path_of(self, table_name: str, *, private: bool = False) -> Path:
        """Return the file of a table."""
        return (self.private_folder if private else self.tables_folder) / f"{table_name}.parquet"

    def write(
        self, table_name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, private: bool = False
    ) -> int:
        """Write the file beside the old one, and rename it when it is on the disk. Raises StoreInUse."""
        path = self.path_of(table_name, private=private)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)
        part = path.with_name(f".{path.name}.part")
        with _unfinished(part, mode=0o600 if private else 0o644) as file:
            rows = _write(file, schema, batches)
            file.flush()
            os.fsync(file.fileno())
            part.rename(path)
        _sync(path.parent)
        return rows


@contextmanager
def _unfinished(part: Path, *, mode: int) -> Iterator[IO[bytes]]:
    """Provide the file to write, locked; what a refresh that was killed left there is begun anew."""
    with _locked(part, mode) as file:
        file.truncate(0)
        try:
            yield file
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _locked(part: Path, mode: int) -> IO[bytes]:
    while True:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, mode), "r+b", closefd=True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise StoreInUse(f"{part} is being written by another refresh: wait until it ends") from None
        # Whoever had it may have renamed it between opening and locking: then this is the finished table.
        if part.exists() and os.path.samestat(part.stat(), os.fstat(file.fileno())):
            os.fchmod(file.fileno(), mode)
            return file
        file.close()


def _write(file: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(schema, batches):
            writer.write_table(group)
            rows += group.num_rows
    return rows


def _groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
