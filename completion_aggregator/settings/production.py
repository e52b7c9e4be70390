"""What the LMS is given after it has read its own files, which may have put lists of theirs in the place of ours."""

from typing import Any

from completion_aggregator.settings.common import allow_events
from completion_aggregator.settings.studio import plugin_settings as same_as_in_studio


def plugin_settings(settings: Any) -> None:
    """Add to lists that *settings*, a module of the LMS, has taken from files; what else they say is left alone."""
    same_as_in_studio(settings)
    allow_events(settings)
