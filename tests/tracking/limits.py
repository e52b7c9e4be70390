"""What would take for ever fails instead."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest


@contextmanager
def ends(within: int) -> Iterator[None]:
    """Fail what goes on for longer than so many seconds: hundreds of times what it takes where nothing is quadratic."""

    def give_up(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"goes on for more than {within} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(within)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
