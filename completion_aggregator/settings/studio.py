"""What Studio is given: it tells us what is published, and asks us nothing."""

from typing import Any, Final

from completion_aggregator.conf import PREFIX

PLATFORM: Final = "completion_aggregator.platforms.openedx.platform.OpenEdxPlatform"


def plugin_settings(settings: Any) -> None:
    """Name our adapter, unless *settings*, a module of Studio or the LMS, names another."""
    name = f"{PREFIX}PLATFORM"
    setattr(settings, name, getattr(settings, name, None) or PLATFORM)
