"""Processes that are killed at a named point of a replacement, or of an erasure in ClickHouse."""

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context

import pytest

from completion_aggregator.tracking import replacement
from completion_aggregator.tracking.clickhouse import erasing

POINTS = ("parts written", "parts moved", "ledger committed")


def killed_at(point: str, nth: int, work: Callable[..., object], *values: object) -> None:
    """Run *work* in a process of its own, which is killed when it comes to a point for the nth time."""
    process = get_context("spawn").Process(target=_until, args=(point, nth, work, values))
    process.start()
    process.join()
    if process.exitcode != -signal.SIGKILL:
        pytest.fail(f"never came to {point!r}, ended with {process.exitcode}")


def _until(point: str, nth: int, work: Callable[..., object], values: tuple[object, ...]) -> None:
    count = 0

    def reached(point: str, wanted: str = point) -> None:
        nonlocal count
        count += point == wanted
        if count == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    replacement.reached = erasing.reached = reached
    work(*values)
