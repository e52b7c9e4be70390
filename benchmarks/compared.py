"""The works that are measured on both sides, by turns: refreshes of a course, and requests."""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks import sides
from benchmarks.cost import Result
from benchmarks.figures import row
from benchmarks.measure import LEVELS, REFRESHES, REQUESTS
from benchmarks.requests import difference

#: What the replaced package's own benchmark calls them. It has no publication: there that is everything, forced.
THEIRS: Final = {"full.scratch": ["scratch"], "full.again": ["forced", "republish"], "incremental": ["incremental"]}

_Found = dict[tuple[str, str], list[Result]]


def refreshes(options: argparse.Namespace) -> Iterator[Result]:
    """Yield a row for each refresh and choice of levels. All are run, as each builds on the one before."""
    wanted = [work for work in REFRESHES if work in options.works]
    if not wanted:
        return
    ours: _Found = defaultdict(list)
    theirs: dict[str, list[Result]] = defaultdict(list)
    sides.ours("load", "all", options)
    if options.peer:
        sides.theirs("load", options)
    for run in range(options.runs):
        for levels in LEVELS:
            sides.ours("reset", levels, options)
            for work in REFRESHES:
                ours[work, levels].append(sides.ours(work, levels, options))
        for work, found in _alternate(options, run) if options.peer else ():
            theirs[work].append(found)
        tell(f"refreshes: run {run + 1} of {options.runs}")
    for (work, levels), results in ours.items():
        if work in wanted:
            count = options.peer_learners if options.peer else None
            yield row(work, levels, results, theirs[work]) | {"theirs_learners": count}


def _alternate(options: argparse.Namespace, run: int) -> list[tuple[str, Result]]:
    """Measure the replaced package once, and name its figures as ours; every run completes other blocks."""
    count, results = options.peer_learners, list[tuple[str, Result]]()
    for found in [*sides.theirs("full", options), *sides.theirs("incremental", options, step=3 * run)]:
        scaled = {name: found[name] * options.learners / count for name in ("cpu_s", "wall_s")}
        results += [(work, scaled) for work in THEIRS.get(found["what"], ())]
        if "table_data_mb" in found:
            megabytes = found["table_data_mb"] + found["table_index_mb"]
            results.append(("storage_bytes", {"bytes": round(megabytes * 2**20 / count)}))
    told = {found["what"]: found["p50_us"] for found in sides.theirs("signal", options, step=40 * run)}
    for work, what in (("signal_async", "signal.async"), ("signal_sync", "signal.sync")):
        results.append((work, {"wall_s": (told[what] - told["signal.none"]) / 1e6}))
    return results


def requests(options: argparse.Namespace) -> Iterator[Result]:
    """Yield a row for each request and choice of levels; both sides must have answered the same."""
    wanted = [work for work in REQUESTS if work in options.works]
    ours: _Found = defaultdict(list)
    theirs: dict[str, list[Result]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "ours.json", Path(folder) / "theirs.json"
        if wanted and not options.loaded:
            _load(options, other)
        for run in range(options.runs if wanted else 0):
            for work in wanted:
                if options.peer:
                    theirs[work].append(sides.their_request(work, options, other))
                for levels in LEVELS:
                    ours[work, levels].append(sides.our_request(work, levels, options, one))
                    found = difference(other.read_bytes(), one.read_bytes()) if options.peer else None
                    if found:
                        sys.exit(f"{work}: the answers differ, theirs and ours, at {found}")
            tell(f"requests: run {run + 1} of {options.runs}")
    count = options.learners if options.peer else None
    for (work, levels), results in ours.items():
        yield row(work, levels, results, theirs[work]) | {"theirs_learners": count}


def _load(options: argparse.Namespace, unused: Path) -> None:
    for levels in LEVELS:
        sides.our_request("rest_load", levels, options, unused)
    if options.peer:
        sides.their_request("load", options, unused)


def tell(what: str) -> None:
    """Say how far it is, and how busy the machine."""
    print(f"{what}, load {os.getloadavg()[0]:.2f}", file=sys.stderr, flush=True)
