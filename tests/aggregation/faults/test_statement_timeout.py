"""A statement that takes longer than the server lets it: work waits, nobody is set aside, the next run ends right."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection, transaction

from completion_aggregator.aggregation import api, attempts
from completion_aggregator.models import Aggregator, CourseProgress
from tests.aggregation.builders import KEY, complete, everything, from_scratch, learner, small, tallies, waiting
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.fakes.platform import FakePlatform

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.0)


def impatient(work: Callable[[], Any]) -> Callable[[], Any]:
    """Do it on a connection whose statements may take a fifth of a second."""
    limit = "SET max_statement_time = 0.2" if connection.vendor == "mysql" else "SET statement_timeout = 200"

    def limited() -> Any:
        with connection.cursor() as cursor:
            cursor.execute(limit)
        return work()

    return limited


@pytest.mark.parametrize("table", [Aggregator, CourseProgress])
def test_a_batch_that_is_broken_off_leaves_its_work_waiting(platform: FakePlatform, crew: Crew, table: Any) -> None:
    small(platform)
    users = [learner(platform, name) for name in ("ana", "ben", "cem")]
    for user in users:
        complete(user, "a")
    api.refresh_course(KEY)
    before = everything()
    for user in users:
        complete(user, "b")

    def hold() -> None:
        with transaction.atomic():
            list(table.objects.select_for_update().filter(user=users[1]))
            Session.objects.exists()

    holding, stop = crew.start(hold, stop_at=Session._meta.db_table)
    stop.reached()
    if table is Aggregator:
        with pytest.raises(OperationalError) as error:
            crew.do(impatient(lambda: api.refresh_course(KEY)))
        assert attempts.reason(error.value) == "timeout"
        # Of the halves, that of ana alone went through.
        assert set(waiting().values_list("username", flat=True)) == {"ben", "cem"}
    else:
        # Whose row is locked is somebody else's work: she is passed over, and nothing waits for her.
        assert crew.do(impatient(lambda: api.refresh_course(KEY))).learners == 2
        assert set(waiting().values_list("username", flat=True)) == {"ben"}
    stop.release()
    holding.result(PATIENCE)

    assert not CourseProgress.objects.filter(attempts__gt=0).exists()
    assert crew.do(impatient(lambda: api.refresh_course(KEY))).failed == 0
    assert not waiting().exists()
    assert {tallies(user)["course"] for user in users} == {(2.0, 5.0)}
    assert before != everything() == from_scratch()
