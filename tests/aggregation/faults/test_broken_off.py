"""A database that breaks off a transaction, as it ends deadlocks: whoever marks learners does it again."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from completion_aggregator.aggregation import api
from completion_aggregator.models import CourseProgress
from tests.aggregation.builders import KEY, complete, learner, small, waiting
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)


class BreaksOff:
    """Breaks off the first transaction that marks."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("INSERT INTO completion_aggregator_stalecompletion") and not self.times:
            self.times += 1
            raise OperationalError(1213, "Deadlock found when trying to get lock")
        return execute(sql, *arguments)


@pytest.fixture
def refreshed(platform: FakePlatform, settings: Any) -> Any:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.refresh_course(KEY)
    return ana


def test_a_course_is_marked_all_the_same(refreshed: Any) -> None:
    with connection.execute_wrapper(broken := BreaksOff()):
        assert api.mark_course_stale(KEY, force=True) == 1
    assert broken.times == 1
    assert [(row.username, row.force) for row in waiting()] == [("ana", True)]


def test_release_dates_are_kept_all_the_same(refreshed: Any) -> None:
    CourseProgress.objects.update(valid_until=timezone.now() - timedelta(days=1))
    with connection.execute_wrapper(broken := BreaksOff()):
        assert api.mark_expired(now=timezone.now()) == 1
    assert broken.times == 1
    assert waiting().count() == 1
    assert not CourseProgress.objects.exclude(valid_until=None).exists()
