"""One measurement of either side, each in a fresh process."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.cost import Result
from benchmarks.places import ROOT, shared


def ours(work: str, levels: str, options: argparse.Namespace) -> list[Result]:
    """Measure one piece of our work, or prepare it."""
    command = [sys.executable, "-m", "benchmarks.measure", work, options.db, levels]
    return _output([*command, str(options.chapters), str(options.learners)], ROOT)


def our_request(work: str, options: argparse.Namespace, body: Path) -> Result:
    """Measure one request of ours, or load what it needs; *body*: the file for the answer."""
    url = urlsplit(options.db)
    command = [sys.executable, "-m", "benchmarks.measure", work, url._replace(path=f"{url.path}_rest").geturl(), "all"]
    (found,) = _output([*command, str(options.chapters), str(options.learners), str(body)], ROOT)
    return found


def theirs(what: str, options: argparse.Namespace, *, step: int = 0) -> list[Result]:
    """Run a part of the benchmark of the replaced package in its own environment; return what it tells."""
    script = shared("bench/peer_completion/bench_peer.py")
    part = ["load"] if what == "load" else ["run", "--what", what, "--step", str(step)]
    size = ["--chapters", str(options.chapters), "--learners", str(options.peer_learners or options.learners)]
    command = [options.peer, str(script), *part, "--db", _database(options, "_peer"), *size, "--enrolments", "1"]
    return _output(command, script.parent)


def their_request(work: str, options: argparse.Namespace, body: Path) -> Result:
    """Measure one request to the replaced package, or ``load`` what it needs; *body*: the file for the answer."""
    folder = shared("bench/peer_completion/bench_peer.py").parent
    command = [options.peer, "-P", str(ROOT / "benchmarks" / "peer_rest.py"), work, str(folder)]
    size = [str(options.chapters), str(options.learners)]
    return _output([*command, _database(options, "_rest_peer"), *size, str(body)], folder)[-1]


def _database(options: argparse.Namespace, suffix: str) -> str:
    url = urlsplit(options.db)
    if url.scheme == "sqlite" or url.scheme.startswith("postgres"):  # its migrations do not know PostgreSQL
        return f"sqlite:{tempfile.gettempdir()}/bench{suffix}.sqlite3"
    login = f"{url.hostname}:{url.port or 3306}:{url.username}:{url.password or ''}"
    return f"mysql:{url.path.strip('/')}{suffix}@{login}"


def _output(command: list[str], folder: Path) -> list[Result]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
