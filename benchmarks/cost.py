"""What a piece of work costs this process: CPU, time, statements, and memory as Linux counts it."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

from django.db import connection

Result = dict[str, Any]

_STATUS: Final = Path("/proc/self/status")


@contextmanager
def measured(result: Result) -> Iterator[None]:
    """Add CPU and wall seconds, statements, peak memory and by how much it grew (on Linux) of the body to *result*."""
    statements = 0

    def count(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*arguments)

    connection.ensure_connection()
    # What the benchmark itself has made is none of the work's: to look through it costs as much as small works do.
    gc.collect()
    gc.freeze()
    forget_peak()
    before = resident_mb()
    cpu, wall = process_time(), perf_counter()
    with connection.execute_wrapper(count):
        yield
    spent = {"cpu_s": process_time() - cpu, "wall_s": perf_counter() - wall}
    gc.unfreeze()
    result |= spent | {"queries": statements}
    peak = peak_mb()
    if peak is not None and before is not None:
        result |= {"peak_rss_mb": peak, "memory_mb": peak - before}


def forget_peak() -> None:
    """Let the peak begin anew."""
    if _STATUS.exists():
        _STATUS.with_name("clear_refs").write_text("5")


def peak_mb() -> float | None:
    """Return the most that was resident since the peak was forgotten; None where Linux does not tell."""
    return _read("VmHWM:")


def resident_mb() -> float | None:
    """Return what is resident now; None where Linux does not tell."""
    return _read("VmRSS:")


def _read(name: str) -> float | None:
    return int(_STATUS.read_text().partition(name)[2].split()[0]) / 1024 if _STATUS.exists() else None
