"""Our settings: one table of defaults, one accessor.

``docs/reference/settings.md`` has a row for each; a test compares the two.
"""

from typing import Any, Final

from django.conf import settings

PREFIX: Final = "COMPLETION_AGGREGATOR_"

DEFAULTS: Final[dict[str, Any]] = {
    # what is aggregated
    "BLOCK_TYPES": frozenset({"course", "chapter", "sequential", "vertical"}),
    "PROJECTED_BLOCK_TYPES": None,  # None: all of BLOCK_TYPES
    "AGGREGATE_UNRELEASED_BLOCKS": False,
    "COMPLETION_MODES": {},  # block type -> "completable", "aggregator" or "excluded"
    # when
    "ASYNC_AGGREGATION": False,
    "BATCH_SIZE": 1000,
    "MAX_ATTEMPTS": 5,
    # who hears of it
    "TRACKING_EVENT_TYPES": frozenset(),
    # the REST API
    "MAX_PAGE_SIZE": 100,
    "MEAN_CACHE_SECONDS": 300,
    "API_AUTHENTICATION_CLASSES": (),  # dotted paths; none: those that Django REST framework is told of
    # where courses come from
    "PLATFORM": "completion_aggregator.platforms.standalone.platform.StandalonePlatform",
    # what is kept in memory
    "GRAPH_CACHE_SIZE": 64,
}


def setting(name: str) -> Any:
    """Return our setting *name*, or its default; an unknown name fails at once."""
    return getattr(settings, PREFIX + name, DEFAULTS[name])


def block_types() -> frozenset[str]:
    """Return the aggregator types that clients may ask for."""
    return frozenset(setting("BLOCK_TYPES"))


def projected_block_types() -> frozenset[str]:
    """Return the types that are kept as rows of the ``Aggregator`` table."""
    projected = setting("PROJECTED_BLOCK_TYPES")
    return block_types() if projected is None else frozenset(projected) & block_types()
