"""Parquet parts on their way into the store: written aside, synced, then moved to where they belong."""

import os
import secrets
import shutil
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.ledger import Part
from completion_aggregator.tracking.tables import Kind

INCOMING: Final = ".incoming"
_OPEN_FILES: Final = 64
#: Rows of a group: readers skip whole groups, and each group has its own dictionaries.
_GROUP: Final = 50_000
_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Roots:
    """The folders of the open tables and of the private ones."""

    open: Path
    private: Path

    def of(self, name: str) -> Path:
        """Return the folder under which the parts of a table have their paths."""
        return self.private if tables.TABLES[name].is_private else self.open


@dataclass(slots=True)
class _Unfinished:
    path: str
    name: str
    day: int
    writer: pq.ParquetWriter
    rows: int = 0
    waiting: list[pa.Table] = field(default_factory=list)
    rows_waiting: int = 0

    def add(self, rows: pa.Table) -> None:
        """Write rows, or keep them until there are enough for a group of them."""
        self.waiting.append(rows)
        self.rows_waiting += rows.num_rows
        if self.rows_waiting >= _GROUP:
            self.write()

    def write(self) -> None:
        """Write what waits as one group of rows."""
        if self.waiting:
            self.writer.write_table(pa.concat_tables(self.waiting), row_group_size=self.rows_waiting)
            self.rows += self.rows_waiting
            self.waiting, self.rows_waiting = [], 0


class PartsWriter:
    """Writes the parts of one load: a file for each table and day, and one more where too many are open."""

    def __init__(self, roots: Roots, load: int) -> None:
        self._roots, self._load = roots, load
        #: Of this process alone: one whose run was killed may still be writing.
        self.aside = f"{load:09d}-{secrets.token_hex(4)}"
        self._open: OrderedDict[tuple[str, int], _Unfinished] = OrderedDict()
        self._finished: list[Part] = []
        self._count = 0
        for folder in self._folders():
            folder.mkdir(parents=True)

    def write(self, name: str, day: int, rows: pa.Table) -> None:
        """Add rows to the part of a table and day."""
        if not rows.num_rows:
            return
        unfinished = self._open.get((name, day)) or self._begin(name, day, rows.schema)
        self._open.move_to_end((name, day))
        unfinished.add(rows)

    def finish(self) -> list[Part]:
        """Close and sync all parts; they stand aside until they are published."""
        while self._open:
            self._close()
        return self._finished

    def _begin(self, name: str, day: int, schema: pa.Schema) -> _Unfinished:
        if len(self._open) >= _OPEN_FILES:
            self._close()
        self._count += 1
        path = f"{name}/day={date.fromordinal(_EPOCH + day)}/{self._load:09d}-{self._count}.parquet"
        target = aside(self._roots, self.aside, name) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = _Unfinished(path, name, day, open_parquet(target, name, schema))
        self._open[name, day] = unfinished
        return unfinished

    def _close(self) -> None:
        _, unfinished = self._open.popitem(last=False)
        unfinished.write()
        unfinished.writer.close()
        target = aside(self._roots, self.aside, unfinished.name) / unfinished.path
        sync(target)
        size = target.stat().st_size
        self._finished.append(Part(unfinished.path, unfinished.name, unfinished.day, unfinished.rows, size))

    def _folders(self) -> set[Path]:
        return {aside(self._roots, self.aside, name) for name in ("event", "event_private")}


def open_parquet(target: Path, name: str, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a Parquet file for rows of a table. Ids are random: neither compressed nor put into a dictionary."""
    ids = [
        column.name for column in tables.TABLES[name].columns if column.kind is Kind.ID and column.name == "event_id"
    ]
    compression = {field.name: "none" if field.name in ids else "zstd" for field in schema}
    return pq.ParquetWriter(
        target,
        schema,
        compression=compression,
        compression_level={name: 1 for name, how in compression.items() if how == "zstd"},
        use_dictionary=[field.name for field in schema if pa.types.is_string(field.type) or field.name in _REPEATED],
        store_schema=False,
        version="2.6",
    )


_REPEATED: Final = frozenset({"person", "session"})


def aside(roots: Roots, folder: str, name: str) -> Path:
    """Return the folder in which parts of a load wait."""
    return roots.of(name) / INCOMING / folder


def publish(roots: Roots, folder: str, parts: list[Part]) -> None:
    """Move the parts of a load to where they belong. Readers do not know of them before the ledger does."""
    folders: set[Path] = set()
    for part in parts:
        target = roots.of(part.name) / part.path
        if not target.parent.exists():
            target.parent.mkdir(parents=True)
            folders.add(target.parent.parent)
        (aside(roots, folder, part.name) / part.path).rename(target)
        folders.add(target.parent)
    for changed in folders:
        sync(changed)
    for root in {roots.open, roots.private}:
        shutil.rmtree(root / INCOMING / folder, ignore_errors=True)


def sweep(roots: Roots, known: set[str], names: list[str]) -> int:
    """Remove what no ledger knows: parts of loads that were not committed. Return how many."""
    swept = 0
    for root in {roots.open, roots.private}:
        shutil.rmtree(root / INCOMING, ignore_errors=True)
    for name in names:
        root = roots.of(name)
        for path in (root / name).glob("day=*/*.parquet"):
            if str(path.relative_to(root)) not in known:
                path.unlink()
                swept += 1
    return swept


def sync(path: Path) -> None:
    """Let the disk have what was written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
