"""One piece of our work, measured in a process of its own; the result is printed as JSON.

``python -m benchmarks.measure WORK DATABASE_URL LEVELS CHAPTERS LEARNERS [BODY]``. Besides the works: ``load`` makes
the database with learners and completions, ``reset`` brings it back to what it was then; ``rest_load`` makes that of
the requests, whose answer is written to the file BODY.
"""

import json
import os
import sys
from pathlib import Path
from typing import Final

import django

from benchmarks.cost import Result

LEVELS: Final = {"course": "course", "all": "course,chapter,sequential,vertical"}
#: In the order in which each builds on the one before.
REFRESHES: Final = (
    "scratch", "forced", "reconcile", "storage_bytes", "incremental", "republish", "signal_async", "signal_sync",
)  # fmt: skip
REQUESTS: Final = ("staff_page_100", "list_20", "stats")
STANDALONE: Final = "completion_aggregator.platforms.standalone.platform.StandalonePlatform"


def main() -> None:
    """Do what the command line says."""
    work, url, levels, chapters, learners, *body = sys.argv[1:]
    rest = work in (*REQUESTS, "rest_load")
    os.environ |= {"BENCH_DATABASE_URL": url, "BENCH_PROJECTED": LEVELS[levels]}
    os.environ["BENCH_PLATFORM"] = STANDALONE if rest else "benchmarks.course.platform"
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    if work not in ("load", "rest_load"):
        from django.db import connection

        connection.settings_dict["NAME"] = connection.settings_dict["TEST"]["NAME"]
    measure = _request if rest else _refresh
    print(json.dumps(measure(work, int(chapters), int(learners), *map(Path, body))))


def _refresh(work: str, chapters: int, learners: int) -> Result:
    from benchmarks import bare, graphs, growth, handlers, heatmap, refresh

    works = refresh.WORKS | {each.__name__: each for each in (handlers.signal_async, handlers.signal_sync)}
    works |= {each.__name__: each for each in (bare.bare, graphs.graph, growth.growth, heatmap.heatmap)}
    return works[work](refresh.Bench(chapters, learners, one_more=work == "republish"))


def _request(work: str, chapters: int, learners: int, body: Path = Path(os.devnull)) -> Result:
    from benchmarks import rest

    site = rest.Site(chapters, learners)
    return rest.load(site) if work == "rest_load" else rest.ask(site, work, body)


if __name__ == "__main__":
    main()
