"""Settings of the site after the package was replaced: its database, its queue."""

import os

from completion_aggregator.platforms.standalone.database import database
from test_settings import *  # noqa: F403  (the same apps)

DATABASES = {"default": database(os.environ["UPGRADE_DATABASE_URL"])}
COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
# The service would do by itself, some learners in each run, what the command that is tried here does at once.
COMPLETION_AGGREGATOR_RECONCILE_LEARNERS = 0
CELERY_TASK_ALWAYS_EAGER = False
CELERY_BROKER_URL = os.environ["UPGRADE_BROKER_URL"]
CELERY_TASK_DEFAULT_QUEUE = os.environ["UPGRADE_QUEUE"]
