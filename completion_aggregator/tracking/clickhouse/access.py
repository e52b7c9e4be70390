"""How a store comes to its tables in ClickHouse: the address is in its ledger, the password with whoever runs it."""

import os
from typing import TYPE_CHECKING

from completion_aggregator.conf import setting
from completion_aggregator.tracking.clickhouse.target import target_of
from completion_aggregator.tracking.destination import TARGET
from completion_aggregator.tracking.ledger import Ledger

if TYPE_CHECKING:
    from completion_aggregator.tracking.clickhouse.connection import Connection


def connection_of(ledger: Ledger) -> "Connection | None":
    """Return a connection to where the tables of a store are; None: they are in its folders."""
    noted = ledger.note(TARGET)
    return connection_to(noted) if noted else None


def connection_to(url: str) -> "Connection":
    """Return a connection to ClickHouse. Raises TrackingError where the address is none or nobody answers."""
    target = target_of(url)
    from completion_aggregator.tracking.clickhouse import connection

    password = os.environ.get("CLICKHOUSE_PASSWORD") or setting("TRACKING_CLICKHOUSE_PASSWORD")
    return connection.connected(target, password)
