"""What the processes of these tests do. Each function gets its end of the pipe to the test."""

from time import monotonic, perf_counter, sleep
from typing import Any

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from completion_aggregator.aggregation import api
from tests.aggregation.builders import KEY, usage

LEAVES = ("a", "b", "c", "e", "f")


def request_completions(pipe: Any, names: list[str], seconds: float) -> None:
    """Be a web process: complete and lower blocks of these learners, a transaction each, for some seconds.

    Each learner gets one at least, however long this process waits for the others: SQLite's lock is not fair, and a
    run from scratch writes rows for those who never completed anything, too.
    """
    users = [get_user_model()._default_manager.get(username=name) for name in names]
    failed, times = [], []
    pipe.send("ready")
    pipe.recv()
    end, step = monotonic() + seconds, 0
    while monotonic() < end or step < len(users):
        user, leaf = users[step % len(users)], LEAVES[step // len(users) % len(LEAVES)]
        value = (1.0, 0.25, 0.5)[step // (len(users) * len(LEAVES)) % 3]
        start = perf_counter()
        try:
            with transaction.atomic():
                BlockCompletion.objects.submit_completion(user, usage("html", leaf), value)
        except DatabaseError as error:
            failed.append(f"{type(error).__name__}: {error}")
        times.append(perf_counter() - start)
        step += 1
    pipe.send((failed, times))


def refresh_until_told(pipe: Any, batch_size: int) -> None:
    """Be a worker: refresh the course again and again until told to stop."""
    resolved = 0
    pipe.send("ready")
    pipe.recv()
    while not pipe.poll(0.01):
        resolved += api.refresh_course(KEY, batch_size=batch_size).resolved
    pipe.send(resolved)


def hang_before(pipe: Any, text: str) -> None:
    """Be a worker that stops for ever before its first statement with *text*, in the middle of its transaction."""

    def hang(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if text in sql:
            pipe.send(sql)
            sleep(600)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(hang):
        api.refresh_course(KEY)
    pipe.send("done")


def serve(pipe: Any, text: str, options: dict[str, Any]) -> None:
    """Be ``run_aggregator_service --loop``; tell the test of each statement with *text* and wait until it answers."""

    def tell(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if text in sql:
            pipe.send(connection_id())
            pipe.recv()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(tell):
        call_command("run_aggregator_service", **options)
    pipe.send("stopped")


def connection_id() -> int | None:
    ask = {"mysql": "SELECT CONNECTION_ID()", "postgresql": "SELECT pg_backend_pid()"}.get(connection.vendor)
    if ask is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(ask)
        return int(cursor.fetchone()[0])
