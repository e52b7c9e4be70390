"""A million learner-courses from scratch: learners per second, resident memory, and what 100 million would take.

``python -m benchmarks.million`` makes the courses, learners and completions, says ``reaggregate_course --all``, and
runs the service until nothing waits; each in a process of its own. See README.md.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import django

from benchmarks import figures, sides
from benchmarks.cost import Result
from benchmarks.measure import LEVELS, STANDALONE
from benchmarks.places import ROOT

STEPS: Final = ("load", "mark", "service")
EXTRAPOLATED: Final = 100_000_000


def main() -> None:
    """Run the steps, each in a process of its own, and print what they tell."""
    options = _arguments()
    if options.step:
        print(json.dumps(_measured(options)))
        return
    found: Result = {"courses": options.courses, "learners": options.learners, "completions": options.completions}
    found["load_of_machine"] = round(os.getloadavg()[0], 2)
    for step in STEPS:
        found[step] = _run(step)
        print(f"{step:8} {_line(found[step])}", flush=True)
    print(extrapolated(found["service"]))
    figures.keep(options.out, figures.database_of(options.db), [], {"million": [found]})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--db", default="mysql://root@127.0.0.1:3306/bench_ca", help="test_NAME_million is made anew")
    parser.add_argument("--courses", type=int, default=100)
    parser.add_argument("--learners", type=int, default=10_000, help="the same ones in each course")
    parser.add_argument("--chapters", type=int, default=3, help="of 80 leaves each")
    parser.add_argument("--completions", type=int, default=35, help="of each learner in each course")
    parser.add_argument("--levels", choices=LEVELS, default="course", help="those projected")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks", help="folder of more.json")
    parser.add_argument("--step", choices=STEPS, help="this one alone, on what the last run left")
    return parser.parse_args()


def _run(step: str) -> Result:
    command = [sys.executable, "-m", "benchmarks.million", *sys.argv[1:], "--step", step]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{step} ended with {done.returncode}")
    found: Result = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(options: argparse.Namespace) -> Result:
    url = sides.named(options.db, "_million")
    os.environ |= {"BENCH_DATABASE_URL": url, "BENCH_PROJECTED": LEVELS[options.levels], "BENCH_PLATFORM": STANDALONE}
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    from django.db import connection

    from benchmarks import masses

    if options.step != "load":
        connection.settings_dict["NAME"] = connection.settings_dict["TEST"]["NAME"]
    return masses.WORKS[options.step](options)


def extrapolated(service: Result) -> str:
    """Return the arithmetic to 100 million learner-courses, as a text."""
    rate, size = service["learners_per_s"], service["bytes_per_learner"]
    seconds, computing = EXTRAPOLATED / rate, service["cpu_s"] / service["wall_s"]
    return (
        f"{EXTRAPOLATED:,} / {rate:,.0f} a second = {seconds:,.0f} s = {seconds / 3600:.1f} h for one worker;"
        f" {seconds / 3600 / 8:.1f} h for eight, on databases that keep up.\n"
        f"A worker computes {computing:.0%} of its time; else it waits for the database and the machine.\n"
        f"{EXTRAPOLATED:,} x {size:,} bytes = {EXTRAPOLATED * size / 1e9:,.0f} GB."
    )


def _line(found: Result) -> str:
    shown = {name: f"{value:,}" if isinstance(value, int | float) else value for name, value in found.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items())


if __name__ == "__main__":
    main()
