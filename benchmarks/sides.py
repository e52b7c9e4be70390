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


def ours(
    work: str, levels: str, options: argparse.Namespace, *, chapters: int = 0, learners: int = 0, suffix: str = ""
) -> Result:
    """Measure one piece of our work, or prepare it; *suffix*: of the name of the database."""
    command = [sys.executable, "-m", "benchmarks.measure", work, named(options.db, suffix), levels]
    (found,) = _output([*command, str(chapters or options.chapters), str(learners or options.learners)], ROOT)
    return found


def our_request(work: str, levels: str, options: argparse.Namespace, body: Path) -> Result:
    """Measure one request of ours, or load what it needs; *body*: the file for the answer."""
    command = [sys.executable, "-m", "benchmarks.measure", work, named(options.db, f"_rest_{levels}"), levels]
    (found,) = _output([*command, str(options.chapters), str(options.learners), str(body)], ROOT)
    return found


def theirs(what: str, options: argparse.Namespace, *, step: int = 0) -> list[Result]:
    """Run a part of the benchmark of the replaced package in its own environment; return what it tells."""
    script = shared("bench/peer_completion/bench_peer.py")
    part = ["load"] if what == "load" else ["run", "--what", what, "--step", str(step)]
    size = ["--chapters", str(options.chapters), "--learners", str(options.peer_learners)]
    command = [str(options.peer), str(script), *part, "--db", _database(options, "_peer"), *size, "--enrolments", "1"]
    return _output(command, script.parent)


def their_request(work: str, options: argparse.Namespace, body: Path) -> Result:
    """Measure one request to the replaced package, or ``load`` what it needs; *body*: the file for the answer."""
    folder = shared("bench/peer_completion/bench_peer.py").parent
    command = [str(options.peer), "-P", str(ROOT / "benchmarks" / "peer_rest.py"), work, str(folder)]
    size = [str(options.chapters), str(options.learners)]
    return _output([*command, _database(options, "_rest_peer"), *size, str(body)], folder)[-1]


def named(url: str, suffix: str) -> str:
    """Return the URL of the database whose name has this suffix."""
    parts = urlsplit(url)
    path, dot, ending = parts.path.partition(".")
    return f"{parts.scheme}://{parts.netloc}{path}{suffix}{dot}{ending}"


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
