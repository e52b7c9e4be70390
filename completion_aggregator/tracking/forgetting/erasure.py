"""Forgetting as one act: who is meant, what there is of them, and its end."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from completion_aggregator.tracking import loading, people
from completion_aggregator.tracking.engine import engine
from completion_aggregator.tracking.forgetting.folders import Holdings
from completion_aggregator.tracking.forgetting.meant import Meant
from completion_aggregator.tracking.forgetting.platform import refreshed
from completion_aggregator.tracking.replacement import AT_ONCE, BATCH_ROWS, Replacement, files, settle
from completion_aggregator.tracking.store import Store

#: Told after each part: bytes that were read.
Advance = Callable[[int], None]
_Change = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(slots=True)
class Forgotten:
    """What was done, or would be. ``users``: how many were asked for, of which the store never saw ``unseen``.

    ``events``: that stand without a person now; ``shared``: names that were left, since others have them too.
    """

    users: int = 0
    unseen: int = 0
    shared: int = 0
    names: int = 0
    events: int = 0
    parts: int = 0
    tables: int = 0
    bytes: int = 0


def forget(
    store: Store, users: Iterable[str | int], *, dry_run: bool = False, advance: Advance = lambda _: None
) -> Forgotten:
    """Forget users, given by number or name: numbers, names that are digits as ``name:123``.

    All or nothing, and again with the same result. Raises StoreInUse, NoStore, SeveralPersons.
    """
    asked = list(users)
    with store.writing() as ledger, engine(store, "forget") as connection:
        loading.sweep(store, ledger)
        people.tell(connection, store, ledger)
        meant = Meant(connection, store, asked)
        holdings = Holdings(connection, store, ledger, meant)
        work = list(holdings.work())
        identity = meant.identity
        done = Forgotten(len(asked), identity.unseen, identity.shared, len(identity.names), len(holdings.events))
        done.parts, done.bytes = len(work), sum(part.bytes for part, _ in work)
        of_platform = list(refreshed(connection, store, meant))
        done.tables = len(of_platform)
        if not dry_run:
            with Replacement(store, ledger, "forget") as replacement:
                for part, change in work:
                    [file] = files(store, [part])
                    replacement.replace([part], _changed(Path(file), change))
                    advance(part.bytes)
                for table, change in of_platform:
                    replacement.stage(table, pq.read_schema(table), _changed(table, change))
                replacement.commit(grace=AT_ONCE, tombstones=meant.hashes | meant.scorers)
            settle(store, ledger)
        return done


def _changed(file: Path, change: _Change) -> Iterator[pa.RecordBatch]:
    for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS):
        yield change(batch)
