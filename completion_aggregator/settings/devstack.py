"""What the LMS is given for a machine of developers: the same as in production."""

from completion_aggregator.settings.production import plugin_settings

__all__ = ["plugin_settings"]
