"""The process that keeps progress current beside a server."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from completion_aggregator.platforms.standalone import cli

log = logging.getLogger(__name__)

SECONDS_TO_STOP: Final = 15
SECONDS_TO_RESTART: Final = 5
MODULE: Final = "completion_aggregator.platforms.standalone.service"


@contextmanager
def running_service(interval: int) -> Iterator[None]:
    """Keep ``run_aggregator_service --loop`` running until the context ends; it then finishes its batch.

    A process of its own: arithmetic in a thread would make requests wait.
    """
    command = (sys.executable, "-m", MODULE, "run_aggregator_service", "--loop", str(interval))
    keeper = _Keeper(command)
    thread = threading.Thread(target=keeper.keep, name="service-keeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        keeper.stop()
        thread.join()


class _Keeper:
    """Start a command, and again when it ends, until told to stop."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def keep(self) -> None:
        while not self._stopped.is_set():
            # A session of its own: Ctrl-C reaches the server, which stops the service after it.
            # Its standard input is a pipe from us that ends when we do.
            with subprocess.Popen(  # noqa: S603  (our own command)
                self._command, start_new_session=True, stdin=subprocess.PIPE
            ) as process:
                self._watch(process)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            if self._stopped.wait(0.2):
                end(process)
                return
        log.error("service ended status=%s, starts again in %d s", process.returncode, SECONDS_TO_RESTART)
        self._stopped.wait(SECONDS_TO_RESTART)


def end(process: subprocess.Popen[bytes]) -> None:
    """Let a process end, and make it if it does not."""
    process.terminate()
    try:
        process.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_with_server() -> None:
    # Not by way of sys.stdin: its lock would be held when this process exits for another reason.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    # A server that is killed cannot stop us: we see the end of the pipe.
    threading.Thread(target=_end_with_server, daemon=True).start()
    cli.main()
