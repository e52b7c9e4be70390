"""A site on 4.5.0 replaces the package: the old one in its own environment, on MariaDB, with work in Redis."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.acceptance.upgrade.requests import ordered
from tests.conftest import REPOSITORY, skip_unless_required

NEEDED = (
    "needs MariaDB or MySQL, Redis and the environment of 4.5.0: `VENV=.venv-peer python3 scripts/bootstrap.py peer`"
    " (or COMPLETION_AGGREGATOR_PEER=its python)"
)
BROKER = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/7")
TABLES = [f"completion_aggregator_{name}" for name in ("aggregator", "stalecompletion", "cachegroupinvalidation")]
TASKS = {"update_aggregators", "mark_all_stale", "migrate_batch"}

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Site:
    """One site, first with the old package, then with ours."""

    peer: Path
    benchmark: Path
    folder: Path
    database: str
    queue: str

    def old(self, command: str, queue: str = "") -> Any:
        """Run a command of the old site; return what it prints."""
        return json.loads(done(self.start_old(command, queue)))

    def start_old(self, command: str, queue: str = "") -> subprocess.Popen[str]:
        where = connection.settings_dict
        database = f"mysql:{self.database}@{where['HOST']}:{where['PORT'] or 3306}:{where['USER']}:{where['PASSWORD']}"
        script = REPOSITORY / "tests" / "acceptance" / "upgrade" / "old_site.py"
        arguments = [command, str(self.benchmark), database, BROKER, queue or self.queue]
        return start([str(self.peer), "-P", str(script), *arguments], cwd=self.folder)

    def manage(self, *arguments: str) -> str:
        return done(self.start_new("-m", "django", *arguments))

    def warnings(self) -> str:
        """Return what the checks of the database warn of."""
        return told(self.start_new("-m", "django", "check", "--database", "default"))[1]

    def new(self, command: str) -> str:
        return done(self.start_new("-m", "tests.acceptance.upgrade.new_site", command, str(self.benchmark)))

    def start_new(self, *arguments: str) -> subprocess.Popen[str]:
        where = connection.settings_dict
        login = where["USER"] + (f":{where['PASSWORD']}" if where["PASSWORD"] else "")
        url = f"mysql://{login}@{where['HOST']}:{where['PORT'] or 3306}/{self.database}"
        environment = {
            "UPGRADE_DATABASE_URL": url, "UPGRADE_BROKER_URL": BROKER, "UPGRADE_QUEUE": self.queue,
            "DJANGO_SETTINGS_MODULE": "tests.acceptance.upgrade.new_settings",
        }  # fmt: skip
        return start([sys.executable, *arguments], cwd=REPOSITORY, **environment)

    def columns(self) -> dict[str, str]:
        """Return the columns that the public tables have, as SQL has them, in one order."""
        found = {}
        for table in TABLES:
            names = self.query(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
                " ORDER BY column_name", self.database, table,
            )  # fmt: skip
            found[table] = ", ".join(f"`{name}`" for (name,) in names)
        return found

    def rows(self, columns: Mapping[str, str]) -> dict[str, list[tuple[Any, ...]]]:
        """Return these columns of the public tables as they are."""
        return {
            table: self.query(f"SELECT {names} FROM {self.database}.{table} ORDER BY id")
            for table, names in columns.items()
        }

    def tallies(self) -> set[tuple[Any, ...]]:
        """Return whose tally of which block is what."""
        return set(
            self.query(
                "SELECT username, block_key, ROUND(earned, 9), ROUND(possible, 9), ROUND(percent, 9)"
                f" FROM {self.database}.{TABLES[0]} tallies"
                f" JOIN {self.database}.auth_user users ON users.id = tallies.user_id"
            )
        )

    def truth(self) -> set[tuple[Any, ...]]:
        """Return what they should be."""
        rows = json.loads(self.new("truth"))
        return {(name, key, *(round(each, 9) for each in numbers)) for name, key, *numbers in rows}

    def ids(self) -> set[tuple[Any, ...]]:
        """Return which row is the tally of which block."""
        return set(self.query(f"SELECT id, block_key FROM {self.database}.{TABLES[0]}"))

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return list(cursor.fetchall())

    def waiting(self) -> int:
        sql = f"SELECT COUNT(*) FROM {self.database}.completion_aggregator_stalecompletion WHERE resolved = 0"
        return int(self.query(sql)[0][0])


def start(command: list[str], *, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def done(process: subprocess.Popen[str]) -> str:
    return told(process)[0]


def told(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what a process that must succeed has printed, and what on its second stream."""
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, f"{out[-2000:]}\n{errors[-5000:]}"
    return out, errors


@pytest.fixture
def site(transactional_db: None, shared_data: Path, tmp_path: Path) -> Iterator[Site]:
    peer = Path(os.environ.get("COMPLETION_AGGREGATOR_PEER") or REPOSITORY / ".venv-peer" / "bin" / "python")
    if connection.vendor != "mysql":
        pytest.skip("4.5.0 works on MariaDB and MySQL only")
    if not peer.exists() or find_spec("redis") is None:
        skip_unless_required(NEEDED, "CI_REQUIRE_PEER")
    import redis

    name = f"{connection.settings_dict['NAME']}_upgrade"
    site = Site(peer, shared_data / "bench" / "peer_completion", tmp_path, name, f"{name}_{os.getpid()}")
    yield site
    client = redis.Redis.from_url(BROKER)
    client.delete(site.queue, *client.keys(f"_kombu.*.{site.queue}"))
    site.query(f"DROP DATABASE IF EXISTS {name}")


def drain(site: Site) -> str:
    """Let a worker of ours do what is in the queue; return what it logs."""
    import redis

    client, worker = redis.Redis.from_url(BROKER), site.start_new(
        "-m", "celery", "-A", "completion_aggregator.platforms.standalone.celery", "worker",
        "--pool", "solo", "--loglevel", "INFO", "--without-gossip", "--without-mingle", "--queues", site.queue,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while client.llen(site.queue) and time.monotonic() < deadline and worker.poll() is None:
            time.sleep(0.2)
    finally:
        worker.terminate()  # finishes what it has begun
    out, errors = worker.communicate(timeout=120)
    assert client.llen(site.queue) == 0, errors[-5000:]
    return out + errors


def test_a_site_goes_on_with_its_rows_answers_and_work_and_can_go_back(site: Site) -> None:
    filled = site.old("fill")
    assert filled["levels"] == ["chapter", "course", "sequential", "vertical"]
    assert all(filled[name] > 0 for name in ("rows", "resolved", "waiting", "everything", "groups")), filled
    answered = site.old("ask")
    columns = site.columns()
    rows = site.rows(columns)
    ids = site.ids()

    site.manage("migrate", "--verbosity", "0")
    assert site.rows(columns) == rows
    site.new("import")
    log = drain(site)
    site.manage("run_aggregator_service")

    names = re.findall(r"Task completion_aggregator\.tasks\.\w+\.(\w+)\[[^]]+\] succeeded", log)
    assert (set(names), len(names)) == (TASKS, 6), log[-5000:]
    assert "unregistered" not in log
    assert site.waiting() == 0
    assert [(path, status) for path, status, _ in answered if status != 200] == []
    for (path, *before), (_, *now) in zip(answered, json.loads(site.new("ask")), strict=True):
        assert ordered(now) == ordered(before), path
    assert ids <= site.ids()

    site.manage("migrate", "completion_aggregator", "0007", "--verbosity", "0")
    assert site.old("work") == {"grew": 1.0, "waiting": 0}


def test_what_faults_of_4x_left_is_found_and_mended_by_the_command_for_it(site: Site) -> None:
    site.old("fill")
    damaged = site.old("damage")
    site.manage("migrate", "--verbosity", "0")
    site.new("import")
    drain(site)
    site.manage("run_aggregator_service")
    ids, right = site.ids(), site.truth()
    assert site.waiting() == 0
    assert sorted({name for name, *_ in site.tallies() ^ right}) == damaged
    assert "W005" in site.warnings()

    found = site.manage("aggregator_reconcile", "--all").splitlines()
    site.manage("run_aggregator_service")

    kinds = "3 never computed, 1 with wrong rows, 1 with missing rows, 1 with superfluous rows"
    assert found == [
        f"course-v1:BenchU+C80+2026: 6 compared, 3 differ ({kinds}); 3 refreshed.",
        "course-v1:BenchU+X01+2026: 6 compared, 0 differ.",
        "12 learners of 2 courses compared, 3 differ.",
    ]
    assert site.tallies() == right
    assert site.waiting() == 0
    assert "W005" not in site.warnings()
    assert [key for _, key in ids - site.ids()] == ["block-v1:BenchU+C80+2026+type@chapter+block@removed"]
    assert site.manage("aggregator_reconcile", "--all").splitlines() == [
        "course-v1:BenchU+C80+2026: 6 compared, 0 differ.",
        "course-v1:BenchU+X01+2026: 6 compared, 0 differ.",
        "12 learners of 2 courses compared, 0 differ.",
    ]


def test_what_4x_writes_during_the_migrations_is_there_at_the_end(site: Site) -> None:
    site.old("fill")
    tallies = f"SELECT COUNT(*) FROM {site.database}.{TABLES[0]}"
    before = site.query(tallies)
    stop = site.folder / "stop"
    writer = site.start_old("write", str(stop))
    deadline = time.monotonic() + 60
    while site.query(tallies) == before and time.monotonic() < deadline:
        time.sleep(0.2)

    site.manage("migrate", "completion_aggregator", "--verbosity", "0")
    site.manage("migrate", "completion_aggregator", "0007", "--verbosity", "0")
    stop.touch()

    written = json.loads(done(writer))
    found = site.query(
        f"SELECT CONCAT(user_id, ' ', block_key), earned FROM {site.database}.{TABLES[0]}"
        " WHERE block_key LIKE '%@written%'"
    )
    assert dict(found) == written["written"]
    assert len(found) == len(written["written"]) > 10
    assert site.query(
        f"SELECT COUNT(*) FROM {site.database}.{TABLES[1]} WHERE username = 'writer' AND resolved = 0"
    ) == [(written["marked"],)]
