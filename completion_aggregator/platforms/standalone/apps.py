"""The Django app of the standalone platform."""

from django.apps import AppConfig


class StandaloneConfig(AppConfig):
    """Courses, enrollments, cohorts and roles of a site without an LMS."""

    name = "completion_aggregator.platforms.standalone"
    label = "completion_aggregator_standalone"
    verbose_name = "Standalone platform"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the signals, and make our Celery app the one that shared tasks run in."""
        from completion_aggregator.platforms.standalone import celery, signals
        from completion_aggregator.platforms.standalone.event_bus import retention

        _ = celery.app
        signals.connect()
        retention.connect()
