"""The processes that read the bus: one for each topic, started again when it ends."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

from completion_aggregator.platforms.standalone import service

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
#: Seconds after which a process counts as having worked.
LONG_ENOUGH: Final = 60.0


class Keeper:
    """Keep a command running until told to stop."""

    def __init__(self, name: str, *arguments: str) -> None:
        # Run as the service is: it ends when we do, however that is.
        self._command: Sequence[str] = (sys.executable, "-m", service.MODULE, *arguments)
        self._name = name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keeper-{name}", daemon=True)

    def start(self) -> None:
        """Start the command."""
        self._thread.start()

    def stop(self) -> None:
        """End the command, and return when it has ended."""
        self._stopped.set()
        self._thread.join()

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            started = time.monotonic()
            with subprocess.Popen(  # noqa: S603  (our own command)
                self._command, start_new_session=True, stdin=subprocess.PIPE
            ) as process:
                self._watch(process)
            if self._stopped.is_set():
                return
            pause = FIRST_PAUSE if time.monotonic() - started >= LONG_ENOUGH else pause
            log.error("%s ended status=%s, starts again in %d s", self._name, process.returncode, pause)
            self._stopped.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            if self._stopped.wait(0.2):
                service.end(process)
                return
