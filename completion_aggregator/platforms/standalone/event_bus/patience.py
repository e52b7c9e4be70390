"""Work on a database that may be away for a while.

The bus takes an event as handled when its receiver returns, whatever became of it. So a receiver does not return before
the event is stored: while the database does not answer, it waits. A process that is stopped meanwhile has not
acknowledged the event, and gets it again. What the database refuses, and would refuse tomorrow, is not waited for: one
such event would hold up all that come behind it.
"""

import logging
import time
from collections.abc import Callable
from itertools import count
from typing import Final, TypeVar

from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    transaction,
)
from django.db import Error as AnyDatabaseError

from completion_aggregator.exceptions import CompletionAggregatorError

log = logging.getLogger(__name__)

#: Of processes that make the same row, one fails; the second time it finds the row.
RACES: Final = 5
#: How often an error that we do not know may come from a database that answers: some 50 seconds.
TIMES: Final = 9
SHORTEST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0

#: MySQL and MariaDB, of the data: no such character here, collations that do not mix, too long, out of range, no value.
ABOUT_DATA: Final = frozenset({1253, 1264, 1265, 1267, 1270, 1271, 1292, 1366, 1406, 1411, 3854, 3988})
#: Of the server, and passing: no connection, a lock, a full disk, read-only, going down, out of memory, a time limit.
PASSING: Final = frozenset(
    {1020, 1021, 1037, 1038, 1040, 1041, 1053, 1114, 1129, 1135, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1213}
    | {1226, 1290, 1317, 1614, 1792, 1836, 1927, 1969, 2055, 3024, 3058, 3572, 4031, *range(2001, 2015)}
)
#: PostgreSQL, by the class: connection, read-only, rollback, resources, in use, operator intervention, system error.
PASSING_CLASSES: Final = ("08", "25006", "40", "53", "55", "57", "58")
#: SQLite: busy, locked, out of memory, read-only, interrupted, no answer of the disk, full, cannot open, lock protocol.
PASSING_SQLITE: Final = frozenset({5, 6, 7, 8, 9, 10, 13, 14, 15})

Result = TypeVar("Result")


class Unstorable(CompletionAggregatorError):
    """The database answers, and does not take this. The text has no data in it."""


def in_patient_transaction(work: Callable[[], Result], *, what: str, for_ever: bool = False) -> Result:
    """Return what *work* returns, done in a transaction; while the database does not answer, wait and do it again.

    Raises Unstorable where the database answers and refuses the data, or refuses time and again for a reason that we do
    not know; ``for_ever``: the latter is waited for too.
    """
    for attempt in count(1):
        try:
            with transaction.atomic():
                return work()
        except IntegrityError:
            if attempt >= RACES:
                raise
        except DataError as error:
            raise Unstorable(_name(error)) from error
        except (InterfaceError, InternalError, OperationalError) as error:
            if _is_about_data(error):
                raise Unstorable(_name(error)) from error
            _wait(error, attempt, what)
            if attempt >= TIMES and not for_ever and not _passes(error) and _answers():
                raise Unstorable(_name(error)) from error
    raise AssertionError  # count() has no end


def _wait(error: Exception, attempt: int, what: str) -> None:
    pause = min(SHORTEST_PAUSE * 2.0 ** min(attempt, 20), LONGEST_PAUSE)
    log.warning("not stored yet: %s attempt=%d, again in %.1f s: %s", what, attempt, pause, _name(error))
    connection.close()
    time.sleep(pause)


def _answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except AnyDatabaseError:
        return False
    return True


def _is_about_data(error: Exception) -> bool:
    return connection.vendor == "mysql" and _code(error) in ABOUT_DATA


def _passes(error: Exception) -> bool:
    code = _code(error)
    if connection.vendor == "mysql":
        return code in PASSING
    if connection.vendor == "postgresql":
        # Without a code: it never reached the server.
        return code is None or str(code).startswith(PASSING_CLASSES)
    return isinstance(code, int) and code & 0xFF in PASSING_SQLITE  # the low byte: extended codes begin with it


def _code(error: Exception) -> object:
    """Return the number or the state by which the database calls an error, as its driver tells it; None: no such."""
    if connection.vendor == "mysql":
        return error.args[0] if error.args else None
    cause = error.__cause__
    names = ("sqlstate", "pgcode") if connection.vendor == "postgresql" else ("sqlite_errorcode",)
    return next((code for name in names if (code := getattr(cause, name, None)) is not None), None)


def _name(error: Exception) -> str:
    """Return the kind of an error and its code. Its text may quote what was to be stored."""
    code = _code(error)
    is_code = isinstance(code, int) or (isinstance(code, str) and len(code) == 5)
    return f"{type(error).__name__} {code}" if is_code else type(error).__name__
