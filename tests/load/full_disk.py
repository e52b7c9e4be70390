"""A database whose disk is full: ``python -m tests.load.full_disk --database postgres://root@127.0.0.1:5432/name``.

As root, beside a PostgreSQL server on this machine: the database lies on a small disk in memory, which is filled while
work waits. Nothing may be lost by it; once there is room, the next run ends right. PostgreSQL alone: its log is on
another disk, and so the server lives on.
"""

import argparse
import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
from django.db import connection, connections

from tests.load import school, site, verdict
from tests.load.crew import REPOSITORY

LEARNERS = 2000
SPACE = "load_small"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.full_disk", description=__doc__)
    parser.add_argument("--database", required=True, metavar="URL")
    parser.add_argument("--megabytes", type=int, default=80)
    arguments = parser.parse_args()
    if os.getuid() != 0 or not arguments.database.startswith("postgres"):
        raise SystemExit("This needs root, to mount a disk, and a PostgreSQL server on this machine.")
    url, folder = site.own_url(arguments.database), Path(tempfile.mkdtemp(prefix="full-disk-"))
    environment = site.environment(folder, url, "memory://", ours={"ASYNC_AGGREGATION": "true"})
    os.environ.update(environment | {"LOG_LEVEL": "ERROR"})
    with small_disk(url, arguments.megabytes):
        report = full(environment)
        connections.close_all()
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    if report["troubles"]:
        sys.exit(1)


@contextmanager
def small_disk(url: str, megabytes: int) -> Iterator[None]:
    """Provide the database on a disk of so many megabytes."""
    owner, place = pwd.getpwnam("postgres"), Path(tempfile.mkdtemp(prefix="small-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=True)
    try:
        os.chown(place, owner.pw_uid, owner.pw_gid)
        place.chmod(0o700)
        site.make_database(url, space=(SPACE, place))
        try:
            yield
        finally:
            site.drop_database(url, space=SPACE)
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


def full(environment: dict[str, str]) -> dict[str, Any]:
    site.migrate(environment)
    django.setup()
    from completion.models import BlockCompletion
    from django.contrib.auth import get_user_model
    from opaque_keys.edx.keys import UsageKey

    from completion_aggregator.aggregation.courses import graph_of
    from completion_aggregator.models import CourseProgress, StaleCompletion

    verdict.make_school(1, courses=1, learners=LEARNERS)
    CourseProgress.objects.all().delete()  # so that there is much to write
    key = school.course_key(0)
    leaf = UsageKey.from_string(graph_of(key).completable_keys[0])
    for user in get_user_model()._default_manager.exclude(username=school.STAFF):
        BlockCompletion.objects.submit_completion(user, leaf, 1.0)
    before = StaleCompletion.objects.filter(resolved=False).count()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE filler (text text)")
    filled = fill()
    status, said = run(environment)
    waiting = StaleCompletion.objects.filter(resolved=False).count()
    done = CourseProgress.objects.exclude(graph_version="").count()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE filler")
    again, _ = run(environment)
    troubles = verdict.troubles()
    troubles += ["the run did not say that it failed"] if status == 0 or "Traceback" in said else []
    troubles += [f"{before} waited, {waiting} do and {done} are done"] if waiting + done < before else []
    troubles += ["the disk was not full"] if not done < LEARNERS else []
    troubles += ["the run after that failed"] if again else []
    return {
        "waited": before,
        "filled_mb": filled,
        "status": status,
        "said": said[-400:],
        "waited_still": waiting,
        "done": done,
        "status_with_room": again,
        "left": verdict.waiting(),
        "troubles": troubles[:20],
    }


def fill() -> int:
    """Fill the disk; return with how many megabytes."""
    from django.db import DatabaseError

    written, rows = 0, 1000
    while rows:
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO filler SELECT md5(random()::text) || repeat('x', 960) FROM generate_series(1, %s)",
                    [rows],
                )
            written += rows
        except DatabaseError:
            rows //= 2
    return written // 1000


def run(environment: dict[str, str]) -> tuple[int, str]:
    """Run the service once; return its status and what it said."""
    command = [sys.executable, "-m", "completion_aggregator.platforms.standalone.cli", "run_aggregator_service"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment | {"LOG_LEVEL": "WARNING"}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    main()
