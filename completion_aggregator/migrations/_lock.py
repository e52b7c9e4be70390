"""One ``migrate`` at a time on MariaDB and MySQL: of half a migration, which they cannot undo, two would make a mess."""

from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate

#: As long as another process may take for what is left of it, and an operator likes to look at nothing.
WAIT_SECONDS: Final = 30
_NAME: Final = "completion_aggregator.migrations"


class NotAlone(RuntimeError):
    """Another process migrates; the message says what to do. Nothing was changed by this one."""


def take(connection: BaseDatabaseWrapper) -> None:
    """Keep other processes out until ``migrate`` ends, or the connection. To take it again changes nothing.

    Longer than an operation lasts: indexes and foreign keys come after it, and then the migration is recorded.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", [_name(cursor)])
        if cursor.fetchone() == (1,):
            return
        cursor.execute("SELECT GET_LOCK(%s, %s)", [_name(cursor), WAIT_SECONDS])
        if cursor.fetchone() != (1,):
            raise NotAlone("Another process migrates completion_aggregator. Wait for it, and run migrate again.")
    post_migrate.connect(_give_back, dispatch_uid=_NAME)


def _give_back(using: str, **_: Any) -> None:
    post_migrate.disconnect(dispatch_uid=_NAME)
    with connections[using].cursor() as cursor:
        if connections[using].vendor == "mysql":
            cursor.execute("SELECT RELEASE_LOCK(%s)", [_name(cursor)])


def _name(cursor: Any) -> str:
    cursor.execute("SELECT DATABASE()")
    # Locks are those of a server, not of a database, and have names of 64 characters at most.
    return f"{cursor.fetchone()[0]}.{_NAME}"[-64:]
