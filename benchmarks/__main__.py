"""Our CPU and wall time beside those of the package we replace, on the same seeded data: see README.md."""

import argparse
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit

from benchmarks import sides
from benchmarks.cost import Result
from benchmarks.measure import REFRESHES, REQUESTS
from benchmarks.places import ROOT
from benchmarks.requests import difference

#: What the replaced package's own benchmark calls them. It has no publication: there that is everything, forced.
THEIRS: Final = {"full.scratch": ["scratch"], "full.again": ["forced", "republish"], "incremental": ["incremental"]}
RATIOS: Final = {"cpu_s": "ratio_cpu", "wall_s": "ratio_wall", "bytes": "ratio_bytes"}
COUNTS: Final = ("queries", "rows_written", "peak_rss_mb")
#: Of requests, the figures of which theirs are told, too; and what a session adds to ours.
BOTH: Final = ("queries", "memory_mb")
SESSION: Final = ("session_cpu_s", "session_queries")


def main() -> None:
    """Measure, print a table for each kind of work, and put the figures among those that are kept as JSON."""
    options, load = _arguments(), round(os.getloadavg()[0], 2)
    common = {"runs": options.runs, "load": load, "machine": f"{os.cpu_count()} shared cores: compare CPU, not wall"}
    common |= {"db": urlsplit(options.db).scheme, "leaves": options.chapters * 80, "learners": options.learners}
    made = []
    for kind in (_refreshes, _requests):
        rows = [each | common for each in kind(options)]
        if rows:
            print(table(rows))
        made += rows
    _keep(options.out, made)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--db", default="mysql://root@127.0.0.1:3306/bench_ca", help="test_NAME is made anew there")
    parser.add_argument("--works", type=_works, default=[*REFRESHES, *REQUESTS], help="some of them, with commas")
    parser.add_argument("--learners", type=int, default=1000)
    parser.add_argument("--chapters", type=int, default=12, help="of 80 leaves each: 3, 12 and 48 are usual")
    parser.add_argument("--runs", type=int, default=3, help="medians are taken of so many")
    parser.add_argument(
        "--peer", type=os.path.abspath, metavar="PYTHON", help="of an environment with the replaced package: run it too"
    )
    parser.add_argument("--peer-learners", type=int, help="fewer for its refreshes, as they take their time; scaled")
    parser.add_argument(
        "--loaded", action="store_true", help="take the databases of requests as the last run left them"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "latest.json")
    return parser.parse_args()


def _works(text: str) -> list[str]:
    works = text.split(",")
    if unknown := set(works) - {*REFRESHES, *REQUESTS}:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return works


def _refreshes(options: argparse.Namespace) -> Iterator[Result]:
    """Yield a row for each refresh and choice of levels. All are run, as each builds on the one before."""
    wanted = [work for work in REFRESHES if work in options.works]
    if not wanted:
        return
    ours: dict[tuple[str, str], list[Result]] = defaultdict(list)
    theirs: dict[str, list[Result]] = defaultdict(list)
    sides.ours("load", "all", options)
    if options.peer:
        sides.theirs("load", options)
    for run in range(options.runs):
        for levels in ("course", "all"):
            sides.ours("reset", levels, options)
            for work in REFRESHES:
                ours[work, levels] += sides.ours(work, levels, options)
        for work, found in _alternate(options, run) if options.peer else ():
            theirs[work].append(found)
        _tell(run, options)
    for (work, levels), results in ours.items():
        if work in wanted:
            made = row(work, levels, results, theirs[work]) | {name: _middle(results, name) for name in COUNTS}
            yield made | {"theirs_learners": options.peer_learners or options.learners}


def _alternate(options: argparse.Namespace, run: int) -> list[tuple[str, Result]]:
    """Measure the replaced package once, and name its figures as ours; every run completes other blocks."""
    count = options.peer_learners or options.learners
    results = list[tuple[str, Result]]()
    for found in [*sides.theirs("full", options), *sides.theirs("incremental", options, step=3 * run)]:
        scaled = {name: found[name] * options.learners / count for name in ("cpu_s", "wall_s")}
        results += [(work, scaled) for work in THEIRS.get(found["what"], ())]
        if "table_data_mb" in found:
            megabytes = found["table_data_mb"] + found["table_index_mb"]
            results.append(("storage_bytes", {"bytes": round(megabytes * 2**20 / count)}))
    signal = {found["what"]: found["p50_us"] for found in sides.theirs("signal", options, step=40 * run)}
    return [*results, ("signal_async", {"wall_s": (signal["signal.async"] - signal["signal.none"]) / 1e6})]


def _requests(options: argparse.Namespace) -> Iterator[Result]:
    """Yield a row for each request; both sides must have answered the same."""
    wanted = [work for work in REQUESTS if work in options.works]
    ours: dict[str, list[Result]] = defaultdict(list)
    theirs: dict[str, list[Result]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "ours.json", Path(folder) / "theirs.json"
        if wanted and not options.loaded:
            sides.our_request("rest_load", options, one)
            if options.peer:
                sides.their_request("load", options, other)
        for run in range(options.runs if wanted else 0):
            for work in wanted:
                ours[work].append(sides.our_request(work, options, one))
                if options.peer:
                    theirs[work].append(sides.their_request(work, options, other))
                    if found := difference(other.read_bytes(), one.read_bytes()):
                        sys.exit(f"{work}: the answers differ, theirs and ours, at {found}")
            _tell(run, options)
    for work in wanted:
        made = row(work, "all", ours[work], theirs[work])
        both = {f"theirs_{name}": _middle(theirs[work], name) for name in BOTH}
        both |= {f"ours_{name}": _middle(ours[work], name) for name in BOTH}
        made |= both | {name: _middle(ours[work], name) for name in SESSION}
        yield made | {"theirs_learners": options.learners}


def _tell(run: int, options: argparse.Namespace) -> None:
    print(f"run {run + 1} of {options.runs}, load {os.getloadavg()[0]:.2f}", file=sys.stderr, flush=True)


def row(work: str, levels: str, ours: list[Result], theirs: list[Result]) -> Result:
    """Return the medians of one work; None where a side has no such figure."""
    made: Result = {"work": work, "projected": levels}
    for name, ratio in RATIOS.items():
        other, mine = _middle(theirs, name), _middle(ours, name)
        made |= {f"theirs_{name}": other, f"ours_{name}": mine}
        made[ratio] = round(other / mine, 1) if mine and other else None
    return made


def _middle(found: list[Result], name: str) -> float | None:
    return round(median(each[name] for each in found), 6) if found and found[0].get(name) is not None else None


def table(rows: list[Result]) -> str:
    """Return the figures for a reader, a line for each work."""
    names = list(rows[0])[2 : list(rows[0]).index("theirs_learners")]
    lines = [f"{'work':14} {'projected':9}" + "".join(f"{name:>17}" for name in names)]
    for each in rows:
        cells = ["-" if each[name] is None else f"{each[name]:,.10g}"[:10] for name in names]
        lines.append(f"{each['work']:14} {each['projected']:9}" + "".join(f"{cell:>17}" for cell in cells))
    return "\n".join([*lines, f"{rows[0]['leaves']} leaves, {rows[0]['learners']} learners, load {rows[0]['load']}"])


def _keep(path: Path, rows: list[Result]) -> None:
    """Put the rows in the places of those of the same works, and leave the others as they are."""
    kept = {(each["work"], each["projected"]): each for each in json.loads(path.read_text() if path.exists() else "[]")}
    kept |= {(each["work"], each["projected"]): each for each in rows}
    path.write_text(json.dumps(list(kept.values()), indent=1) + "\n")


if __name__ == "__main__":
    main()
