"""The Celery app of the standalone service: ``celery -A completion_aggregator.platforms.standalone.celery worker``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "completion_aggregator.platforms.standalone.settings")

app = Celery("completion_aggregator")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
