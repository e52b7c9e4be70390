"""xAPI statements of progress events, for event-routing-backends, where a site has it (extra ``xapi``).

Nothing else of ours needs that library, and to import this package does not.
"""

import logging
from typing import Final

from django.apps import apps

log = logging.getLogger(__name__)

ROUTER: Final = "event_routing_backends"
#: What transformers need, and what that needs, by the names of packages.
FOREIGN: Final = frozenset({ROUTER, "openedx_filters", "tincan"})


def register() -> bool:
    """Register our transformers if the app of event-routing-backends is installed. Return whether they are."""
    if not apps.is_installed(ROUTER):
        return False
    try:
        from completion_aggregator.xapi import transformers  # noqa: F401 - to import them registers them
    except ImportError as error:
        # Another version may have moved what we need: the site starts, without statements of ours.
        if (error.name or "").partition(".")[0] not in FOREIGN:
            raise
        log.exception("no xAPI statements of progress")
        return False
    return True
