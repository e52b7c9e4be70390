"""How a long command is stopped: after the batch that it is at."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


@contextmanager
def stopped_by_signals(stop: Event) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the work after the batch it is at."""

    def end(signum: int, frame: FrameType | None) -> None:
        stop.set()

    try:
        before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: whoever runs us here has signals of its own
        yield
        return
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
