"""A server of ClickHouse for tests: its engine behind its HTTP interface, in a process of its own."""

import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import clickhouse_connect

from completion_aggregator.tracking import loading, tables
from completion_aggregator.tracking.clerk import Summary
from completion_aggregator.tracking.clickhouse import schema
from completion_aggregator.tracking.clickhouse.connection import connected
from completion_aggregator.tracking.clickhouse.storing import Clickhouse
from completion_aggregator.tracking.clickhouse.target import Target
from completion_aggregator.tracking.sources import listed
from completion_aggregator.tracking.store import Store
from tests.conftest import REPOSITORY, skip_unless_required
from tests.tracking import builders
from tests.tracking.builders import settings_of

NEEDED = "needs an engine of ClickHouse: `VENV=.venv-chdb python3 scripts/bootstrap.py clickhouse-test`"
_PATIENCE = 60  # seconds


class Engine:
    """Answers one query at a time, to anybody."""

    def __init__(self, shared: Path, folder: Path) -> None:
        self._script, self._folder = shared / "bench" / "tracking" / "clickhouse_http_over_chdb.py", folder
        self._databases = 0
        self.port = free_port()
        self.start()

    def start(self) -> None:
        """Start it, on the port and with the data that it had."""
        python = Path(os.environ.get("COMPLETION_AGGREGATOR_CHDB") or REPOSITORY / ".venv-chdb" / "bin" / "python")
        if not python.exists():
            skip_unless_required(NEEDED, "CI_REQUIRE_CHDB")
        command = [str(each) for each in (python, self._script, self.port, self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun = time.monotonic()
        while not self._answers():
            assert self._process.poll() is None, "the engine ended"
            assert time.monotonic() - begun < _PATIENCE, "the engine does not answer"
            time.sleep(0.05)
        self._client = clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, tz_mode="aware", autogenerate_session_id=False
        )

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def target(self) -> Target:
        """A database that nobody used."""
        self._databases += 1
        return Target("127.0.0.1", self.port, f"learning_{self._databases}")

    def query(self, sql: str) -> list[Any]:
        """The rows of a query."""
        return [tuple(row) for row in self._client.query(sql).result_rows]

    def rows(self, target: Target, name: str, *, final: bool = True) -> list[Any]:
        """All rows of a table, without the columns that it has here alone, in an order of their own."""
        table = tables.TABLES[name]
        columns = ", ".join(schema.quoted(column.name) for column in table.columns)
        found = self.query(f"SELECT {columns} FROM {schema.qualified(target, table)} {'FINAL' if final else ''}")
        return sorted(found, key=repr)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=5):
                return True
        except OSError:
            return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def load(store: Store, target: Target, *paths: Path, workers: int = 1, **given: Any) -> Summary:
    """Load files into ClickHouse."""
    sources = [source for path in paths for source in listed(str(path))]
    destination = Clickhouse(connected(target, ""), store.roots)
    settings = settings_of(store, **given)
    return loading.load(store, sources, settings, lambda *_: None, workers=workers, destination=destination)


def in_clickhouse(engine: Engine, target: Target) -> dict[str, list[Any]]:
    """All rows of all tables, and that merging takes away no row."""
    found = {}
    for name, table in tables.TABLES.items():
        found[name] = engine.rows(target, name)
        engine.query(f"OPTIMIZE TABLE {schema.qualified(target, table)} FINAL")
        assert engine.rows(target, name, final=False) == found[name]
    return found


def in_folders(store: Store) -> dict[str, list[Any]]:
    """All rows of all tables of a store that has them in its folders."""
    return {
        name: sorted(
            (tuple(row[column.name] for column in table.columns) for row in builders.rows(store, name)), key=repr
        )
        for name, table in tables.TABLES.items()
    }
