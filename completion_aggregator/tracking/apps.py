"""The Django app of the tracking logs. Its tables are files of its own store: it has none in the site's database."""

from django.apps import AppConfig


class TrackingConfig(AppConfig):
    """Tracking logs to tables."""

    name = "completion_aggregator.tracking"
    label = "completion_aggregator_tracking"
    verbose_name = "Tracking logs"
    default_auto_field = "django.db.models.BigAutoField"
