"""How work that can be repeated is tried again, and how one item at fault is told from the others of its batch."""

from collections.abc import Callable, Iterator, Sequence
from time import sleep
from typing import Final, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection

from completion_aggregator.exceptions import InvalidCourse, UnknownCourse

#: How often a piece of work is tried.
TRIES: Final = 4
#: Lost connections and deadlocks are the database's trouble, not the learners': the batch is tried again.
_TRANSIENT: Final = (OperationalError, InterfaceError)
_NOT_OF_ONE_ITEM: Final = (*_TRANSIENT, UnknownCourse, InvalidCourse, ImproperlyConfigured)
_T = TypeVar("_T")
_Item = TypeVar("_Item")


def again(work: Callable[[], _T]) -> _T:
    """Do *work*, which can be repeated, and once more if the database breaks it off."""
    for attempt in range(1, TRIES + 1):
        try:
            return work()
        except _TRANSIENT:
            # Inside somebody's transaction there is nothing left to try in.
            if attempt == TRIES or connection.in_atomic_block:
                raise
            connection.close_if_unusable_or_obsolete()
            sleep(0.05 * 4**attempt)
    raise AssertionError("the last attempt returns or raises")


def isolating(
    work: Callable[[Sequence[_Item]], _T], items: Sequence[_Item], *, at_fault: Callable[[_Item, Exception], _T]
) -> Iterator[_T]:
    """Do *work* on all *items*; if it fails, halve them until those at fault stand alone, and hand these over."""
    if not items:
        return
    try:
        done = work(items)
    except _NOT_OF_ONE_ITEM:
        raise
    # The border of one unit of work: whatever is wrong with one item must not stop the others.
    except Exception as error:  # noqa: BLE001
        if len(items) == 1:
            yield at_fault(items[0], error)
            return
    else:
        yield done
        return
    middle = len(items) // 2
    yield from isolating(work, items[:middle], at_fault=at_fault)
    yield from isolating(work, items[middle:], at_fault=at_fault)
