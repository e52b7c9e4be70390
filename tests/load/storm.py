"""A course that is published a hundred times in a minute: ``python -m tests.load.storm --database URL``.

Everybody in it sees another tree each time. It says how many learners were refreshed for it, by a service that loops.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import django
from django.db import connections

from tests.load import site, verdict
from tests.load.crew import service

PATIENCE = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.storm", description=__doc__)
    parser.add_argument("--database", required=True, metavar="URL")
    parser.add_argument("--learners", type=int, default=10_000)
    parser.add_argument("--publishes", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    folder, url = Path(tempfile.mkdtemp(prefix="storm-")), site.own_url(arguments.database)
    ours = {"ASYNC_AGGREGATION": "true", "RECONCILE_LEARNERS": "0"}
    environment = site.environment(folder, url, "memory://", ours=ours)
    os.environ.update(environment | {"LOG_LEVEL": "ERROR"})
    site.make_database(url)
    try:
        sys.stdout.write(json.dumps(storm(arguments, folder, environment), indent=1) + "\n")
    finally:
        connections.close_all()
        site.drop_database(url)


def storm(arguments: argparse.Namespace, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    site.migrate(environment)
    django.setup()
    from completion_aggregator.platforms.standalone.courses import compile_content, store_version
    from tests.load import school

    verdict.make_school(1, courses=1, learners=arguments.learners)
    looping = service("service", environment, folder, "--json")
    looping.start()
    time.sleep(5.0)
    before, slowest, start = turns(folder), 0.0, time.monotonic()
    for number in range(arguments.publishes):
        time.sleep(max(0.0, start + number * arguments.seconds / arguments.publishes - time.monotonic()))
        content = school.content(1, 0, number % school.VERSIONS + 1)
        graph, began = compile_content(content), time.perf_counter()
        store_version(content, graph)
        slowest = max(slowest, time.perf_counter() - began)
    published = time.monotonic() - start
    _, left = verdict.drained(PATIENCE, [looping], since=time.monotonic())
    done = time.monotonic() - start - published
    looping.stop(30.0)
    counts = turns(folder)[len(before) :]
    return {
        "learners": arguments.learners,
        "publishes": arguments.publishes,
        "seconds_of_publishing": round(published, 1),
        "slowest_publish_s": round(slowest, 3),
        "seconds_until_done": round(done, 1),
        "learners_compared": sum(turn["of_changed_courses"] for turn in counts),
        "learners_refreshed": sum(turn["learners"] for turn in counts),
        "turns_with_refreshes": sum(turn["learners"] > 0 for turn in counts),
        "left": left,
        "troubles": verdict.troubles()[:20],
    }


def turns(folder: Path) -> list[dict[str, Any]]:
    """Return the counts of each turn of the service so far."""
    lines = (folder / "service.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


if __name__ == "__main__":
    main()
