"""What the standalone site tells Celery: a lost task loses no work, and none waits behind a long one."""

from completion_aggregator.platforms.standalone import settings
from completion_aggregator.platforms.standalone.celery import app


def test_tasks_are_hints_that_may_be_lost():
    told = {
        "broker_connection_retry_on_startup": True,
        "task_acks_late": False,
        "task_ignore_result": True,
        "worker_prefetch_multiplier": 1,
    }
    assert {name: getattr(settings, f"CELERY_{name.upper()}") for name in told} == told
    assert told.keys() <= set(app.conf)  # Celery knows each of these names
