"""The app that an LMS or a standalone site installs."""

from typing import Any, ClassVar, Final

from django.apps import AppConfig, apps

SETTINGS_TYPES: Final = ("common", "production", "devstack", "test")


class CompletionAggregatorAppConfig(AppConfig):
    """Completion of learners, aggregated over their courses."""

    name = "completion_aggregator"
    label = "completion_aggregator"
    verbose_name = "Completion Aggregator"
    # The three public tables had 32-bit ids; migration 0008 widens them.
    default_auto_field = "django.db.models.BigAutoField"
    # Read by the LMS and by Studio. No signals_config: they import what it names, and end where a release lacks it.
    plugin_app: ClassVar[dict[str, dict[str, Any]]] = {
        "url_config": {
            "lms.djangoapp": {
                "namespace": "completion_aggregator",
                "regex": "^completion-aggregator/",
                "relative_path": "urls",
            }
        },
        "settings_config": {
            "lms.djangoapp": {kind: {"relative_path": f"settings.{kind}"} for kind in SETTINGS_TYPES},
            "cms.djangoapp": {kind: {"relative_path": "settings.studio"} for kind in SETTINGS_TYPES},
        },
    }

    def ready(self) -> None:
        """Listen to completions and to the platform, have the checks run, and offer xAPI statements where wanted."""
        from completion_aggregator import checks, xapi
        from completion_aggregator.ports import get_platform

        # A Studio without it stores no completions.
        if apps.is_installed("completion"):
            from completion_aggregator import signals

            signals.connect()
        # A platform that cannot be loaded is told of by a check, which a site that does not start could not run.
        if not checks.why_no_platform():
            get_platform().listen()
        xapi.register()
