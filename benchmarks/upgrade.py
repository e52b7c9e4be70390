"""How long an upgrade from 4.x takes at size, and what those who write meanwhile notice of it.

``python -m benchmarks.upgrade --rows 5000000 --database upgrade_size``: makes that database on a MariaDB server of this
machine, in the form of 4.x, fills it, and migrates it while another connection writes the way 4.x does. The migration
is killed with SIGKILL on the way and started again. At the end every row is looked for. ``MARIADB_PORT``: where the
server listens, if not at 3306.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import MySQLdb  # type: ignore[import-untyped]  # has no types, and only benchmarks speak to the server directly

ROOT = Path(__file__).resolve().parent.parent
AGGREGATOR, STALE = "completion_aggregator_aggregator", "completion_aggregator_stalecompletion"
PORT = int(os.environ.get("MARIADB_PORT", "3306"))
BLOCKS = 250
LEARNERS_OF_A_COURSE = 400
COURSE = "CONCAT('course-v1:Org+Course', {user} DIV 400, '+2026')"
BLOCK = "CONCAT('block-v1:Org+Course', {user} DIV 400, '+2026+type@vertical+block@', MD5({block}))"
UPSERT = f"""
    INSERT INTO {AGGREGATOR} (user_id, course_key, block_key, aggregation_name, earned, possible, percent,
        optional_earned, optional_possible, optional_percent, last_modified, created, modified)
    VALUES (%(user)s, {COURSE}, {BLOCK}, 'vertical', %(earned)s, 1000000, 0, 0, 0, 1, UTC_TIMESTAMP(6),
        UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))
    ON DUPLICATE KEY UPDATE earned = VALUES(earned), percent = VALUES(percent), modified = VALUES(modified)
""".replace("{user}", "%(user)s").replace("{block}", "%(block)s")
MARK = f"""
    INSERT INTO {STALE} (created, modified, username, course_key, block_key, `force`, resolved)
    VALUES (UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), %(name)s, {COURSE}, {BLOCK}, 0, 0)
""".replace("{user}", "%(user)s").replace("{block}", "%(block)s")
FILL = f"""
    INSERT INTO {AGGREGATOR} (user_id, course_key, block_key, aggregation_name, earned, possible, percent,
        optional_earned, optional_possible, optional_percent, last_modified, created, modified)
    SELECT u.seq, {COURSE}, {BLOCK}, 'vertical', 1, 4, 0.25, 0, 0, 1, '2026-01-01', '2026-01-01', '2026-01-01'
    FROM seq_{{first}}_to_{{last}} u JOIN seq_1_to_{BLOCKS} b ORDER BY u.seq, b.seq
""".replace("{user}", "u.seq").replace("{block}", "b.seq")


@dataclass
class Writer:
    """Somebody who writes one tally and one stale row at a time, and remembers what was committed."""

    database: str
    learners: int
    pause: float = 0.02
    seconds: list[float] = field(default_factory=list)
    written: dict[tuple[int, int], int] = field(default_factory=dict)
    marked: int = 0
    failures: list[str] = field(default_factory=list)

    def run(self, stop: Event) -> None:
        """Write until told to stop."""
        connection, chance, number = connect(self.database), random.Random(1), 0
        while not stop.wait(self.pause):
            number += 1
            # One in ten is a row that is new.
            block = BLOCKS + number if number % 10 == 0 else chance.randint(1, BLOCKS)
            user = chance.randint(1, self.learners)
            values = {"user": user, "block": block, "earned": number, "name": "writer"}
            began = time.perf_counter()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(UPSERT, values)
                    cursor.execute(MARK, values)
                connection.commit()
            except MySQLdb.Error as error:
                connection.rollback()
                self.failures.append(str(error))
            else:
                self.written[user, block] = number
                self.marked += 1
            self.seconds.append(time.perf_counter() - began)


def main() -> int:
    """Fill, migrate, compare; print figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--database", default="upgrade_size")
    parser.add_argument("--kill-after", type=float, default=60.0, help="seconds; 0: let it run")
    options = parser.parse_args()
    learners = max(1, options.rows // BLOCKS)
    timed("fill", lambda: fill(options.database, learners))
    before = totals(options.database)
    show("in the form of 4.x", before)

    writer, stop = Writer(options.database, learners), Event()
    thread = Thread(target=writer.run, args=[stop])
    thread.start()
    time.sleep(10)
    quiet = list(writer.seconds)
    most, watching = [before["bytes"]], Event()
    watcher = Thread(target=watch, args=[options.database, most, watching])
    watcher.start()
    if options.kill_after:
        timed("migrate, killed", lambda: migrate(options.database, kill_after=options.kill_after))
    timed("migrate", lambda: migrate(options.database))
    busy = writer.seconds[len(quiet) :]
    stop.set()
    watching.set()
    thread.join()
    watcher.join()
    show("writes before", latencies(quiet))
    show("writes meanwhile", latencies(busy) | {"failed": len(writer.failures), "errors": set(writer.failures)})
    show("disk", {"before": before["bytes"], "most": max(most), "after": totals(options.database)["bytes"]})
    lost = missing(options, writer, before)
    show("lost", {"rows": lost})
    timed("migrate back to 0007", lambda: migrate(options.database, "completion_aggregator", "0007"))
    return 1 if any(lost.values()) else 0


def connect(database: str = "") -> Any:
    """Return a connection to the server of this machine."""
    return MySQLdb.connect(host="127.0.0.1", port=PORT, user="root", database=database, charset="utf8mb4")


def fill(database: str, learners: int) -> None:
    """Make the database anew, with the tables of 4.x."""
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {database}")
        cursor.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    migrate(database, "auth")
    migrate(database, "completion_aggregator", "0007")
    with connection.cursor() as cursor:
        cursor.execute(f"USE {database}")
        cursor.execute(
            "INSERT INTO auth_user (id, username, password, email, first_name, last_name, is_superuser, is_staff,"
            " is_active, date_joined) SELECT seq, CONCAT('user', seq), '', '', '', '', 0, 0, 1, '2026-01-01'"
            f" FROM seq_1_to_{learners}"
        )
        connection.commit()
        # In their order and without the other indexes: minutes instead of hours.
        unique = unique_key(cursor)
        cursor.execute(f"ALTER TABLE {AGGREGATOR} DROP INDEX {unique}, DROP INDEX aggr_name_course_block_per_idx")
        for first in range(1, learners + 1, LEARNERS_OF_A_COURSE):
            cursor.execute(FILL.format(first=first, last=min(first + LEARNERS_OF_A_COURSE - 1, learners)))
            connection.commit()
        cursor.execute(
            f"ALTER TABLE {AGGREGATOR} ADD KEY aggr_name_course_block_per_idx (course_key, aggregation_name, block_key,"
            f" percent), ADD UNIQUE KEY {unique} (course_key, block_key, user_id, aggregation_name)"
        )
        cursor.execute(
            f"INSERT INTO {STALE} (created, modified, username, course_key, block_key, `force`, resolved)"
            " SELECT '2026-01-01', '2026-01-01', CONCAT('user', user_id), course_key, block_key, 0, 1"
            f" FROM {AGGREGATOR} WHERE id % 10 = 0"
        )
        connection.commit()


def unique_key(cursor: Any) -> str:
    """Return the name that Django gave it."""
    cursor.execute(f"SHOW INDEX FROM {AGGREGATOR} WHERE non_unique = 0 AND key_name <> 'PRIMARY'")
    return str(cursor.fetchall()[0][2])


def migrate(database: str, *target: str, kill_after: float = 0) -> None:
    """Run the command as an operator does."""
    environment = {**os.environ, "TEST_DATABASE_URL": f"mysql://root@127.0.0.1:{PORT}/{database}"}
    command = [sys.executable, "manage.py", "migrate", *target, "--settings=test_settings", "-v", "1"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sys.stdout) as process:
        try:
            code = process.wait(kill_after or None)
        except subprocess.TimeoutExpired:
            process.kill()
        else:
            assert code == 0, f"migrate ended with {code}"


def watch(database: str, most: list[int], stop: Event) -> None:
    """Look now and then how large the database is."""
    while not stop.wait(2):
        most.append(totals(database, rows=False)["bytes"])


def totals(database: str, *, rows: bool = True) -> dict[str, int]:
    """Return how many rows there are, and how large the files."""
    with connect(database).cursor() as cursor:
        cursor.execute(
            "SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces WHERE name LIKE %s", [f"{database}/%"]
        )
        found = {"bytes": int(cursor.fetchone()[0])}
        for table in (AGGREGATOR, STALE) if rows else ():
            cursor.execute(f"SELECT COUNT(*), COALESCE(MAX(id), 0) FROM {table}")
            found[table], found[f"{table} id"] = cursor.fetchone()
    return found


def missing(options: argparse.Namespace, writer: Writer, before: dict[str, int]) -> dict[str, int]:
    """Return how many rows are not there, or not with what was written last."""
    connection = connect(options.database)
    wrong = 0
    with connection.cursor() as cursor:
        for (user, block), earned in writer.written.items():
            cursor.execute(
                f"SELECT earned FROM {AGGREGATOR} WHERE user_id = %(user)s AND course_key = {COURSE}"
                f" AND block_key = {BLOCK}".replace("{user}", "%(user)s").replace("{block}", "%(block)s"),
                {"user": user, "block": block},
            )
            wrong += cursor.fetchall() != ((float(earned),),)
        cursor.execute(f"SELECT COUNT(*) FROM {STALE} WHERE username = 'writer'")
        (marked,) = cursor.fetchone()
        cursor.execute(f"SELECT COUNT(*) FROM {AGGREGATOR} WHERE id <= %s", [before[f"{AGGREGATOR} id"]])
        (old,) = cursor.fetchone()
        cursor.execute(f"SELECT COUNT(*) FROM {STALE} WHERE username <> 'writer'")
        (old_stale,) = cursor.fetchone()
    return {
        "written": wrong,
        "marked": writer.marked - marked,
        AGGREGATOR: before[AGGREGATOR] - old,
        STALE: before[STALE] - old_stale,
    }


def latencies(seconds: list[float]) -> dict[str, Any]:
    """Return the usual figures, in milliseconds."""
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {"writes": len(ordered)} | {
        name: round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1) for name, part in at.items()
    }


def timed(what: str, act: Callable[[], None]) -> None:
    """Run *act* and print how long it took."""
    began = time.perf_counter()
    act()
    print(f"\n{what}: {time.perf_counter() - began:.1f} s", flush=True)


def show(what: str, values: dict[str, Any]) -> None:
    """Print figures in one line."""
    shown = (f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in values.items())
    print(f"{what}: {', '.join(shown)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
