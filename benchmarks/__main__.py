"""Our CPU and wall time beside those of the package we replace, on the same seeded data: see README.md."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit

from benchmarks.course import ROOT, shared
from benchmarks.measure import WORKS, Result

#: What the replaced package's own benchmark calls them. It has no publication: there that is everything, forced.
THEIRS: Final = {"full.scratch": ["scratch"], "full.again": ["forced", "republish"], "incremental": ["incremental"]}
RATIOS: Final = {"cpu_s": "ratio_cpu", "wall_s": "ratio_wall", "bytes": "ratio_bytes"}


def main() -> None:
    """Measure, print a table, and write it as JSON."""
    options, load = _arguments(), round(os.getloadavg()[0], 2)
    ours: dict[tuple[str, str], list[Result]] = defaultdict(list)
    theirs: dict[str, list[Result]] = defaultdict(list)
    measure("load", "all", options)
    if options.peer:
        peer("load", options)
    for run in range(options.runs):
        for levels in ("course", "all"):
            measure("reset", levels, options)
            for work in WORKS:
                ours[work, levels] += measure(work, levels, options)
        for work, found in alternate(options, run) if options.peer else ():
            theirs[work].append(found)
        print(f"run {run + 1} of {options.runs}, load {os.getloadavg()[0]:.2f}", file=sys.stderr, flush=True)
    common = {"runs": options.runs, "load": load, "machine": f"{os.cpu_count()} shared cores: compare CPU, not wall"}
    common |= {"db": urlsplit(options.db).scheme, "leaves": options.chapters * 80, "learners": options.learners}
    common["theirs_learners"] = options.peer_learners or options.learners
    rows = [row(*which, found, theirs[which[0]]) | common for which, found in ours.items()]
    options.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--db", default="mysql://root@127.0.0.1:3306/bench_ca", help="test_NAME is made anew there")
    parser.add_argument("--learners", type=int, default=1000)
    parser.add_argument("--chapters", type=int, default=12, help="of 80 leaves each: 3, 12 and 48 are usual")
    parser.add_argument("--runs", type=int, default=3, help="medians are taken of so many")
    parser.add_argument("--peer", metavar="PYTHON", help="of an environment with the replaced package: run it too")
    parser.add_argument("--peer-learners", type=int, help="fewer for it, as it takes its time; scaled to --learners")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "latest.json")
    return parser.parse_args()


def measure(work: str, levels: str, options: argparse.Namespace) -> list[Result]:
    """Measure one piece of our work in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.measure", work, options.db, levels]
    return _output([*command, str(options.chapters), str(options.learners)], ROOT)


def alternate(options: argparse.Namespace, run: int) -> list[tuple[str, Result]]:
    """Measure the replaced package once, and name its figures as ours; every run completes other blocks."""
    count = options.peer_learners or options.learners
    results = list[tuple[str, Result]]()
    for found in [*peer("full", options), *peer("incremental", options, step=3 * run)]:
        scaled = {name: found[name] * options.learners / count for name in ("cpu_s", "wall_s")}
        results += [(work, scaled) for work in THEIRS.get(found["what"], ())]
        if "table_data_mb" in found:
            megabytes = found["table_data_mb"] + found["table_index_mb"]
            results.append(("storage_bytes", {"bytes": round(megabytes * 2**20 / count)}))
    signal = {found["what"]: found["p50_us"] for found in peer("signal", options, step=40 * run)}
    return [*results, ("signal_async", {"wall_s": (signal["signal.async"] - signal["signal.none"]) / 1e6})]


def peer(what: str, options: argparse.Namespace, *, step: int = 0) -> list[Result]:
    """Run a part of the benchmark of the replaced package in its own environment; return what it tells."""
    script, url = shared("bench/peer_completion/bench_peer.py"), urlsplit(options.db)
    database = f"sqlite:{tempfile.gettempdir()}/bench_peer.sqlite3"
    if url.scheme != "sqlite":  # PostgreSQL its migrations do not know
        login = f"{url.hostname}:{url.port or 3306}:{url.username}:{url.password or ''}"
        database = f"mysql:{url.path.strip('/')}_peer@{login}"
    command = [
        options.peer,
        str(script),
        *(["load"] if what == "load" else ["run", "--what", what, "--step", str(step)]),
    ]
    command += ["--db", database, "--chapters", str(options.chapters), "--enrolments", "1"]
    return _output([*command, "--learners", str(options.peer_learners or options.learners)], script.parent)


def _output(command: list[str], folder: Path) -> list[Result]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def row(work: str, levels: str, ours: list[Result], theirs: list[Result]) -> Result:
    """Return the medians of one work; None where a side has no such figure."""
    made: Result = {"work": work, "projected": levels}
    for name, ratio in RATIOS.items():
        other, mine = _middle(theirs, name), _middle(ours, name)
        made |= {f"theirs_{name}": other, f"ours_{name}": mine}
        made[ratio] = round(other / mine, 1) if mine and other else None
    return made | {name: _middle(ours, name) for name in ("queries", "rows_written", "peak_rss_mb")}


def _middle(found: list[Result], name: str) -> float | None:
    return round(median(each[name] for each in found), 6) if found and name in found[0] else None


def table(rows: list[Result]) -> str:
    """Return the figures for a reader, a line for each work."""
    names = list(rows[0])[2 : list(rows[0]).index("runs")]
    lines = [f"{'work':14} {'projected':9}" + "".join(f"{name:>15}" for name in names)]
    for each in rows:
        cells = ["-" if each[name] is None else f"{each[name]:,.10g}"[:10] for name in names]
        lines.append(f"{each['work']:14} {each['projected']:9}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join([*lines, f"{rows[0]['leaves']} leaves, {rows[0]['learners']} learners, load {rows[0]['load']}"])


if __name__ == "__main__":
    main()
