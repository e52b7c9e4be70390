"""What goes wrong meanwhile, by seed."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Final

from tests.load import site
from tests.load.brokers import Broker
from tests.load.crew import Member

#: Seconds between two faults, at least and at most.
BETWEEN: Final = (0.5, 2.0)
#: Seconds for which the broker is away.
AWAY: Final = (0.5, 4.0)
#: Seconds that a worker may take until it is up.
STARTING: Final = 12.0
#: The broker is restarted so often in a run of a minute: to start it costs more than all else.
RESTARTS: Final = 3


class Faults:
    """Does one thing after another; ``dropped`` are the connections that were ended."""

    def __init__(self, dice: Random, *, url: str, broker: Broker, crew: Mapping[str, Sequence[Member]]) -> None:
        self.dice, self.url, self.broker, self.crew = dice, url, broker, crew
        self.counts: Counter[str] = Counter()
        self.dropped: set[int] = set()
        self._due = time.monotonic() + dice.uniform(*BETWEEN)
        self._broker_back: float | None = None

    def go_on(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self._broker_back is not None and now >= self._broker_back:
            self.mend()
        if now < self._due:
            return
        self._due = now + self.dice.uniform(*BETWEEN)
        kinds: list[tuple[int, Callable[[], None]]] = [
            (2, self.service), (2, self.worker), (2, self.pool_process), (1, self.parent), (4, self.connection),
            (1 if self.counts["broker restarts"] < RESTARTS and self._broker_back is None else 0, self.restart),
        ]  # fmt: skip
        (fault,) = self.dice.choices([each for _, each in kinds], [weight for weight, _ in kinds])
        fault()

    def mend(self) -> None:
        """Have the broker back."""
        if self._broker_back is not None:
            self._broker_back = None
            self.broker.start()

    def service(self) -> None:
        self.dice.choice(self.crew["services"]).kill()
        self.counts["services killed"] += 1

    def worker(self) -> None:
        self.dice.choice(self.crew["workers"]).kill()
        self.counts["workers killed"] += 1

    def parent(self) -> None:
        """Kill a worker's first process; those that it forked are left alone."""
        self.dice.choice(self.crew["workers"]).kill(alone=True)
        self.counts["workers killed, their processes left"] += 1

    def pool_process(self) -> None:
        worker = self.dice.choice(self.crew["workers"])
        children = worker.children()
        # Celery hangs, half ended, where a process of it is killed before it was up.
        if children and time.monotonic() > worker.started + STARTING:
            worker.excused = True
            kill(self.dice.choice(children))
            self.counts["processes of workers killed"] += 1

    def connection(self) -> None:
        numbers = sorted(site.connections(self.url))
        for number in self.dice.sample(numbers, min(len(numbers), self.dice.randint(1, 4))):
            site.drop_connection(self.url, number)
            self.dropped.add(number)
        self.counts["connections dropped"] = len(self.dropped)

    def restart(self) -> None:
        self.broker.kill()
        self._broker_back = time.monotonic() + self.dice.uniform(*AWAY)
        self.counts["broker restarts"] += 1


def kill(pid: int) -> None:
    """End a process as ``kill -9`` does, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
