"""What loading tracking logs costs, beside the floors that no loader can go below, in one run.

``python -m benchmarks.tracking`` makes a log with the generator in ``../shared``, then runs each work by turns, each in
a process of its own. See README.md.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.places import ROOT, SHARED

GENERATOR: Final = SHARED / "bench" / "tracking" / "gen_tracking_log.py"
SEED: Final = 7
_BLOCK: Final = 2**20
#: The work that others are told in multiples of.
_UNIT: Final = "json"


def main() -> None:
    """Run all works by turns, print the table, keep the figures."""
    options = _arguments()
    if options.floor:
        _FLOORS[options.floor](sorted(options.logs.glob("tracking.log-*")))
        return
    load_of_machine = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        logs = _logs(Path(folder), options.events, options.files)
        works = _works(logs, Path(folder))
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in works}
        for number in range(options.runs):
            _run(works, number, runs)
        found = {
            "events": options.events,
            "bytes": sum(path.stat().st_size for path in logs["plain"].glob("tracking.log-*")),
            "runs": options.runs,
            "load_of_machine": load_of_machine,
            "works": [_row(name, measured, options.events) for name, measured in runs.items()],
            "peers": [_peer(who, python, logs["plain"], options.runs) for who, python in _peers(options)],
        }
    print(table(found))
    (options.out / "tracking.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _run(works: dict[str, Callable[[int], list[str]]], number: int, runs: dict[str, list[dict[str, float]]]) -> None:
    """Measure all works once, each between two turns of ``json.loads``: shared machines change their pace."""
    floor = _measured(works[_UNIT](number))
    runs[_UNIT].append(floor | {"x_json": 1.0})
    for name, command in works.items():
        if name == _UNIT:
            continue
        found, before = _measured(command(number)), floor
        floor = _measured(works[_UNIT](number))
        runs[_UNIT].append(floor | {"x_json": 1.0})
        runs[name].append(found | {"x_json": 2 * found["cpu_s"] / (before["cpu_s"] + floor["cpu_s"])})
        print(f"{name:12} {found['cpu_s']:8.2f} CPU s {runs[name][-1]['x_json']:6.2f} x json", flush=True)


def table(found: dict[str, Any]) -> str:
    """Return the figures; ``x json``: CPU time as so many times that of ``json.loads`` beside it, with the spread."""
    lines = [f"{'work':12}{'CPU s':>9}{'k/CPU s':>9}{'wall s':>9}{'MB':>7}{'x json':>8}{'spread':>16}"]
    lines += [
        f"{each['work']:12}{each['cpu_s']:9.2f}{each['lines_per_cpu_s'] / 1000:9.1f}{each['wall_s']:9.2f}"
        f"{each['peak_mb']:7.0f}{each['x_json']:8.2f}{each['least']:8.2f}{each['most']:8.2f}"
        for each in found["works"]
    ]
    ours = next(each["lines_per_cpu_s"] for each in found["works"] if each["work"] == "load")
    lines += [
        f"{each['who']:12}{each['cpu_s']:9.2f}{each['lines_per_cpu_s'] / 1000:9.1f}  {each['statements']:,} made of"
        f" {each['lines']:,} lines; ours: {ours / each['lines_per_cpu_s']:.1f} times the lines"
        for each in found["peers"]
    ]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="lines of the log")
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3, help="medians are taken of so many")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks", help="folder of tracking.json")
    parser.add_argument("--scratch", type=Path, help="where logs and stores are made: three times the bytes of the log")
    parser.add_argument("--ralph", type=Path, help="Python of an environment with ralph-malph; none: not measured")
    parser.add_argument("--erb", type=Path, help="the same with edx-event-routing-backends")
    parser.add_argument("--floor", choices=_FLOORS, help=argparse.SUPPRESS)
    parser.add_argument("--logs", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _logs(folder: Path, events: int, files: int) -> dict[str, Path]:
    made = {"plain": folder / "plain", "gz": folder / "gz"}
    for kind, target in made.items():
        command = [sys.executable, str(GENERATOR), "--events", str(events), "--files", str(files), "--seed", str(SEED)]
        packed = ["--gz"] if kind == "gz" else []
        subprocess.run([*command, "--out", str(target), *packed], check=True)
    return made


def _works(logs: dict[str, Path], folder: Path) -> dict[str, Callable[[int], list[str]]]:
    """Return each work: from the number of the run to its command. Floors stand among the loads, by turns."""
    floor = [sys.executable, "-m", "benchmarks.tracking", "--floor"]
    works: dict[str, Callable[[int], list[str]]] = {
        name: lambda _, name=name: [*floor, name, "--logs", str(logs["gz" if name == "gunzip" else "plain"])]  # type: ignore[misc] # a default binds it
        for name in _FLOORS
    }
    for name, kind, workers in (("load", "plain", 1), ("load_2", "plain", 2), ("load_gz", "gz", 1)):
        works[name] = lambda number, name=name, kind=kind, workers=workers: _load(  # type: ignore[misc] # likewise
            folder / f"{name}-{number}", logs[kind], workers
        )
    return works


def _load(site: Path, logs: Path, workers: int) -> list[str]:
    site.mkdir()
    tracking = [sys.executable, "-m", "completion_aggregator.platforms.standalone.cli", "tracking"]
    os.environ["COMPLETION_AGGREGATOR_HOME"] = str(site)
    subprocess.run([*tracking, "store", "init"], check=True, stdout=subprocess.DEVNULL)
    return [*tracking, "load", str(logs), "--workers", str(workers)]


def _measured(command: list[str]) -> dict[str, float]:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if site := next(iter(Path(os.environ.get("COMPLETION_AGGREGATOR_HOME", "-")).glob("tracking*")), None):
        shutil.rmtree(site.parent)
    return {"cpu_s": cpu, "wall_s": wall, "peak_mb": usage.ru_maxrss / 1024}


def _peers(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    for who in ("ralph", "erb"):
        if python := getattr(options, who):
            yield who, python.absolute()


def _peer(who: str, python: Path, logs: Path, runs: int) -> dict[str, Any]:
    command = [str(python), str(ROOT / "benchmarks" / "tracking_peers.py"), who, str(min(logs.glob("tracking.log-*")))]
    found: list[dict[str, Any]] = []
    for _ in range(runs):
        done = subprocess.run(
            command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    cpu = median(each["cpu_s"] for each in found)
    return {"who": who, **found[0], "cpu_s": round(cpu, 3), "lines_per_cpu_s": round(found[0]["lines"] / cpu)}


def _row(name: str, runs: list[dict[str, float]], events: int) -> dict[str, Any]:
    cpu, ratios = [each["cpu_s"] for each in runs], [each["x_json"] for each in runs]
    return {
        "work": name,
        "cpu_s": round(median(cpu), 3),
        "wall_s": round(median(each["wall_s"] for each in runs), 3),
        "peak_mb": round(median(each["peak_mb"] for each in runs), 1),
        "lines_per_cpu_s": round(events / median(cpu)),
        "x_json": round(median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
    }


def _read(paths: list[Path]) -> None:
    for _ in _lines(paths):
        pass


def _gunzip(paths: list[Path]) -> None:
    from completion_aggregator.tracking.contents import Content

    for path in paths:
        with path.open("rb") as stream:
            for _ in Content(stream).blocks():
                pass


def _json(paths: list[Path]) -> None:
    for line in _lines(paths):
        try:
            json.loads(line)
        except ValueError:
            continue


def _decode(paths: list[Path]) -> None:
    import msgspec

    from completion_aggregator.tracking import envelope

    for line in _lines(paths):
        try:
            envelope.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue


def _lines(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb", buffering=_BLOCK) as file:
            yield from file


_FLOORS: Final[dict[str, Callable[[list[Path]], None]]] = {
    "read": _read,
    "gunzip": _gunzip,
    "json": _json,
    "decode": _decode,
}

if __name__ == "__main__":
    main()
