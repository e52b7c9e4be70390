"""New parts in place of old ones: written aside, swapped in one transaction of the ledger, the old ones deleted after.

Killed before that transaction, nothing has happened; killed after it, the next one that writes does what is left.
"""

import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from completion_aggregator.tracking import parts
from completion_aggregator.tracking.ledger import Ledger, Part
from completion_aggregator.tracking.parts import INCOMING, Roots
from completion_aggregator.tracking.schemas import schema_of
from completion_aggregator.tracking.store import Store
from completion_aggregator.tracking.tables import TABLES

AT_ONCE: Final = timedelta(0)
#: Rows that are read at a time.
BATCH_ROWS: Final = 16_384
#: A group of a file has as many rows, or as many bytes in memory.
_GROUP_ROWS, _GROUP_BYTES = 131_072, 64 << 20
_EPOCH: Final = date(1970, 1, 1).toordinal()


def reached(point: str) -> None:
    """Do nothing. Tests of crashes let a process die at each of these points."""


class Replacement:
    """What is to come in the place of what; a context that leaves nothing behind if it is not committed."""

    def __init__(self, store: Store, ledger: Ledger, purpose: str) -> None:
        self._roots, self._ledger = store.roots, ledger
        self._token = secrets.token_hex(4)
        self._aside = f"{purpose}-{self._token}"
        #: Apart from the parts: what waits here stays until it is renamed, after the ledger's transaction.
        self._staging = f"{self._aside}-tables"
        self._old: list[Part] = []
        self._new: list[tuple[Part, int]] = []
        self._staged: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for root in (self._roots.open, self._roots.private):
            shutil.rmtree(root / INCOMING / self._aside, ignore_errors=True)
            if exception[0] is not None:
                shutil.rmtree(root / INCOMING / self._staging, ignore_errors=True)

    def replace(self, old: Sequence[Part], rows: Iterable[pa.RecordBatch], *, most: int = 2**62) -> int:
        """Write rows in the place of parts of one table and day, in parts of *most* rows; return how many parts."""
        name, day = old[0].name, old[0].day
        load = max(self._loads(name, day)[part.path] for part in old)
        self._old += old
        before = len(self._new)
        for piece in _pieces(rows, most):
            path = f"{name}/day={date.fromordinal(_EPOCH + day)}/{load:09d}-{self._token}-{len(self._new)}.parquet"
            target = parts.aside(self._roots, self._aside, name) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            count = _write(parts.open_parquet(target, name, schema_of(TABLES[name])), piece)
            parts.sync(target)
            self._new.append((Part(path, name, day, count, target.stat().st_size), load))
        return len(self._new) - before

    def stage(self, table: Path, schema: pa.Schema, rows: Iterable[pa.RecordBatch]) -> None:
        """Write a whole table that stands beside the parts, to be renamed when this is committed."""
        kind, root = ("open", self._roots.open)
        if table.is_relative_to(self._roots.private):
            kind, root = ("private", self._roots.private)
        staged = root / INCOMING / self._staging / table.name
        staged.parent.mkdir(parents=True, exist_ok=True)
        staged.touch(mode=0o600 if kind == "private" else 0o644)
        _write(pq.ParquetWriter(staged, schema, compression="zstd"), rows)
        parts.sync(staged)
        parts.sync(staged.parent)
        self._staged.append((f"{kind}/{table.relative_to(root)}", f"{kind}/{staged.relative_to(root)}"))

    def commit(
        self, *, grace: timedelta, tombstones: Iterable[bytes] = (), notes: Mapping[str, str] | None = None
    ) -> None:
        """Swap. Old files go after *grace*; without one, all that wait for theirs go now. *notes* are made with it."""
        reached("parts written")
        parts.publish(self._roots, self._aside, [part for part, _ in self._new])
        reached("parts moved")
        now = datetime.now(UTC)
        with self._ledger.transaction() as db:
            db.executemany("DELETE FROM part WHERE path = ?", [(part.path,) for part in self._old])
            db.executemany(
                "INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)",
                [(part.path, part.name, part.day, load, part.rows, part.bytes) for part, load in self._new],
            )
            until = _text(now + grace)
            db.executemany(
                "INSERT OR REPLACE INTO superseded VALUES (?, ?, ?)",
                [(part.path, part.name, until) for part in self._old],
            )
            if grace == AT_ONCE:
                db.execute("UPDATE superseded SET until = ?", (until,))
            db.executemany("INSERT OR REPLACE INTO renaming VALUES (?, ?)", self._staged)
            db.executemany("INSERT OR IGNORE INTO tombstone VALUES (?, ?)", [(each, _text(now)) for each in tombstones])
            for name, value in (notes or {}).items():
                self._ledger.set_note(name, value)
        reached("ledger committed")

    def _loads(self, name: str, day: int) -> dict[str, int]:
        found = self._ledger.rows("SELECT path, load FROM part WHERE name = ? AND day = ?", name, day)
        return {row["path"]: row["load"] for row in found}


def settle(store: Store, ledger: Ledger, *, now: datetime | None = None) -> set[str]:
    """Do what is left of replacements: rename, delete what is due. Return the paths of parts that are not due yet."""
    roots = store.roots
    for row in ledger.rows("SELECT target, staged FROM renaming"):
        _rename(_place(roots, row["staged"]), _place(roots, row["target"]))
        reached("table renamed")
        with ledger.transaction() as db:
            db.execute("DELETE FROM renaming WHERE target = ?", (row["target"],))
    until = _text(now or datetime.now(UTC))
    for row in ledger.rows("SELECT path, name FROM superseded WHERE until <= ?", until):
        (roots.of(row["name"]) / row["path"]).unlink(missing_ok=True)
        reached("part deleted")
        with ledger.transaction() as db:
            db.execute("DELETE FROM superseded WHERE path = ?", (row["path"],))
    return {row["path"] for row in ledger.rows("SELECT path FROM superseded")}


def files(store: Store, stored: Iterable[Part]) -> list[str]:
    """Return the files of parts."""
    return [str(store.roots.of(part.name) / part.path) for part in stored]


def _pieces(rows: Iterable[pa.RecordBatch], most: int) -> Iterator[Iterator[pa.RecordBatch]]:
    """Yield the rows in pieces of *most*, each to be read to its end before the next one; none without rows."""
    waiting: list[pa.RecordBatch] = []
    source = iter(rows)

    def piece() -> Iterator[pa.RecordBatch]:
        room = most
        while room:
            batch = waiting.pop() if waiting else next(source, None)
            if batch is None:
                return
            if batch.num_rows > room:
                waiting.append(batch.slice(room))
                batch = batch.slice(0, room)
            room -= batch.num_rows
            yield batch

    while True:
        while not waiting:
            batch = next(source, None)
            if batch is None:
                return
            if batch.num_rows:
                waiting.append(batch)
        yield piece()


def _write(writer: pq.ParquetWriter, rows: Iterable[pa.RecordBatch]) -> int:
    count = held = size = 0
    waiting: list[pa.RecordBatch] = []
    with writer:
        for batch in rows:
            waiting.append(batch)
            held += batch.num_rows
            size += batch.nbytes
            count += batch.num_rows
            if held >= _GROUP_ROWS or size >= _GROUP_BYTES:
                _write_group(writer, waiting)
                waiting, held, size = [], 0, 0
        if held:
            _write_group(writer, waiting)
    return count


def _write_group(writer: pq.ParquetWriter, batches: list[pa.RecordBatch]) -> None:
    whole = pa.Table.from_batches(batches).cast(writer.schema)
    writer.write_table(whole, row_group_size=max(whole.num_rows, 1))


def _rename(staged: Path, target: Path) -> None:
    if not staged.exists():
        return  # it was done before
    if target.exists() and target.stat().st_mtime > staged.stat().st_mtime:
        staged.unlink()  # the table was refreshed meanwhile, and knows of the tombstone
    else:
        staged.rename(target)
    parts.sync(target.parent)
    if not any(staged.parent.iterdir()):
        staged.parent.rmdir()


def _place(roots: Roots, text: str) -> Path:
    kind, _, path = text.partition("/")
    return (roots.private if kind == "private" else roots.open) / path


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
