"""A site under load while things go wrong: ``python -m tests.load --database URL --broker redis --seed 1``.

Real processes, a real database, a real broker. At its end it says what was done and what went wrong, and exits with 1
if anything did that may not.
"""

import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import django
from django.db import connections

from tests.load import site
from tests.load.brokers import BROKERS, Broker
from tests.load.crew import Member, person, service, worker
from tests.load.faults import Faults
from tests.load.hook import SECRET, hook

#: Requests a second of each process, by what it does.
RATES: Final = {"learners": 40.0, "office": 10.0, "author": 0.7, "readers": 12.0}
WRITERS: Final = 3
#: Seconds by which the clocks of some machines are wrong.
WRONG: Final = 3600.0
#: Seconds until what was begun by a process that was killed is begun again, deliveries included.
PATIENCE: Final = 150.0
_RETRY: Final = re.compile(r"tried again reason=(\w+)")


def main() -> None:
    arguments = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave no process behind
    folder = Path(tempfile.mkdtemp(prefix="load-"))
    url = site.own_url(arguments.database)
    broker: Broker = BROKERS[arguments.broker](folder / "broker")
    with ExitStack() as stack:
        stack.callback(broker.kill)
        broker.start()
        address, keys = stack.enter_context(hook())
        webhook = {"url": address, "secret": SECRET}
        environment = site.environment(folder, url, broker.url, ours=settings(arguments.seed, webhook))
        os.environ.update(environment | {"LOG_LEVEL": "ERROR"})
        site.make_database(url)
        stack.callback(site.drop_database, url)
        report = run(arguments, folder, environment, broker)
        report["posts"] = {"sent": len(keys), "different": len(set(keys))}
        check_posts(report, set(keys))
        connections.close_all()
    sys.stdout.write(json.dumps(report, indent=1, default=str) + "\n")
    if report["troubles"]:
        sys.stderr.write(f"The logs are in {folder}\n")
        sys.exit(1)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument(
        "--database", required=True, metavar="URL", help="the run makes and drops load_NAME on its server"
    )
    parser.add_argument("--broker", choices=sorted(BROKERS), default="redis", help="it starts one of its own")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learners", type=int, default=150)
    parser.add_argument("--courses", type=int, default=3)
    parser.add_argument("--calm", action="store_true", help="no faults")
    return parser.parse_args()


def settings(seed: int, webhook: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of a run: every second one with thresholds, every second pair with reconcile.

    Reconcile would mend what is wrong before the end could show it; with it, whoever it finds is one too many.
    """
    return {
        "ASYNC_AGGREGATION": "true",
        "BATCH_SIZE": "40",
        "PROJECTED_BLOCK_TYPES": "course,chapter,sequential,vertical",
        "TRACKING_EVENT_TYPES": "course",
        "RECONCILE_LEARNERS": "30" if seed // 2 % 2 else "0",
        "RECONCILE_HOURS": "1",
    } | ({"THRESHOLDS": {"course": [0.25, 0.5]}, "WEBHOOKS": [dict(webhook)]} if seed % 2 else {})


def run(arguments: argparse.Namespace, folder: Path, environment: dict[str, str], broker: Broker) -> dict[str, Any]:
    site.migrate(environment)
    django.setup()
    from tests.load import verdict

    verdict.make_school(arguments.seed, courses=arguments.courses, learners=arguments.learners)
    connections.close_all()  # ours would be dropped, too
    crew = crew_of(environment, folder)
    everybody = [member for members in crew.values() for member in members]
    users = people(arguments, environment, folder)
    faults = Faults(Random(arguments.seed), url=environment["DATABASE_URL"], broker=broker, crew=crew)
    with ended(everybody + users):
        for member in everybody + users:
            member.start()
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            time.sleep(0.1)
            for member in everybody + users:
                member.keep()
            if not arguments.calm:
                faults.go_on()
        stopping = time.monotonic()
        stuck = [member.name for member in users if not member.stop(30.0)]
        faults.mend()
        seconds, left = verdict.drained(PATIENCE, everybody, since=stopping)
        stuck += [member.name for member in everybody if not member.stop(30.0)]
    requests, failed, slowest = told_by(users, faults.dropped)
    logs = "".join(member.log.read_text(errors="replace") for member in everybody + users)
    return {
        "database": arguments.database.partition("://")[0],
        "broker": arguments.broker,
        "seed": arguments.seed,
        "seconds": arguments.seconds,
        "requests": requests,
        "slowest_request_s": slowest,
        "faults": faults.counts,
        "ended_with_a_sentence": sum(member.gave_up for member in everybody + users),
        "retries": Counter(_RETRY.findall(logs)),
        "seconds_to_drain": seconds,
        "stored": verdict.stored(),
        "troubles": [
            *failed,
            *(crash for member in everybody + users for crash in member.crashes),
            *(f"did not end when asked to: {name}" for name in stuck),
            *(f"left to do: {count} {name}" for name, count in left.items()),
            *(f"found wrong by reconcile: {line}" for line in re.findall(r".*learners found wrong.*", logs)),
            *verdict.troubles(),
        ],
    }


def crew_of(environment: dict[str, str], folder: Path) -> dict[str, list[Member]]:
    queue = ("--routing-key", site.QUEUE)
    return {
        "services": [
            service("service-here", environment, folder),
            service("service-queue-1", environment, folder, *queue),
            service("service-queue-2", environment, folder, *queue).skewed(-WRONG),
        ],
        "workers": [
            worker("worker-1", environment, folder, queue=site.QUEUE, processes=2),
            worker("worker-2", environment, folder, queue=site.QUEUE, processes=2).skewed(WRONG),
        ],
    }


def people(arguments: argparse.Namespace, environment: dict[str, str], folder: Path) -> list[Member]:
    """Return the processes with requests; the last of those that write aggregates in the request, too."""
    found = []
    for role, rate in RATES.items():
        parts = WRITERS if role == "learners" else 1
        for part in range(parts):
            name = f"{role}-{part}"
            options = {
                "--out": folder / f"{name}.json", "--seed": arguments.seed, "--rate": rate, "--part": part,
                "--parts": parts, "--courses": arguments.courses, "--learners": arguments.learners,
            }  # fmt: skip
            given = [str(each) for option in options.items() for each in option]
            mode = {"COMPLETION_AGGREGATOR_ASYNC_AGGREGATION": "false"} if part == WRITERS - 1 else {}
            found.append(person(name, environment | mode, folder, role, *given).skewed((-WRONG, WRONG, 0.0)[part]))
    return found


def told_by(users: list[Member], dropped: set[int]) -> tuple[Counter[str], list[str], float]:
    """Return the requests by kind, those that failed though nobody dropped their connection, and the slowest."""
    done, failed, slowest = Counter[str](), list[str](), 0.0
    for member in users:
        try:
            told = json.loads((member.folder / f"{member.name}.json").read_text())
        except OSError:
            failed.append(f"{member.name} told nothing")
            continue
        done.update(told["done"])
        slowest = max(slowest, told["slowest"])
        for each in told["failed"]:
            if dropped.isdisjoint(each["connections"]):
                failed.append(f"request failed: {each}")
            else:
                done["cut off"] += 1
    return done, failed, slowest


def check_posts(report: dict[str, Any], keys: set[str]) -> None:
    """Say which crossings were never posted, and which posts are of none."""
    from completion_aggregator.models import Delivery

    rows = {str(key) for key in Delivery.objects.values_list("crossing_id", flat=True)}
    report["troubles"] += [f"never posted: {key}" for key in sorted(rows - keys)]
    report["troubles"] += [f"posted, and not stored: {key}" for key in sorted(keys - rows)]


@contextmanager
def ended(members: list[Member]) -> Iterator[None]:
    """Leave no process behind."""
    try:
        yield
    finally:
        for member in members:
            member.kill()


if __name__ == "__main__":
    main()
