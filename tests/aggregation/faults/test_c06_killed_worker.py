"""C6: locks of a worker that died stopped everybody for half an hour."""

from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection

from completion_aggregator.aggregation import api
from completion_aggregator.models import AggregatedCourse, Aggregator, CourseProgress
from tests.aggregation.builders import (
    KEY,
    SMALL,
    complete,
    course,
    everything,
    from_scratch,
    learner,
    small,
    state_columns,
    states,
    tallies,
    waiting,
)
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.aggregation.processes import Child
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)


def killed_before(text: str) -> None:
    """Let a process refresh the course and kill it before its first statement with *text*."""
    child = Child("tests.aggregation.work.hang_before", text, graph=course(*SMALL))
    assert text in child.receive()
    child.kill()


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def finished_within(seconds: float) -> bool:
    """Refresh until nothing waits, as a service does; the server may take a moment to see that a client is gone."""
    end = monotonic() + seconds
    while waiting().exists() and monotonic() < end:
        api.refresh_course(KEY)
        sleep(0.01)
    return not waiting().exists()


def test_c6_after_a_worker_is_killed_in_its_batch_the_next_one_goes_on_at_once(platform: FakePlatform) -> None:
    small(platform)
    users = [learner(platform, name) for name in ("ana", "ben")]
    for user in users:
        complete(user, "a")

    killed_before(f"UPDATE {quoted('completion_aggregator_stalecompletion')}")

    assert Aggregator.objects.count() == 0  # nothing of the batch stands
    assert waiting().count() == 2
    assert finished_within(5.0)
    assert {tallies(user)["course"] for user in users} == {(1.0, 5.0)}
    assert everything() == from_scratch()


def test_c6_a_worker_killed_between_making_room_and_locking_leaves_nothing_wrong(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    # What locks the learner's row; on SQLite the transaction itself does, and claiming is the first thing in it.
    lock = f"SELECT id, username, user_id, block_key, {quoted('force')}"

    killed_before(lock)

    assert CourseProgress.objects.filter(user=ana, graph_version="").count() == 1
    assert api.course_summary(KEY).histogram[2] == 1  # read from her completions meanwhile: 1 of 5
    assert finished_within(5.0)
    assert everything() == from_scratch()


@pytest.mark.services
@pytest.mark.parametrize(
    "text",
    [
        "SELECT id, username, user_id, block_key",
        "FROM completion_blockcompletion",
        "INSERT INTO completion_aggregator_aggregator",
        "INSERT INTO completion_aggregator_courseprogress",
    ],
)
def test_c6_a_connection_that_is_cut_is_opened_again_and_the_batch_repeated(
    platform: FakePlatform, crew: Crew, needs_server: str, text: str
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")

    def work() -> Any:
        ids.append(own_id(needs_server))
        return api.refresh_course(KEY)

    ids: list[int] = []
    worker, stop = crew.start(work, stop_at=text)
    stop.reached()
    cut(needs_server, ids[0])
    stop.release()

    assert worker.result(PATIENCE).resolved == 1
    assert CourseProgress.objects.get().attempts == 0
    assert everything() == from_scratch()


@pytest.mark.services
@pytest.mark.parametrize("moment", ["before_the_course_is_opened", "before_the_queue_is_read", "before_the_end"])
def test_c6_a_connection_that_is_cut_between_batches_is_opened_again(
    platform: FakePlatform, crew: Crew, needs_server: str, moment: str
) -> None:
    small(platform)
    complete(learner(platform, "ana"), "a")
    text = {
        "before_the_course_is_opened": f"FROM {quoted(AggregatedCourse._meta.db_table)}",
        "before_the_queue_is_read": f"FROM {quoted('completion_aggregator_stalecompletion')}",
        "before_the_end": quoted("refreshed_at") + " = ",
    }[moment]
    ids: list[int] = []

    def work() -> Any:
        ids.append(own_id(needs_server))
        return api.refresh_course(KEY)

    worker, stop = crew.start(work, stop_at=text)
    stop.reached()
    cut(needs_server, ids[0])
    stop.release()

    assert worker.result(PATIENCE).resolved == 1
    assert AggregatedCourse.objects.get().refreshed_at is not None


def test_c6_a_worker_that_fails_everywhere_in_turn_changes_nothing(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.refresh_course(KEY)
    before = everything()
    complete(ana, "b")

    for nth in range(40):
        if not failed_at(nth):
            break
        assert waiting().count() == 1
        assert (before[0], states_of_completions(before[1])) == (everything()[0], states_of_completions(states()))
    else:
        pytest.fail("a refresh of one learner does not take forty statements")

    assert nth > 8
    assert everything() == from_scratch()


def failed_at(nth: int) -> bool:
    """Refresh, with an error of ours at the *nth* statement of the batch; return whether it came so far."""
    count = iter(range(1000))

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if next(count) == nth:
            raise KeyboardInterrupt  # as Ctrl-C does, anywhere
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(fail):
            api.refresh_learner("ana", KEY)
    except KeyboardInterrupt:
        return True
    return False


def states_of_completions(rows: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Return states without the count of attempts, which is not of the batch."""
    return {
        tuple(value for name, value in zip(state_columns(), row, strict=True) if name != "attempts") for row in rows
    }


def own_id(vendor: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()" if vendor == "mysql" else "SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def cut(vendor: str, number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("KILL %s" if vendor == "mysql" else "SELECT pg_terminate_backend(%s)", [number])
