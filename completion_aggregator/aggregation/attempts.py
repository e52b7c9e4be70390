"""How work that can be repeated is tried again, and how one item at fault is told from the others of its batch."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from random import uniform
from time import sleep
from typing import Final, Literal, TypeAlias, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, connection

from completion_aggregator import instruments
from completion_aggregator.exceptions import InvalidCourse, UnknownCourse

log = logging.getLogger(__name__)

#: How often a piece of work is tried.
TRIES: Final = 4
#: Of these, what a statement was too slow for: it may have waited for others, but most likely it is too much.
TRIES_IN_TIME: Final = 2
#: Seconds before the second try; four times as long before each further one.
FIRST_PAUSE: Final = 0.2
#: Lost connections and deadlocks are the database's trouble, not the learners': the batch is tried again. Of internal
#: errors that is one alone, that the server may only be read: the connection leads to what was the primary.
_TRANSIENT: Final = (OperationalError, InterfaceError, InternalError)
_NOT_OF_ONE_ITEM: Final = (UnknownCourse, InvalidCourse, ImproperlyConfigured)
_T = TypeVar("_T")
_Item = TypeVar("_Item")

#: What the database broke a piece of work off for.
Reason: TypeAlias = Literal["deadlock", "lock_wait", "connection", "serialization", "timeout", "full", "other"]
_READ_ONLY: Final = "25006"
#: By SQLSTATE, or the first two letters of it, which are its class.
_POSTGRESQL: Final[dict[str, Reason]] = {
    "40P01": "deadlock", "55P03": "lock_wait", "40001": "serialization", "57014": "timeout",
    "08": "connection", "57": "connection", _READ_ONLY: "connection", "53100": "full",
}  # fmt: skip
#: By number: those of MySQL, and where they differ those of MariaDB.
_MYSQL: Final[dict[int, Reason]] = {
    1213: "deadlock", 1205: "lock_wait", 3572: "lock_wait", 1020: "serialization", 1969: "timeout", 3024: "timeout",
    1317: "timeout", 1021: "full", 1114: "full", 3: "full", 28: "full",
    2002: "connection", 2003: "connection", 2006: "connection", 2013: "connection", 2055: "connection",
    1053: "connection", 1927: "connection", 4031: "connection", 1290: "connection", 1792: "connection",
    1836: "connection",
}  # fmt: skip


def again(work: Callable[[], _T]) -> _T:
    """Do *work*, which can be repeated, and once more if the database breaks it off; each time is counted.

    Four times at most, with pauses in between that differ from process to process: two that fell over each other are
    not to meet again. So it takes eight seconds at most beside the work itself.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return work()
        except _TRANSIENT as error:
            why = reason(error)
            last = attempt == (TRIES_IN_TIME if why == "timeout" else TRIES)
            # Inside somebody's transaction there is nothing left to try in.
            if last or connection.in_atomic_block or not is_passing(error):
                raise
            instruments.retried(why)
            log.warning("tried again reason=%s attempt=%d: %s", why, attempt, _first_line(error))
            _close(why)
            sleep(FIRST_PAUSE * 4 ** (attempt - 1) * uniform(0.5, 1.5))  # noqa: S311  (no secret)
    raise AssertionError("the last attempt returns or raises")


def is_passing(error: Exception) -> bool:
    """Return whether the trouble is the database's and may pass, not of what it was asked."""
    if isinstance(error, InternalError):
        return getattr(error.__cause__, "sqlstate", None) == _READ_ONLY
    return isinstance(error, _TRANSIENT)


def reason(error: Exception) -> Reason:
    """Return why the database broke off what it did."""
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None)
    if state:
        return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2], "other")
    number = error.args[0] if error.args else None
    if isinstance(number, int):
        return _MYSQL.get(number, "other")
    if connection.vendor == "sqlite":
        # SQLite has one lock, and its driver says so in words alone.
        return "lock_wait" if "locked" in str(error) else "full" if "full" in str(error) else "other"
    # Of a connection that went away in the middle, a driver knows no more than that.
    return "connection"


def isolating(
    work: Callable[[Sequence[_Item]], _T], items: Sequence[_Item], *, at_fault: Callable[[_Item, Exception], _T]
) -> Iterator[_T]:
    """Do *work* on all *items*; if it fails, halve them until those at fault stand alone, and hand these over.

    What takes longer than the database lets a statement take is halved, too: fewer items may be quick enough.
    """
    if not items:
        return
    try:
        done = work(items)
    # The border of one unit of work: whatever is wrong with one item must not stop the others.
    except Exception as error:
        if isinstance(error, _NOT_OF_ONE_ITEM) or is_passing(error):
            if len(items) == 1 or not is_passing(error) or reason(error) != "timeout":
                raise
        elif len(items) == 1:
            yield at_fault(items[0], error)
            return
    else:
        yield done
        return
    middle = len(items) // 2
    yield from isolating(work, items[:middle], at_fault=at_fault)
    yield from isolating(work, items[middle:], at_fault=at_fault)


def _close(why: Reason) -> None:
    """Leave a connection that is of no use; it may be whole, and lead to the wrong server."""
    if why != "connection":
        connection.close_if_unusable_or_obsolete()
        return
    with suppress(DatabaseError):
        connection.close()


def _first_line(error: Exception) -> str:
    # Further ones may hold values.
    return str(error).partition("\n")[0]
