"""The site of a load test: a database of its own, and the environment that all of its processes have."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from completion_aggregator.platforms.standalone.database import MYSQL, database
from tests.load.crew import REPOSITORY

PREFIX: Final = "load_"
QUEUE: Final = "load"
_UNKNOWN_THREAD: Final = 1094


def own_url(url: str) -> str:
    """Return the URL of a database that is made for the run, so that no other is ever dropped."""
    before, slash, name = url.partition("?")[0].rpartition("/")
    if not slash or not name or not before.startswith(("mysql://", "mariadb://", "postgres://", "postgresql://")):
        raise SystemExit(f"{url}: expected mysql://user@host:3306/name or postgres://user@host:5432/name")
    options = url.partition("?")[2]
    return f"{before}/{PREFIX}{name}" + (f"?{options}" if options else "")


def make_database(url: str, *, space: tuple[str, Path] | None = None) -> None:
    """Make it anew; *space*: the name and folder of a tablespace of PostgreSQL that is made for it."""
    drop_database(url, space=space and space[0])
    with _server(url) as cursor:
        name, mysql = _name(url)
        if space:
            cursor.execute(f"CREATE TABLESPACE {space[0]} LOCATION '{space[1]}'")
        tail = " CHARACTER SET utf8mb4" if mysql else f" TABLESPACE {space[0]}" if space else ""
        cursor.execute(f"CREATE DATABASE {name}{tail}")


def migrate(environment: Mapping[str, str]) -> None:
    """Make the tables."""
    command = [sys.executable, "-m", "completion_aggregator.platforms.standalone.cli", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=REPOSITORY, env=dict(environment), check=True)


def drop_database(url: str, *, space: str | None = None) -> None:
    """Drop it, and its tablespace."""
    with _server(url) as cursor:
        name, mysql = _name(url)
        cursor.execute(f"DROP DATABASE IF EXISTS {name}" + ("" if mysql else " WITH (FORCE)"))
        if space:
            cursor.execute(f"DROP TABLESPACE IF EXISTS {space}")


def connections(url: str) -> list[int]:
    """Return the ids of the connections to the database."""
    name, mysql = _name(url)
    with _server(url) as cursor:
        cursor.execute(
            "SELECT id FROM information_schema.processlist WHERE db = %s"
            if mysql
            else "SELECT pid FROM pg_stat_activity WHERE datname = %s",
            [name],
        )
        return [int(number) for (number,) in cursor.fetchall()]


def drop_connection(url: str, number: int) -> None:
    """End a connection from the server's side; one that is gone already is none of our business."""
    _, mysql = _name(url)
    with _server(url) as cursor:
        gone = importlib.import_module("MySQLdb").OperationalError if mysql else ()
        try:
            cursor.execute("KILL %s" if mysql else "SELECT pg_terminate_backend(%s)", [number])
        except gone as error:
            if error.args[0] != _UNKNOWN_THREAD:
                raise


def environment(folder: Path, url: str, broker: str, *, ours: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of every process of the site; *ours*: settings of ours by their names without the prefix."""
    own = {
        f"COMPLETION_AGGREGATOR_{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in ours.items()
    }
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return (
        inherited
        | own
        | {
            "DJANGO_SETTINGS_MODULE": "completion_aggregator.platforms.standalone.settings",
            "COMPLETION_AGGREGATOR_HOME": str(folder / "home"),
            "DATABASE_URL": url,
            "CELERY_BROKER_URL": broker,
            "LOG_LEVEL": "INFO",
            "API_RATE_USER": "none",
            "PYTHONUNBUFFERED": "1",
        }
    )


def _name(url: str) -> tuple[str, bool]:
    config = database(url)
    return config["NAME"], config["ENGINE"] == MYSQL


class _server:  # noqa: N801 (a context manager that reads as a function)
    """A cursor on the server, at no database of ours; each statement is its own transaction."""

    def __init__(self, url: str) -> None:
        config = database(url)
        self._connection: Any
        place = {"host": config["HOST"] or "127.0.0.1", "user": config["USER"], "password": config["PASSWORD"]}
        if config["ENGINE"] == MYSQL:
            connect = importlib.import_module("MySQLdb").connect
            self._connection = connect(**place, port=int(config["PORT"] or 3306), autocommit=True)
        else:
            import psycopg

            port = int(config["PORT"] or 5432)
            self._connection = psycopg.connect(**place, port=port, dbname="postgres", autocommit=True)

    def __enter__(self) -> Any:
        return self._connection.cursor()

    def __exit__(self, *_: object) -> None:
        self._connection.close()
