"""Our CPU and wall time beside those of the package we replace, on the same seeded data: see README.md."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks import alone, compared, figures
from benchmarks.cost import Result
from benchmarks.measure import REFRESHES, REQUESTS
from benchmarks.places import ROOT

#: What ``VENV=.venv-peer python3 scripts/bootstrap.py peer`` makes.
PEER: Final = ROOT / ".venv-peer" / "bin" / "python"
WORKS: Final = (*REFRESHES, *REQUESTS, *alone.ALONE)


def main() -> None:
    """Measure, print a table for each kind of work, and put the figures among those that are kept as JSON."""
    options, load = _arguments(), round(os.getloadavg()[0], 2)
    common: Result = {"runs": options.runs, "load": load, "learners": options.learners, "cores": os.cpu_count()}
    rows, others = list[Result](), dict[str, Any]()
    for compare in (compared.refreshes, compared.requests):
        made = [each | common | {"leaves": options.chapters * 80} for each in compare(options)]
        if made:
            print(figures.table(made), flush=True)
        rows += made
    for name, measure in alone.ALONE.items():
        if name in options.works:
            others[name] = [common | each for each in measure(options)]
            print(alone.lines(name, others[name]), flush=True)
    figures.keep(options.out, figures.database_of(options.db), rows, others)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--db", default="mysql://root@127.0.0.1:3306/bench_ca", help="test_NAME is made anew there")
    parser.add_argument("--works", type=_works, default=WORKS, help=f"some of them, with commas: {', '.join(WORKS)}")
    parser.add_argument("--learners", type=_positive, default=1000)
    parser.add_argument("--chapters", type=_positive, default=12, help="of 80 leaves each: 3, 12 and 48 are usual")
    parser.add_argument("--runs", type=_positive, default=3, help="medians are taken of so many")
    parser.add_argument("--crowd", type=_positive, default=10_000, help="learners of the heatmap")
    parser.add_argument(
        "--peer", type=Path, default=PEER, metavar="PYTHON", help="of the environment with the replaced package"
    )
    parser.add_argument("--peer-learners", type=_positive, default=100, help="in its refreshes, which take their time")
    parser.add_argument("--alone", action="store_true", help="without the replaced package")
    parser.add_argument(
        "--loaded", action="store_true", help="take the databases as the last run left them; refreshes make theirs anew"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks", help="folder of latest.json and more.json")
    return _checked(parser.parse_args())


def _checked(options: argparse.Namespace) -> argparse.Namespace:
    options.peer_learners = min(options.peer_learners, options.learners)
    if options.alone:
        options.peer = None
    elif {*REFRESHES, *REQUESTS} & set(options.works):
        options.peer = options.peer.absolute()
        if not options.peer.exists():
            sys.exit(
                f"{options.peer} is not there. Make the environment of the replaced package by"
                " `VENV=.venv-peer python3 scripts/bootstrap.py peer`, name another by --peer, or say --alone."
            )
    return options


def _works(text: str) -> list[str]:
    works = text.split(",")
    if unknown := set(works) - set(WORKS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return works


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    main()
