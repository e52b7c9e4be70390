"""What this room raises on purpose; each message says what, where and what to do."""

from completion_aggregator.exceptions import CompletionAggregatorError


class TrackingError(CompletionAggregatorError):
    """Base of the errors of tracking logs."""


class NoStore(TrackingError):
    """There is no store of tracking logs in this folder."""


class StoreInUse(TrackingError):
    """Another process writes into the store."""


class DamagedStore(TrackingError):
    """The ledger names what is not there, or is none of ours."""


class Unreadable(TrackingError):
    """A file of logs cannot be read."""


class LoadFailed(TrackingError):
    """A load ended before it was committed; what was committed before it stays."""
