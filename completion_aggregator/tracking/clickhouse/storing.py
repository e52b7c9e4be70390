"""ClickHouse as the destination of loads: exactly once, though a run may die between there and the ledger."""

import logging
import shutil
from collections.abc import Iterator
from typing import Final

from completion_aggregator.tracking import ledger as ledgers
from completion_aggregator.tracking import tables
from completion_aggregator.tracking.clickhouse import bookkeeping, erasing, pending
from completion_aggregator.tracking.clickhouse.binding import bind
from completion_aggregator.tracking.clickhouse.blocks import blocks
from completion_aggregator.tracking.clickhouse.connection import Connection
from completion_aggregator.tracking.destination import Handover
from completion_aggregator.tracking.ledger import Delivery, Ledger, Part
from completion_aggregator.tracking.parts import INCOMING, Roots
from completion_aggregator.tracking.seen import Ids

log = logging.getLogger(__name__)

#: Events come last: whoever finds one finds all that the other tables have of it.
_ORDER: Final = (*(table for table in tables.TABLES.values() if table is not tables.EVENT), tables.EVENT)


class Clickhouse:
    """The tables of a store, in ClickHouse."""

    def __init__(self, connection: Connection, roots: Roots) -> None:
        self._connection, self._roots = connection, roots

    def prepare(self, ledger: Ledger) -> None:
        """Make what is missing there; finish forgetting that was begun; send again what a run sent that died.

        Of whoever is being forgotten no load is on its way: whoever forgets finishes it first.
        """
        bind(ledger, self._connection)
        erasing.finish(ledger, self._connection)
        left = pending.noted(ledger)
        if left:
            self._finish(ledger, left)
        bookkeeping.tell(ledger, self._connection)

    def publish(self, ledger: Ledger, handover: Handover) -> list[Part]:
        """Insert the rows of a load; the ledger names no parts of it."""
        pending.note(ledger, handover)
        self._insert(handover)
        return []

    def committed(self, ledger: Ledger, delivery: Delivery) -> None:
        """Remove the parts, which are rows there now, and send what the ledger says of them."""
        pending.forget(ledger)
        for root in {self._roots.open, self._roots.private}:
            shutil.rmtree(root / INCOMING / delivery.aside, ignore_errors=True)
        bookkeeping.tell(ledger, self._connection, delivery.load, delivery.fields)

    def stored_ids(self, ledger: Ledger, day: int) -> Iterator[Ids]:
        """Yield the ids of the events that are stored under a day, in pieces."""
        return self._connection.event_ids(day)

    def _insert(self, handover: Handover) -> None:
        # A number is never given to another load: it is noted with its run before the first row is sent.
        token = f"{handover.run.run}-{handover.delivery.load}"
        for table in _ORDER:
            for number, block in enumerate(blocks(self._roots, handover.delivery, table)):
                self._connection.insert(table, block, f"{token}-{table.name}-{number}")

    def _finish(self, ledger: Ledger, left: Handover) -> None:
        delivery = left.delivery
        try:
            self._insert(left)
        except FileNotFoundError as error:
            # Its files are read again, since the ledger does not know of it; what was sent of it counts as copies then.
            log.warning("load %d cannot be finished, its parts are gone: %s", delivery.load, error)
            pending.forget(ledger)
            return
        delivery.parts = []
        ledgers.commit(ledger, left.run, delivery, left.misdated)
        self.committed(ledger, delivery)
