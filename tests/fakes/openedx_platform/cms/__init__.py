# Here, so that tasks have an app as soon as Django starts.
from cms.celery import APP as CELERY_APP

__all__ = ["CELERY_APP"]
