"""Questions to what may not answer: a database that hangs must not hang whoever asks how it is."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Lock, Thread
from time import monotonic
from typing import Generic, TypeVar

from django.db import connections

from completion_aggregator.exceptions import CompletionAggregatorError

_T = TypeVar("_T")


class NoAnswer(CompletionAggregatorError):
    """What was asked did not answer in time; it is still being waited for, and not asked again meanwhile."""


class Probe(Generic[_T]):
    """Asks one question in a thread of its own, once at a time however many want to know.

    An answer, or an error, is given again to whoever asks within *keep* seconds; nobody waits longer than *patience*.
    The question may use the databases: its connections are closed after it.
    """

    def __init__(self, question: Callable[[], _T], *, patience: float, keep: float = 0.0) -> None:
        self._question, self._patience, self._keep = question, patience, keep
        self._lock = Lock()
        self._asked: Future[_T] | None = None
        self._answered_at = 0.0

    def begin(self) -> Callable[[float], _T]:
        """Ask; return what waits for the answer, for so many seconds, as ``ask`` does."""
        return partial(_wait, self._under_way())

    def ask(self) -> _T:
        """Return the answer. Raises NoAnswer, or what the question raised."""
        return self.begin()(self._patience)

    def forget(self) -> None:
        """Ask anew next time."""
        with self._lock:
            self._asked = None

    def _under_way(self) -> Future[_T]:
        with self._lock:
            last = self._asked
            if last is not None and (not last.done() or monotonic() < self._answered_at + self._keep):
                return last
            self._asked = Future()
            Thread(target=self._answer, args=(self._asked,), name="probe", daemon=True).start()
            return self._asked

    def _answer(self, asked: Future[_T]) -> None:
        try:
            found = self._question()
        except Exception as error:  # noqa: BLE001 - raised again by whoever asked
            self._answered_at = monotonic()
            asked.set_exception(error)
        else:
            self._answered_at = monotonic()
            asked.set_result(found)
        finally:
            connections.close_all()


def _wait(asked: Future[_T], patience: float) -> _T:
    try:
        return asked.result(patience)
    except TimeoutError:
        if asked.done():  # so it is what the question raised
            raise
        raise NoAnswer(f"no answer within {patience:g} s") from None
