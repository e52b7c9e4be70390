"""C13: one learner's error stopped everybody's aggregation, or was repeated for ever."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from completion_aggregator.aggregation import api
from completion_aggregator.models import Aggregator, CourseProgress
from tests.aggregation.builders import (
    KEY,
    complete,
    everything,
    from_scratch,
    learner,
    learners,
    small,
    tallies,
    waiting,
)
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def refused_by_the_database(user_id: int) -> Iterator[None]:
    """Let the database refuse the rows of one learner, as a broken row or constraint does."""
    table = Aggregator._meta.db_table
    make, drop = f"ALTER TABLE {table} ADD CONSTRAINT poison CHECK (user_id <> {user_id})", "DROP CONSTRAINT poison"
    remove = f"ALTER TABLE {table} {drop}"
    if connection.vendor == "sqlite":
        make = (
            f"CREATE TRIGGER poison BEFORE INSERT ON {table} WHEN NEW.user_id = {user_id}"
            " BEGIN SELECT RAISE(ABORT, 'poison'); END"
        )
        remove = "DROP TRIGGER poison"
    with connection.cursor() as cursor:
        cursor.execute(make)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(remove)


def test_c13_a_poisoned_learner_is_set_aside_in_sight_and_the_others_are_done(
    platform: FakePlatform, settings: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 3
    small(platform)
    users = learners(platform, 25)
    for user in users:
        complete(user, "a")
    poisoned = users[11]

    with refused_by_the_database(poisoned.pk):
        first = api.refresh_course(KEY)
        assert (first.learners, first.failed) == (24, 1)
        assert waiting().count() == 1
        assert (api.refresh_course(KEY).failed, api.status().set_aside) == (1, ())
        assert api.refresh_course(KEY).failed == 1
        # Set aside: no longer tried, still seen, and nobody else is held up.
        complete(users[0], "b")
        last = api.refresh_course(KEY)
        assert (last.learners, last.failed) == (1, 0)

        (aside,) = api.status().set_aside
        assert (aside.user_id, aside.attempts, aside.course_key) == (poisoned.pk, 3, KEY)
        assert "poison" in aside.error
        assert waiting().count() == 1
        out = StringIO()
        call_command("aggregator_status", "--json", stdout=out)
        assert [each["user_id"] for each in json.loads(out.getvalue())["set_aside"]] == [poisoned.pk]

    call_command("run_aggregator_service", "--retry-set-aside")
    assert waiting().count() == 0
    assert tallies(poisoned)["course"] == (1.0, 5.0)
    assert everything() == from_scratch()


def test_c13_a_learner_whom_the_platform_cannot_tell_of_is_set_aside_too(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 1
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    platform.failing.add(ana.pk)
    complete(ana, "a")
    complete(ben, "a")

    summary = api.refresh_course(KEY)

    assert (summary.learners, summary.failed) == (1, 1)
    assert [each.user_id for each in api.status().set_aside] == [ana.pk]
    assert tallies(ben)["course"] == (1.0, 5.0)


def test_c13_a_run_counts_one_attempt_however_many_rows_wait(platform: FakePlatform) -> None:
    small(platform)
    users = learners(platform, 6)
    for name in ("a", "b", "c", "e", "f"):
        for user in users:
            complete(user, name)
    platform.failing.add(users[0].pk)

    summary = api.refresh_course(KEY, batch_size=1)

    assert summary.failed == 1
    assert CourseProgress.objects.get(user=users[0]).attempts == 1
    assert {row.username for row in waiting()} == {users[0].username}


def test_c13_success_forgets_earlier_failures(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    platform.failing.add(ana.pk)
    complete(ana, "a")
    api.refresh_course(KEY)
    platform.failing.clear()
    api.refresh_course(KEY)

    row = CourseProgress.objects.get()
    assert (row.attempts, row.error, row.set_aside_at) == (0, "", None)


def test_c13_trouble_of_the_database_is_no_fault_of_a_learner(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    troubles = iter([OperationalError("deadlock found"), OperationalError("server has gone away")])

    def trouble(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "INSERT INTO completion_aggregator_aggregator" in sql and (error := next(troubles, None)):
            raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(trouble):
        summary = api.refresh_course(KEY)

    assert (summary.learners, summary.failed) == (1, 0)
    assert CourseProgress.objects.get().attempts == 0
    assert waiting().count() == 0


def test_c13_trouble_that_does_not_end_ends_the_run_and_counts_against_nobody(platform: FakePlatform) -> None:
    small(platform)
    complete(learner(platform, "ana"), "a")

    def trouble(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "INSERT INTO completion_aggregator_aggregator" in sql:
            raise OperationalError("deadlock found")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(trouble), pytest.raises(OperationalError, match="deadlock"):
        api.refresh_course(KEY)

    assert CourseProgress.objects.get().attempts == 0
    assert waiting().count() == 1
