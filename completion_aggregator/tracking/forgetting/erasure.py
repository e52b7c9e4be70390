"""Forgetting as one act: who is meant, what there is of them, and its end."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from completion_aggregator.tracking import loading, parts, people, tables
from completion_aggregator.tracking.clickhouse import access, erasing
from completion_aggregator.tracking.clickhouse.storing import Clickhouse
from completion_aggregator.tracking.engine import engine
from completion_aggregator.tracking.forgetting import folders, rows
from completion_aggregator.tracking.forgetting.meant import Meant
from completion_aggregator.tracking.forgetting.platform import refreshed
from completion_aggregator.tracking.ledger import Ledger
from completion_aggregator.tracking.replacement import AT_ONCE, BATCH_ROWS, Replacement, files, settle
from completion_aggregator.tracking.store import Store

if TYPE_CHECKING:
    from completion_aggregator.tracking.clickhouse.connection import Connection

#: Told after each part: bytes that were read; of rows in ClickHouse nothing.
Advance = Callable[[int], None]
_Change = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(slots=True)
class Forgotten:
    """What was done, or would be. ``users``: how many were asked for, of which the store never saw ``unseen``.

    ``events``: that stand without a person now; ``shared``: names that were left, since others have them too;
    ``rows``: of tables in ClickHouse, how many are deleted or changed.
    """

    users: int = 0
    unseen: int = 0
    shared: int = 0
    names: int = 0
    events: int = 0
    parts: int = 0
    tables: int = 0
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)


def forget(
    store: Store, users: Iterable[str | int], *, dry_run: bool = False, advance: Advance = lambda _: None
) -> Forgotten:
    """Forget users, given by number or name: numbers, names that are digits as ``name:123``.

    Again with the same result. In folders it is all or nothing; in ClickHouse, what was begun is finished by the next
    command that writes. Raises StoreInUse, NoStore, SeveralPersons.
    """
    asked = list(users)
    with store.writing() as ledger, engine(store, "forget") as connection:
        elsewhere = access.connection_of(ledger)
        if elsewhere:
            _tidy(store, ledger, elsewhere)
        else:
            loading.sweep(store, ledger)
        people.tell(connection, store, ledger, elsewhere)
        meant = Meant(connection, store, asked)
        identity = meant.identity
        done = Forgotten(len(asked), identity.unseen, identity.shared, len(identity.names))
        erase = _Erasure(connection, store, ledger, meant)
        if elsewhere:
            erase.elsewhere(elsewhere, done, dry_run=dry_run)
        else:
            erase.here(done, dry_run=dry_run, advance=advance)
        return done


def _tidy(store: Store, ledger: Ledger, elsewhere: "Connection") -> None:
    """Finish what was killed, and remove what it left."""
    Clickhouse(elsewhere, store.roots).prepare(ledger)
    parts.sweep(store.roots, settle(store, ledger), list(tables.TABLES))


class _Erasure:
    def __init__(self, connection: duckdb.DuckDBPyConnection, store: Store, ledger: Ledger, meant: Meant) -> None:
        self._connection, self._store, self._ledger, self._meant = connection, store, ledger, meant
        self._of_platform = list(refreshed(connection, store, meant))

    def here(self, done: Forgotten, *, dry_run: bool, advance: Advance) -> None:
        """Write parts anew, and swap them in one transaction."""
        holdings = folders.Holdings(self._connection, self._store, self._ledger, self._meant)
        work = list(holdings.work())
        done.events, done.parts, done.bytes = len(holdings.events), len(work), sum(part.bytes for part, _ in work)
        done.tables = len(self._of_platform)
        if dry_run:
            return
        with Replacement(self._store, self._ledger, "forget") as replacement:
            for part, change in work:
                [file] = files(self._store, [part])
                replacement.replace([part], _changed(Path(file), change))
                advance(part.bytes)
            self._commit(replacement)
        settle(self._store, self._ledger)

    def elsewhere(self, connection: "Connection", done: Forgotten, *, dry_run: bool) -> None:
        """Note what is to be done, with the tombstones, and do it."""
        holdings = rows.Holdings(self._connection, connection, self._meant)
        erasures = list(holdings.erasures())
        done.events, done.tables = len(holdings.events), len(self._of_platform)
        found: Counter[str] = Counter()
        for each in erasures:
            found[each.table] += each.rows
        done.rows = dict(found)
        if dry_run:
            return
        with Replacement(self._store, self._ledger, "forget") as replacement:
            self._commit(replacement, notes={erasing.NOTE: erasing.as_note(erasures)})
        settle(self._store, self._ledger)
        erasing.finish(self._ledger, connection)

    def _commit(self, replacement: Replacement, notes: Mapping[str, str] | None = None) -> None:
        for table, change in self._of_platform:
            replacement.stage(table, pq.read_schema(table), _changed(table, change))
        replacement.commit(grace=AT_ONCE, tombstones=self._meant.hashes | self._meant.scorers, notes=notes or {})


def _changed(file: Path, change: _Change) -> Iterator[pa.RecordBatch]:
    for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS):
        yield change(batch)
