"""How soon a completion counts: ``python -m tests.load.latency --database URL --rate 500``.

Writers in processes of their own complete blocks, in transactions, with the signal of every completion; a service
loops with a pause of a second. A completion counts when the stored row of its learner has it, which course-wide numbers
are read from. Seconds from commit until then, as a distribution.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import django
from django.db import connections

from tests.load import site
from tests.load.crew import Member, person, service

#: Seconds between two looks; a completion may have counted for so long.
LOOK: Final = 0.1
#: Chapters, sequentials in each, verticals in each, leaves in each.
SHAPE: Final = (6, 4, 4, 10)
PATIENCE: Final = 120.0
#: Seconds in which the processes start.
STARTING: Final = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.latency", description=__doc__)
    parser.add_argument("--database", required=True, metavar="URL")
    parser.add_argument("--rate", type=float, default=500.0, help="completions a second, of all writers together")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--writers", type=int, default=3)
    parser.add_argument("--services", type=int, default=1)
    parser.add_argument("--each", type=int, default=1, help="completions of a transaction")
    parser.add_argument("--learners", type=int, default=2000)
    parser.add_argument("--courses", type=int, default=1)
    arguments = parser.parse_args()
    folder, url = Path(tempfile.mkdtemp(prefix="latency-")), site.own_url(arguments.database)
    environment = site.environment(folder, url, "memory://", ours={"ASYNC_AGGREGATION": "true"})
    environment["LOG_LEVEL"] = "INFO"
    os.environ.update(environment | {"LOG_LEVEL": "ERROR"})
    site.make_database(url)
    try:
        sys.stdout.write(json.dumps(measured(arguments, folder, environment)) + "\n")
    finally:
        connections.close_all()
        site.drop_database(url)


def measured(arguments: argparse.Namespace, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    site.migrate(environment)
    django.setup()
    from tests.load import verdict

    verdict.make_courses([content(number) for number in range(arguments.courses)], learners=arguments.learners)
    services = [service(f"service-{n}", environment, folder, "--json") for n in range(arguments.services)]
    given = (
        "--rate", arguments.rate / arguments.writers, "--seed", 1, "--courses", arguments.courses,
        "--learners", arguments.learners, "--parts", arguments.writers, "--each", arguments.each,
    )  # fmt: skip
    outs = [folder / f"writer-{part}.json" for part in range(arguments.writers)]
    writers = [
        person(f"writer-{part}", environment, folder, "pace", "--out", str(out), "--part", str(part), *map(str, given))
        for part, out in enumerate(outs)
    ]
    members = [*services, *writers]
    for member in members:
        member.start()
    try:
        looked = looks(writers, services, seconds=arguments.seconds)
    finally:
        for member in members:
            member.kill()
    written = [tuple(row) for out in outs for row in json.loads(out.read_text())["committed"]]
    turns = [json.loads(line) for each in services for line in each.log.read_text().splitlines() if line[:1] == "{"]
    delays, uncounted = delays_of(written, looked["counted"])
    moments = [moment for *_, moment in written]
    return {
        "database": arguments.database.partition("://")[0],
        "asked": arguments.rate,
        "written_per_second": round(len(written) / (max(moments) - min(moments)), 1),
        "completions": len(written),
        "uncounted": uncounted,
        "services": arguments.services,
        "courses": arguments.courses,
        **{f"p{share:g}": round(quantile(delays, share / 100), 2) for share in (50, 95, 99)},
        "max": round(max(delays), 2),
        "cpu_of_services_s": looked["cpu"],
        "longest_without_a_look": looked["longest_without_a_look"],
        "turns": len(turns),
        "learners_per_turn": round(sum(turn["learners"] for turn in turns) / max(len(turns), 1)),
        "load": round(os.getloadavg()[0], 1),
    }


def looks(writers: list[Member], services: list[Member], *, seconds: float) -> dict[str, Any]:
    """Look at the rows until nothing waits; return when each number of completions of a learner counted.

    From the first completion to the last, and while the writers end: a look that is not made looks like a delay.
    """
    from completion_aggregator.models import CourseProgress
    from tests.load import verdict

    counted: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    known: dict[tuple[str, int], float] = {}
    end, over, last, gap = time.monotonic() + STARTING + seconds, False, time.monotonic(), 0.0
    while True:
        # As it was when the look began: what is committed during it is for the next one.
        rows = CourseProgress.objects.values_list("course__course_key", "user_id", "earned")
        found, at = list(rows), time.time()
        for key, user_id, earned in found:
            place = (str(key), user_id)
            if known.get(place) != earned:
                known[place] = earned
                counted[place].append((earned, at))
        gap, last = max(gap, time.monotonic() - last), time.monotonic()
        if over:
            return {
                "counted": counted,
                "cpu": round(sum(map(_cpu, services)), 1),
                "longest_without_a_look": round(gap, 2),
            }
        if last >= end:
            for writer in writers:
                writer.ask_to_stop()
            ended = all(writer.process is None or writer.process.poll() is not None for writer in writers)
            over = ended and not verdict.waiting()  # and one more look
        if last > end + PATIENCE:
            raise SystemExit("what was written does not come to count")
        time.sleep(LOOK)


def delays_of(
    written: list[tuple[Any, ...]], counted: dict[tuple[str, int], list[tuple[float, float]]]
) -> tuple[list[float], int]:
    """Return how long each completion took to count, and how many never did."""
    delays, uncounted, nth = list[float](), 0, defaultdict[tuple[str, int], int](int)
    for key, user_id, moment in sorted(written, key=lambda row: row[2]):
        place = (key, user_id)
        nth[place] += 1
        seen = next((at for earned, at in counted[place] if earned >= nth[place]), None)
        if seen is None:
            uncounted += 1
        else:
            delays.append(max(0.0, seen - moment))
    return delays, uncounted


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def content(number: int) -> Any:
    """Return a course of 960 leaves that everybody sees."""
    from completion_aggregator.course_graph.blocks import Block, CompletionMode
    from completion_aggregator.platforms.standalone.content import CourseContent
    from tests.load import school

    key, levels = school.course_key(number), ("course", "chapter", "sequential", "vertical", "html")

    def walk(level: int, name: str) -> Iterator[Block]:
        children = [f"{name}-{place}" for place in range(SHAPE[level])] if level < len(SHAPE) else []
        yield Block(
            key=str(key.make_usage_key(levels[level], name)),
            type=levels[level],
            mode=CompletionMode.AGGREGATOR if children else CompletionMode.COMPLETABLE,
            children=tuple(str(key.make_usage_key(levels[level + 1], child)) for child in children),
            title=name,
        )
        for child in children:
            yield from walk(level + 1, child)

    return CourseContent(course_key=str(key), title=f"Course {number}", blocks=tuple(walk(0, "course")))


def pace(arguments: argparse.Namespace, stopped: Any) -> dict[str, Any]:
    """Be a writer: complete blocks at a steady rate, each once; return when each was committed."""
    from completion.models import BlockCompletion
    from django.contrib.auth import get_user_model
    from django.db import transaction
    from opaque_keys.edx.keys import UsageKey

    from completion_aggregator.aggregation.courses import graph_of
    from tests.load import school

    dice, committed = Random(f"pace {arguments.part}"), list[tuple[str, int, float]]()
    names = [school.username(n) for n in range(arguments.part, arguments.learners, arguments.parts)]
    users = list(get_user_model()._default_manager.filter(username__in=names))
    keys = [school.course_key(number) for number in range(arguments.courses)]
    leaves = {key: [UsageKey.from_string(leaf) for leaf in graph_of(key).completable_keys] for key in keys}
    done: dict[tuple[Any, int], int] = defaultdict(int)
    due = time.monotonic()
    while not stopped():
        key, user = dice.choice(keys), dice.choice(users)
        nth = done[key, user.pk]
        if nth < len(leaves[key]):
            done[key, user.pk] += arguments.each
            with transaction.atomic():
                for leaf in leaves[key][nth : nth + arguments.each]:
                    BlockCompletion.objects.create(
                        user=user, context_key=key, block_key=leaf, block_type="html", completion=1.0
                    )
            moment = time.time()
            committed += [(str(key), user.pk, moment)] * len(leaves[key][nth : nth + arguments.each])
        due += arguments.each / arguments.rate
        time.sleep(max(0.0, due - time.monotonic()))
    return {"committed": committed}


def _cpu(member: Member) -> float:
    """Return the seconds of CPU that a process has used."""
    if member.process is None:
        return 0.0
    fields = Path(f"/proc/{member.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
