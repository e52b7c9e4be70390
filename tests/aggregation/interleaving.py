"""Threads that stop at a statement, so that a race happens in the order a test wants."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, Self

from django.db import connection, connections

#: Nothing here takes so long unless something hangs.
PATIENCE = 30.0


class Stop:
    """Holds the connection of a thread before its first statement that contains *text*, until let go."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._reached, self._released = Event(), Event()

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if self.text in sql and not self._reached.is_set():
            self._reached.set()
            assert self._released.wait(PATIENCE), f"nobody let go of {self.text!r}"
        return execute(sql, params, many, context)

    def reached(self) -> None:
        """Wait until the thread is there."""
        assert self._reached.wait(PATIENCE), f"no statement with {self.text!r}"

    def release(self) -> None:
        self._released.set()


class Crew:
    """Runs functions in threads with connections of their own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=16)
        self._stops: list[Stop] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stop in self._stops:
            stop.release()
        self._pool.shutdown()

    def start(self, work: Callable[[], Any], *, stop_at: str = "") -> tuple[Future[Any], Stop]:
        """Start *work*; return its result to come, and where it stops, if it does."""
        stop = Stop(stop_at)
        self._stops.append(stop)
        return self._pool.submit(self._run, work, stop if stop_at else None), stop

    def do(self, work: Callable[[], Any]) -> Any:
        """Run *work* on a connection of its own and return what it returns."""
        return self.start(work)[0].result(PATIENCE)

    @staticmethod
    def _run(work: Callable[[], Any], stop: Stop | None) -> Any:
        try:
            if stop is None:
                return work()
            with connection.execute_wrapper(stop):
                return work()
        finally:
            connections.close_all()
