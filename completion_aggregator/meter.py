"""How far a long run is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

SECONDS_BETWEEN_LINES = 10.0


class Meter(Protocol):
    """Say how much is done, in any unit, and what it comes to."""

    def show(self, done: int, text: str) -> None:
        """Show it; cheap enough to call after each chunk."""


@contextmanager
def meter(title: str, total: int | None, out: TextIO) -> Iterator[Meter]:
    """Provide a meter. ``total`` is None when nobody knows, as for standard input."""
    if not out.isatty():
        yield Lines(title, total, out)
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield Lines(title, total, out)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=out), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield Bar(lambda done, text: progress.update(task, completed=done, description=f"{title}: {text}"))


class Bar:
    """A bar that is redrawn."""

    def __init__(self, update: "Update") -> None:
        self._update = update

    def show(self, done: int, text: str) -> None:
        """Redraw the bar."""
        self._update(done, text)


class Update(Protocol):
    """Redraw."""

    def __call__(self, done: int, text: str) -> None:
        """Take what ``Meter.show`` takes."""


class Lines:
    """A line every ten seconds: short runs print none, long ones do not fill a log."""

    def __init__(self, title: str, total: int | None, out: TextIO) -> None:
        self._title, self._total, self._out = title, total, out
        self._last = time.monotonic()

    def show(self, done: int, text: str) -> None:
        """Print a line when it is time for one."""
        if time.monotonic() - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = time.monotonic()
        share = f" ({min(done / self._total, 1):.0%})" if self._total else ""
        print(f"{self._title}: {text}{share}", file=self._out, flush=True)
