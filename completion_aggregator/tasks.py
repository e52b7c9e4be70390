"""Celery tasks, under the names that queues and schedules of existing sites know.

A task names work, it does not hold it: what is to be done stands in the stale rows. To run one twice, late or never
changes how soon tallies are current, not what they become.
"""

import logging
import os
from collections.abc import Collection
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.core.management import call_command
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import exposition
from completion_aggregator.aggregation import api
from completion_aggregator.conf import PREFIX, setting

logger = logging.getLogger(__name__)


@shared_task(name="completion_aggregator.tasks.run_service", ignore_result=True)
def run_service(limit: int | None = None) -> None:
    """Do what the command ``run_aggregator_service`` does once, for sites whose schedule is that of Celery beat."""
    call_command("run_aggregator_service", **({} if limit is None else {"limit": limit}))


@shared_task(name="completion_aggregator.tasks.refresh_course", ignore_result=True)
def refresh_course(course_key: str, batch_size: int | None = None, limit: int | None = None) -> None:
    """Refresh those learners of a course for whom something is stale; any number of workers may do so at once."""
    api.refresh_course(CourseKey.from_string(course_key), batch_size=batch_size, limit=limit)


@shared_task(name="completion_aggregator.tasks.aggregation_tasks.update_aggregators", ignore_result=True)
def update_aggregators(username: str, course_key: str, block_keys: Collection[str] = (), force: bool = False) -> None:
    """Refresh one learner in one course; with *force*, or no blocks, from all of her completions."""
    key = CourseKey.from_string(course_key)
    if force or not block_keys:
        api.mark_stale(username, key, force=force)
    else:
        api.mark_stale_many(key, {username: set(block_keys)})
    api.refresh_learner(username, key)


@shared_task(name="completion_aggregator.tasks.handler_tasks.mark_all_stale", ignore_result=True)
def mark_all_stale(course_key: str, users: Collection[str] | None = None) -> None:
    """Mark everything of these usernames stale, or of everybody with an active enrollment; an empty list is nobody."""
    key = CourseKey.from_string(course_key)
    if users is None:
        api.mark_course_stale(key)
    else:
        api.mark_stale_many(key, dict.fromkeys(users))


@shared_task(name="completion_aggregator.tasks.aggregation_tasks.migrate_batch", ignore_result=True)
def migrate_batch(batch_size: int, delay_between_tasks: float) -> None:
    """Do nothing: 4.x moved progress out of a table that Open edX does not have; a queue may still hold the task."""
    logger.info("nothing to migrate: the tables that migrate_batch read are gone")


@worker_ready.connect
def answer_scrapes(sender: Any = None, **_: Any) -> None:
    """Tell Prometheus what this worker counts, where a port is set for it; a worker that cannot works all the same."""
    port, address = setting("WORKER_METRICS_PORT"), setting("WORKER_METRICS_ADDRESS")
    if not port:
        return
    if "prefork" in str(getattr(sender, "pool_cls", "")) and not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        logger.warning("no metrics: the processes of this worker count in PROMETHEUS_MULTIPROC_DIR, which is not set")
    try:
        # Without the queue: as many workers as there are would ask the database for the same.
        exposition.serve(port, address, queue=False)
    except (exposition.NothingCounts, OSError) as error:
        logger.warning("no metrics on port=%d: %s; see %sWORKER_METRICS_PORT", port, error, PREFIX)
