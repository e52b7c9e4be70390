"""The task by which a schedule runs the service."""

import pytest
from celery import current_app

from completion_aggregator import tasks
from tests.aggregation.builders import KEY, complete, everything, from_scratch, learner, small, waiting


@pytest.fixture(autouse=True)
def asynchronous(settings):
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


def test_queues_and_schedules_know_the_tasks_by_these_names():
    ours = {name for name in current_app.tasks if name.startswith("completion_aggregator.")}
    assert ours == {
        "completion_aggregator.tasks.refresh_course",
        "completion_aggregator.tasks.run_service",
        "completion_aggregator.tasks.aggregation_tasks.migrate_batch",
        "completion_aggregator.tasks.aggregation_tasks.update_aggregators",
        "completion_aggregator.tasks.handler_tasks.mark_all_stale",
    }


@pytest.mark.django_db
def test_a_run_of_the_task_is_a_run_of_the_service(platform):
    small(platform)
    for name in ("ana", "ben"):
        complete(learner(platform, name), "a")
    tasks.run_service.delay(limit=1)
    assert waiting().count() == 1
    tasks.run_service.delay()
    assert waiting().count() == 0
    assert everything() == from_scratch(KEY)
