"""Without the service: a learner's tallies follow her completions, once per transaction."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from completion_aggregator.models import Aggregator, CourseProgress
from tests.aggregation.builders import complete, learner, small, waiting
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def synchronous(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = False


def refreshes() -> int:
    return len(
        [
            action
            for _, action, *_ in connection.run_on_commit
            if type(getattr(action, "__self__", None)).__name__ == "_LearnerRefresh"
        ]
    )


def test_a_completion_counts_as_soon_as_it_is_committed(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")

    complete(ana, "a")

    assert list(CourseProgress.objects.values_list("user_id", "earned")) == [(ana.pk, 1.0)]
    assert Aggregator.objects.filter(user_id=ana.pk, aggregation_name="course").values_list("earned").get() == (1.0,)
    assert waiting().count() == 0


def test_many_completions_of_one_transaction_are_refreshed_once(platform: FakePlatform) -> None:
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")

    with transaction.atomic():
        for block in ("a", "b", "c"):
            complete(ana, block)
        complete(ben, "a")
        assert refreshes() == 2

    assert list(CourseProgress.objects.order_by("user_id").values_list("earned", flat=True)) == [3.0, 1.0]
    assert waiting().count() == 0


def test_a_refresh_promised_in_a_savepoint_that_was_undone_is_promised_again(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")

    with transaction.atomic():
        savepoint = transaction.savepoint()
        complete(ana, "a")
        transaction.savepoint_rollback(savepoint)
        complete(ana, "b")

    assert list(CourseProgress.objects.values_list("earned", flat=True)) == [1.0]
    assert waiting().count() == 0


def test_nothing_is_refreshed_for_what_was_rolled_back(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")

    with transaction.atomic():
        complete(ana, "a")
        transaction.set_rollback(True)

    assert not CourseProgress.objects.exists()
    assert waiting().count() == 0


def test_a_course_that_is_unknown_does_not_fail_the_request(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    platform.graphs.clear()

    complete(ana, "a")

    assert waiting().count() == 1


def test_asynchronous_mode_adds_one_insert(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    small(platform)
    ana = learner(platform, "ana")

    with CaptureQueriesContext(connection) as queries:
        complete(ana, "a")

    ours = [query["sql"] for query in queries if "completion_aggregator" in query["sql"]]
    assert len(ours) == 1
    assert ours[0].startswith("INSERT INTO")
