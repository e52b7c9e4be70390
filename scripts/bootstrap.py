"""Make the virtual environment of this checkout, or bring it up to date: ``python3 scripts/bootstrap.py SET...``.

A set is a lock of ``requirements/``: standalone, tracking, test, dev, docs, mysql, xapi, peer, clickhouse-test, audit.
Needs Python 3.11+ and no more; uses uv where it is installed. ``VENV`` names the folder, ``PYTHON`` the interpreter;
``VENV_READY`` says that something else, such as tox, made it. Done already: returns at once.
"""

# Runs on whatever `python3` is, to say what is missing: nothing in here may need more than Python 3.8.
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / os.environ.get("VENV", ".venv")
VENV_PYTHON = VENV / "bin" / "python"

OLDEST = (3, 11)
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3", sys.executable)

# A set and those that it contains, with the same versions.
CONTAINS = {
    "standalone": (),
    "tracking": ("standalone",),
    "test": ("standalone", "tracking"),
    "docs": (),
    "dev": ("test", "standalone", "tracking", "docs"),
    "mysql": (),
    "xapi": (),
    "peer": (),
    "clickhouse-test": (),
    "audit": (),
}
PROBE = """
import sys
try:
    import ensurepip, venv
except ImportError:
    venv = None
print(sys.version_info[0], sys.version_info[1], venv is not None)
"""


class Unfit(Exception):
    """This machine lacks something; the message says what to do."""


def main(names: list[str]) -> int:
    """Install the sets *names*, and the project itself."""
    unknown = [name for name in names if name not in CONTAINS]
    if unknown or not names:
        print(f"usage: bootstrap.py {{{','.join(CONTAINS)}}}...", file=sys.stderr)
        return 2
    if os.environ.get("VENV_READY"):
        return 0
    try:
        make_venv()
        for name in names:
            install_set(name)
        install_project()
    except Unfit as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def make_venv() -> None:
    """Make the virtual environment if there is none that works."""
    existing = version_of(str(VENV_PYTHON))
    if existing and existing[0] >= OLDEST:
        return
    python, version, can_make_venv = choose_python()
    uv = shutil.which("uv")
    if not uv and not can_make_venv:
        raise Unfit(missing_ensurepip(python, version))
    with Step(f"virtual environment in {VENV.name} with {python}"):
        if uv:
            run([uv, "venv", "--quiet", "--seed", "--clear", "--python", python, str(VENV)])
        else:
            run([python, "-m", "venv", "--clear", str(VENV)])


def choose_python() -> tuple[str, tuple[int, int], bool]:
    """Return the newest interpreter that can make an environment, else the newest that would with ensurepip."""
    given = os.environ.get("PYTHON")
    second_best = None
    for candidate in (given,) if given else CANDIDATES:
        found = version_of(candidate)
        if found is None or found[0] < OLDEST:
            continue
        if found[1]:
            return candidate, found[0], True
        second_best = second_best or (candidate, found[0], False)
    if second_best:
        return second_best
    raise Unfit(
        f"{given or 'python3'} is not Python {OLDEST[0]}.{OLDEST[1]} or newer, and none was found beside it."
        "\nInstall one: on Debian 12+ and Ubuntu 24.04+ `sudo apt install python3 python3-venv`,"
        " on macOS `brew install python@3.12`."
    )


def version_of(python: str) -> tuple[tuple[int, int], bool] | None:
    """Return the version of an interpreter and whether it can make environments; None when it does not run."""
    try:
        # Names on PATH may be stand-ins that only say which version is not installed.
        done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, timeout=30, check=True)
        major, minor, can_make_venv = done.stdout.split()
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return (int(major), int(minor)), can_make_venv == "True"


def missing_ensurepip(python: str, version: tuple[int, int]) -> str:
    """Say which package is missing."""
    message = f"{python} cannot make virtual environments: its module ensurepip is not installed."
    if shutil.which("apt-get"):
        return f"{message}\nInstall it: sudo apt install python{version[0]}.{version[1]}-venv"
    return f"{message}\nInstall the package of your system that has it, often called python3-venv."


def install_set(name: str) -> None:
    """Install the lock *name*, unless this very lock is installed."""
    lock = ROOT / "requirements" / f"{name}.txt"
    if stamp(name).exists() and stamp(name).read_text() == digest(lock):
        return
    count = sum("==" in line for line in lock.read_text().splitlines())
    with Step(f"{count} packages of requirements/{lock.name}"):
        run([*installer(), "--require-hashes", "-r", str(lock)], count=count)
    for done in (name, *CONTAINS[name]):
        stamp(done).write_text(digest(ROOT / "requirements" / f"{done}.txt"))


def install_project() -> None:
    """Install the project in place, unless what describes it is as it was."""
    described = [ROOT / "setup.py", ROOT / "completion_aggregator" / "__init__.py"]
    described += sorted((ROOT / "requirements").glob("*.in"))
    current = f"{digest(*described)} {ROOT}"
    if stamp("project").exists() and stamp("project").read_text() == current:
        return
    if not (stamp("standalone").exists() or stamp("dev").exists()):
        return  # the documentation builds without the project
    with Step("this project, in place"):
        run([*installer(), "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    stamp("project").write_text(current)


def installer() -> list[str]:
    """Return the start of an install command: uv's where it is, else pip's."""
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", str(VENV_PYTHON)]
    return [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]


def run(command: list[str], *, count: int = 0) -> None:
    """Run a command quietly, with a count of the packages it names; on failure show what it said."""
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    ) as process:
        assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
        for line in process.stdout:
            said.append(line)
            seen = sum(earlier.startswith("Collecting ") for earlier in said)
            if count and seen and sys.stdout.isatty():
                print(f"\r  {seen} of {count}", end="", flush=True)
    if process.returncode:
        raise Unfit("".join(said[-30:]) + f"\nfailed ({process.returncode}): {' '.join(command)}")


def environment() -> dict[str, str]:
    """Return our environment without what would lead an installer elsewhere."""
    misleading = {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"}
    return {name: value for name, value in os.environ.items() if name not in misleading}


def digest(*paths: Path) -> str:
    """Return what changes when one of the files does."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def stamp(name: str) -> Path:
    """Return the file that says which version of a set is installed."""
    return VENV / f".installed-{name}"


class Step:
    """One line: what is done, and the seconds it took."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.started = time.monotonic()

    def __enter__(self) -> None:
        print(f"· {self.what} ...", flush=True)

    def __exit__(self, failed: object, *_: object) -> None:
        if not failed:
            clear = "\r" if sys.stdout.isatty() else ""
            print(f"{clear}  done in {time.monotonic() - self.started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
