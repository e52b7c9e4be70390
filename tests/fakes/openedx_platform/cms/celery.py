"""The Celery app of this process: shared tasks run by it, with the settings of the site."""

from celery import Celery

APP = Celery("cms")
APP.config_from_object("django.conf:settings", namespace="CELERY")
APP.autodiscover_tasks()
