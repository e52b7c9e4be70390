"""Where loads go that are written: into the folders of the store, or elsewhere. The ledger stays in the store."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from completion_aggregator.tracking import parts
from completion_aggregator.tracking.errors import DamagedStore, TrackingError
from completion_aggregator.tracking.ledger import Delivery, Ledger, Part, Run
from completion_aggregator.tracking.parts import Roots
from completion_aggregator.tracking.seen import Ids

#: The note of the ledger that says where the tables are, if not in the store's folders.
TARGET: Final = "target"


@dataclass(frozen=True, slots=True)
class Handover:
    """A load that is written aside, and all that the ledger is to be told of it."""

    run: Run
    delivery: Delivery
    misdated: Ids


class Destination(Protocol):
    """Where the rows of loads are read from."""

    def prepare(self, ledger: Ledger) -> None:
        """Finish what a run left that died; refuse a store whose tables are elsewhere."""

    def publish(self, ledger: Ledger, handover: Handover) -> list[Part]:
        """Put the rows where they are read from; return the parts that the ledger is to name."""

    def committed(self, ledger: Ledger, delivery: Delivery) -> None:
        """Forget what was kept in case that the process dies before the ledger knows of the load."""

    def stored_ids(self, ledger: Ledger, day: int) -> Iterator[Ids]:
        """Yield the ids of the events that are stored under a day, in pieces."""


class Folders:
    """The folders of the store."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots

    def prepare(self, ledger: Ledger) -> None:
        """Refuse a store whose tables are elsewhere."""
        require_here(ledger)

    def publish(self, ledger: Ledger, handover: Handover) -> list[Part]:
        """Move the parts to where they belong."""
        delivery = handover.delivery
        parts.publish(self._roots, delivery.aside, delivery.parts)
        return delivery.parts

    def committed(self, ledger: Ledger, delivery: Delivery) -> None:
        """Do nothing: the next run sweeps what no ledger names."""

    def stored_ids(self, ledger: Ledger, day: int) -> Iterator[Ids]:
        """Yield the ids of the events that are stored under a day, in pieces."""
        for part in ledger.parts("event", (day, day)):
            path = self._roots.open / part.path
            try:
                for batch in pq.ParquetFile(path).iter_batches(batch_size=1_000_000, columns=["event_id"]):
                    yield ids_of(batch.column(0).storage)
            except (pa.ArrowInvalid, OSError) as error:
                raise DamagedStore(f"{path} is gone or damaged, bring it back from a backup: {error}") from error


def require_here(ledger: Ledger) -> None:
    """Raise TrackingError where the tables of the store are not in its folders."""
    if elsewhere := ledger.note(TARGET):
        raise TrackingError(f"the tables of this store are in {elsewhere}: ask there, or name another store")


def ids_of(column: pa.FixedSizeBinaryArray) -> Ids:
    """Return ids of 16 bytes as two columns of 64 bits."""
    plain = np.frombuffer(column.buffers()[1], np.uint8)
    start = column.offset * 16
    found: Ids = plain[start : start + len(column) * 16].view(">u8").astype(np.uint64).reshape(-1, 2)
    return found
