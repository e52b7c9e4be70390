"""Work that the database breaks off: tried again so often and no more, counted by why, and halved if it is too much."""

import logging
from collections.abc import Callable, Iterator, Sequence
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, InternalError, OperationalError, connection, transaction
from prometheus_client import REGISTRY

from completion_aggregator.aggregation import attempts
from completion_aggregator.aggregation.attempts import TRIES, TRIES_IN_TIME, again, isolating, reason
from tests.aggregation.interleaving import PATIENCE, Crew

pytestmark = pytest.mark.django_db(transaction=True)

DEADLOCK = OperationalError(1213, "Deadlock found when trying to get lock")
TOO_SLOW = OperationalError(1969, "Query execution was interrupted (max_statement_time exceeded)")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.0)


@pytest.fixture
def crew() -> Iterator[Crew]:
    with Crew() as each:
        yield each


def failing(times: int, error: Exception) -> Callable[[], int]:
    """Work that fails so often, and then says how often it was tried."""
    done: list[int] = []

    def work() -> int:
        done.append(1)
        if len(done) <= times:
            raise error
        return len(done)

    return work


def counted(why: str) -> float:
    return REGISTRY.get_sample_value("completion_aggregator_retries_total", {"reason": why}) or 0.0


def test_what_is_broken_off_is_done_again_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    before = counted("deadlock")
    with caplog.at_level(logging.WARNING):
        assert again(failing(TRIES - 1, DEADLOCK)) == TRIES
    assert counted("deadlock") == before + TRIES - 1
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        f"tried again reason=deadlock attempt={attempt}" for attempt in range(1, TRIES)
    ]


@pytest.mark.parametrize(("error", "tries"), [(DEADLOCK, TRIES), (TOO_SLOW, TRIES_IN_TIME)])
def test_it_is_not_tried_for_ever(error: Exception, tries: int) -> None:
    work = failing(100, error)
    with pytest.raises(OperationalError):
        again(work)
    assert again(failing(tries - 1, error)) == tries


def test_within_somebodys_transaction_nothing_is_tried_again() -> None:
    work = failing(1, DEADLOCK)
    with pytest.raises(OperationalError), transaction.atomic():
        again(work)
    assert work() == 2


def test_pauses_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", 0.2)
    pauses: list[list[float]] = []
    for _ in range(20):
        pauses.append([])
        monkeypatch.setattr(attempts, "sleep", pauses[-1].append)
        again(failing(TRIES - 1, DEADLOCK))
    for number, middle in enumerate((0.2, 0.8, 3.2)):
        found = [each[number] for each in pauses]
        assert middle / 2 <= min(found) < max(found) <= middle * 1.5


def test_a_batch_that_takes_too_long_is_halved_until_it_is_quick_enough() -> None:
    def work(items: Sequence[int]) -> list[int]:
        if len(items) > 3:
            raise TOO_SLOW
        return list(items)

    assert list(isolating(work, range(10), at_fault=_nobody)) == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]


def test_a_database_that_breaks_off_all_is_nobodys_fault() -> None:
    for error, items in ((DEADLOCK, range(4)), (TOO_SLOW, range(1))):
        with pytest.raises(OperationalError):
            list(isolating(lambda _: failing(100, error)(), items, at_fault=_nobody))  # noqa: B023


@pytest.mark.services
def test_each_reason_is_known_by_what_the_server_says(crew: Crew, needs_server: str, django_user_model: Any) -> None:
    ana = django_user_model.objects.create(username="ana")
    name = connection.ops.quote_name(django_user_model._meta.db_table)
    mysql = needs_server == "mysql"
    row = f"SELECT id FROM {name} WHERE id = {ana.pk} FOR UPDATE"

    def own_id() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT CONNECTION_ID()" if mysql else "SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    def asked(*statements: str) -> str:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        except OperationalError as error:
            return reason(error)
        return "done"

    def cut_off() -> str:
        number = own_id()
        crew.do(lambda: _execute(f"KILL {number}" if mysql else f"SELECT pg_terminate_backend({number})"))
        return asked("SELECT 1")

    with transaction.atomic():
        _execute(row)
        waits = "SET innodb_lock_wait_timeout = 1" if mysql else "SET lock_timeout = 100"
        assert crew.do(lambda: asked(waits, row)) == "lock_wait"
    slow = (
        ("SET max_statement_time = 0.1", f"SELECT COUNT(*) FROM {name} WHERE SLEEP(5) = 0")
        if mysql
        else ("SET statement_timeout = 100", "SELECT pg_sleep(5)")
    )
    assert crew.do(lambda: asked(*slow)) == "timeout"
    assert crew.do(cut_off) == "connection"


@pytest.mark.services
def test_a_deadlock_is_told_from_other_reasons(crew: Crew, needs_server: str, django_user_model: Any) -> None:
    users = [django_user_model.objects.create(username=name) for name in ("ana", "ben")]
    both_have_one = Barrier(2)

    def take(first: Any, second: Any) -> Callable[[], str]:
        def work() -> str:
            try:
                with transaction.atomic():
                    django_user_model.objects.filter(pk=first.pk).update(first_name="x")
                    both_have_one.wait(PATIENCE)
                    django_user_model.objects.filter(pk=second.pk).update(first_name="x")
            except OperationalError as error:
                return reason(error)
            return "done"

        return work

    futures = [crew.start(take(*pair))[0] for pair in (users, users[::-1])]
    assert {future.result(PATIENCE) for future in futures} == {"done", "deadlock"}


def test_a_server_that_may_only_be_read_is_left_for_the_one_that_may_be_written(
    vendor: str, django_user_model: Any
) -> None:
    if vendor != "postgresql":
        pytest.skip("the others call it an operational error")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    before = counted("connection")

    again(lambda: django_user_model._default_manager.create(username="ana"))

    assert django_user_model._default_manager.filter(username="ana").exists()
    assert counted("connection") == before + 1


def test_an_internal_error_of_another_kind_is_a_defect() -> None:
    def broken(items: Sequence[int]) -> list[int]:
        if 2 in items:
            raise InternalError("an invariant is broken")
        return list(items)

    parts = isolating(broken, [1, 2, 3], at_fault=lambda item, _: [-item])

    assert [each for part in parts for each in part] == [1, -2, 3]


def test_what_is_no_error_of_the_database_is_not_tried_again() -> None:
    with pytest.raises(IntegrityError):
        again(failing(1, IntegrityError("twice")))


def _nobody(item: Any, error: Exception) -> Any:
    raise AssertionError(f"{item} is not at fault")


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
