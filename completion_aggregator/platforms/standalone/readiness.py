"""Whether the database can be reached and has our tables; what to do when not."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.management import call_command, get_commands
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.platforms.standalone.database import DEFAULT_NAME, SQLITE, shown

#: Commands whose tables are not in the site's database.
_APART: Final = frozenset({"tracking"})


class DatabaseNotReady(CompletionAggregatorError):
    """The database cannot be used as it is; the message says what to do."""


def prepare_database(command: str) -> None:
    """Make sure that one of our commands finds its tables; the site's own SQLite file is made when it is missing.

    Raises DatabaseNotReady. Commands that are not ours find out for themselves.
    """
    ours = str(get_commands().get(command, "")).startswith("completion_aggregator") and command not in _APART
    if (ours or command == "migrate") and _is_default() and not (file := _file()).exists():
        # For its owner alone, wherever the home is; SQLite gives the files beside it the same mode.
        file.touch(mode=0o600)
        if ours:
            _make_database(file)
    if not ours:
        return
    _check_reachable()
    if _pending():
        raise DatabaseNotReady(f"{_shown()} lacks tables of this version. Run: completion-aggregator migrate")


def explain(error: Exception) -> DatabaseNotReady:
    """Return what an error of the database means to the person who ran the command."""
    # The server may have closed the connection, which says nothing of the next one.
    with suppress(DatabaseError):
        connection.close()
    try:
        _check_reachable()
        pending = _pending()
    except DatabaseNotReady as unreachable:
        return unreachable
    if pending:
        return DatabaseNotReady(f"{_shown()} lacks tables of this version. Run: completion-aggregator migrate")
    if "locked" in str(error):
        return DatabaseNotReady(f"{_shown()} is being written by another process. Try again when it is done.")
    return DatabaseNotReady(f"{_shown()} refused: {error}")


def _is_default() -> bool:
    config = settings.DATABASES["default"]
    home = getattr(settings, "HOME", None)
    return config["ENGINE"] == SQLITE and home is not None and config["NAME"] == str(home / DEFAULT_NAME)


def _file() -> Path:
    return Path(settings.DATABASES["default"]["NAME"])


def _make_database(file: Path) -> None:
    print(f"Making the database {file}", file=sys.stderr)
    call_command("migrate", verbosity=0, interactive=False)


def _check_reachable() -> None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        raise DatabaseNotReady(
            f"Cannot reach the database {_shown()}: {error}\n"
            "Start it, or set DATABASE_URL to another one; without DATABASE_URL a SQLite file is used."
        ) from error


def _pending() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _shown() -> str:
    return shown(settings.DATABASES["default"])
