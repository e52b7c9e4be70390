"""The app that an LMS or a standalone site installs."""

from django.apps import AppConfig


class CompletionAggregatorAppConfig(AppConfig):
    """Completion of learners, aggregated over their courses."""

    name = "completion_aggregator"
    label = "completion_aggregator"
    verbose_name = "Completion Aggregator"
    # The three public tables had 32-bit ids; migration 0008 widens them.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to completions, have the checks run at start-up, and offer xAPI statements where they are sent."""
        from completion_aggregator import checks, signals, xapi  # noqa: F401 - to import the checks registers them

        signals.connect()
        xapi.register()
