"""A store has its tables in one place: its ledger notes which."""

from typing import TYPE_CHECKING

from completion_aggregator.tracking.clickhouse.target import Target, target_of
from completion_aggregator.tracking.destination import TARGET
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.ledger import Ledger

if TYPE_CHECKING:
    from completion_aggregator.tracking.clickhouse.connection import Connection


def bind(ledger: Ledger, connection: "Connection") -> None:
    """Let the store have its tables there, and there only. Raises TrackingError where they are elsewhere."""
    bound = ledger.note(TARGET)
    if bound:
        require_same(bound, connection.target)
        connection.create()
        return
    if ledger.next_load() > 1:
        raise TrackingError("this store has tables in its folders: make another for ClickHouse, `tracking store init`")
    require_unused(connection)
    ledger.set_note(TARGET, str(connection.target))


def require_unused(connection: "Connection") -> None:
    """Make the tables; raise TrackingError where they hold something already."""
    connection.create()
    if connection.has_events():
        raise TrackingError(f"{connection.target} holds the events of another store: name another database")


def require_same(bound: str, target: Target) -> None:
    """Raise TrackingError for another place than the one that a store is bound to."""
    if target_of(bound).place != target.place:
        raise TrackingError(f"the tables of this store are in {bound}, not in {target}: name the one, or another store")
