"""Statements that need a table for themselves, on MariaDB and MySQL, without making others wait for it.

Such a statement waits for every transaction that has used the table, and whoever comes after waits behind it. So it
waits for a moment only, and is tried again, until no transaction lasts.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import sleep
from typing import Any, Final

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK_SECONDS: Final = 1
TRIES: Final = 120
PAUSE_SECONDS: Final = 5.0
_LOCK_WAIT_TIMEOUT: Final = 1205
_ALTERING: Final = ("ALTER", "CREATE", "DROP", "RENAME")


def patiently(connection: BaseDatabaseWrapper, table: str, run: Callable[[], Any]) -> Any:
    """Run a statement that needs *table* for itself. Raises OperationalError when it is in use for minutes."""
    for tried in range(1, TRIES + 1):
        try:
            with setting(connection, "lock_wait_timeout", LOCK_SECONDS):
                return run()
        except OperationalError as error:
            if error.args[0] != _LOCK_WAIT_TIMEOUT or tried == TRIES:
                raise
            say(f"{table} is in use by a transaction that lasts; trying again ({tried} of {TRIES})")
            sleep(PAUSE_SECONDS)
    raise AssertionError("the last attempt returns or raises")


def patience(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Have every statement run so that changes a table."""

    def run(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if not sql.startswith(_ALTERING):
            return execute(sql, *arguments)
        return patiently(connection, " ".join(sql.split()[1:3]), lambda: execute(sql, *arguments))

    found: AbstractContextManager[None] = connection.execute_wrapper(run)
    return found


@contextmanager
def setting(connection: BaseDatabaseWrapper, name: str, value: int) -> Iterator[None]:
    """Set a variable of the session for a while."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT @@SESSION.{name}")
        (before,) = cursor.fetchone()
        cursor.execute(f"SET SESSION {name} = %s", [value])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {name} = %s", [before])


def say(text: str) -> None:
    """Tell whoever runs ``migrate``."""
    sys.stdout.write(f"\n    {text}")
    sys.stdout.flush()
