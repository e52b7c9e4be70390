"""The processes of a site under load, and who starts them again when they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

REPOSITORY: Final = Path(__file__).resolve().parents[2]
#: A supervisor starts what ended after so many seconds.
PAUSE: Final = 0.5


@dataclass
class Member:
    """A process that is kept running. ``crashes``: exits that nobody asked for, with the end of what it said.

    ``excused``: a process of its own was killed, without which Celery may end. ``gave_up``: how often it ended with a
    sentence, and no traceback, as when the database is gone while it starts.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    killed: bool = False
    due: float = 0.0
    started: float = 0.0
    excused: bool = False
    gave_up: int = 0
    crashes: list[str] = field(default_factory=list)
    _said: int = 0

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def skewed(self, seconds: float) -> Self:
        """Have the clock of the process be wrong."""
        python, module, *rest = self.command[0], *self.command[2:]
        self.command = (python, "-m", "tests.load.skewed", str(seconds), module, *rest)
        return self

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=REPOSITORY, env=dict(self.environment), stdout=log, stderr=log, start_new_session=True
            )
        self.killed = self.excused = False
        self.started = time.monotonic()
        self._said = self.log.stat().st_size

    def keep(self) -> None:
        """Note how it ended, if it did, and start it again after a pause."""
        if self.process is not None and self.process.poll() is not None:
            if not self.killed and not self.excused:
                said = self.log.read_bytes()[self._said :].decode(errors="replace")
                if self.at_fault(said):
                    self.crashes.append(f"{self.name} ended with {self.process.returncode}: {said[-1500:]}")
                self.gave_up += 1
            self.process, self.due = None, time.monotonic() + PAUSE
        if self.process is None and time.monotonic() >= self.due:
            self.start()

    def at_fault(self, said: str) -> bool:
        """Return whether it was of our making: any traceback of ours, or of a worker's those that lead through us."""
        _, found, traceback = said.rpartition("Traceback")
        return bool(found) and ("celery" not in self.command or "/completion_aggregator/" in traceback)

    def children(self) -> list[int]:
        """Return the processes that it forked."""
        if self.process is None:
            return []
        with suppress(OSError):
            text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            return [int(each) for each in text.split()]
        return []

    def kill(self, *, alone: bool = False) -> None:
        """End it as ``kill -9`` does: with all that it forked, or the parent *alone*."""
        if self.process is None or self.process.poll() is not None:
            return
        self.killed = True
        with suppress(ProcessLookupError):
            if alone:
                self.process.kill()
            else:
                os.killpg(self.process.pid, signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """Ask it to end, once."""
        if self.process is not None and not self.killed:
            self.killed = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self, patience: float) -> bool:
        """Ask it to end; return whether it did, in time and with success."""
        if self.process is None:
            return True
        self.ask_to_stop()
        try:
            ended = self.process.wait(patience) == 0
        except subprocess.TimeoutExpired:
            ended = False
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        return ended


def service(name: str, environment: Mapping[str, str], folder: Path, *options: str) -> Member:
    """Be ``completion-aggregator run_aggregator_service --loop 1``."""
    module = "completion_aggregator.platforms.standalone.cli"
    command = (sys.executable, "-m", module, "run_aggregator_service", "--loop", "1", *options)
    return Member(name, command, environment, folder)


def worker(name: str, environment: Mapping[str, str], folder: Path, *, queue: str, processes: int) -> Member:
    """Be a Celery worker of the site, with so many processes."""
    app = "completion_aggregator.platforms.standalone.celery"
    options = ("worker", "--concurrency", str(processes), "-Q", queue, "-n", f"{name}@load", "-l", "INFO")
    return Member(name, (sys.executable, "-m", "celery", "-A", app, *options), environment, folder)


def person(name: str, environment: Mapping[str, str], folder: Path, *options: str) -> Member:
    """Be a web process with requests, or an author."""
    return Member(name, (sys.executable, "-m", "tests.load.people", *options), environment, folder)
