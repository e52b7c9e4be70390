"""The one who commits: hands out numbers, knows what was met, and moves loads into the store in their order."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from completion_aggregator.tracking import ledger as ledgers
from completion_aggregator.tracking.columns import Days, Flags
from completion_aggregator.tracking.destination import Destination, Handover
from completion_aggregator.tracking.ledger import Delivery, Known, Ledger, Run
from completion_aggregator.tracking.reading import Task
from completion_aggregator.tracking.seen import Ids, Seen


@dataclass(slots=True)
class Summary:
    """What a run did. ``failures``: file and why it could not be read, or not to its end."""

    files: int = 0
    known: int = 0
    bytes: int = 0
    loads: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)


#: Told after each step: bytes of files, lines, lines refused.
Advance = Callable[[int, int, int], None]


def reached(point: str) -> None:
    """Do nothing. Tests of crashes let a process die at each of these points."""


class Clerk:
    """The desk of the process that writes the ledger."""

    def __init__(self, ledger: Ledger, destination: Destination, run: Run, advance: Advance) -> None:
        self._ledger, self._destination, self._run, self._advance = ledger, destination, run, advance
        self._next_load, self._next_source = ledger.next_load(), ledger.next_source()
        self._to_commit = self._next_load
        self._waiting: dict[int, Delivery] = {}
        self._heads: dict[bytes, str] = {}
        self._seen = Seen(self._stored_ids, ledger.misdated())
        self.summary = Summary()

    def begin(self) -> int:
        """Return the number of a new load."""
        self._next_load += 1
        return self._next_load - 1

    def number_source(self) -> int:
        """Return the number of a content that is new."""
        self._next_source += 1
        return self._next_source - 1

    def packed_alike(self, packed: bytes) -> int | None:
        """Return the source of a packed file with these bytes that was read before."""
        return self._ledger.packed_alike(packed)

    def known(self, head: bytes, url: str) -> list[Known] | None:
        """Return the contents that begin with this line; None: one is being read that is not committed yet."""
        if self._heads.setdefault(head, url) != url:
            return None
        return self._ledger.with_head(head)

    def saw(self, task: Task, packed: bytes | None, source: int) -> None:
        """Note that the file holds what is loaded already."""
        self._ledger.saw(task.source.url, task.source.stamp, packed, source)
        self.summary.known += 1

    def judge(self, load: int, ids: Ids, own_days: Days, days: Days) -> Flags:
        """Tell which events were met before."""
        return self._seen.judge(load, ids, own_days, days)

    def deliver(self, delivery: Delivery) -> None:
        """Commit a load when it is its turn, and those that waited for it."""
        self._waiting[delivery.load] = delivery
        while self._to_commit in self._waiting:
            self._commit(self._waiting.pop(self._to_commit))
            self._to_commit += 1

    def failed(self, task: Task, reason: str) -> None:
        """Take note of a file that could not be read, or not to its end."""
        self.summary.failures.append((task.source.url, reason))

    def advance(self, packed_bytes: int, lines: int, refused: int) -> None:
        """Show how far it is."""
        self._advance(packed_bytes, lines, refused)

    def forget_heads(self) -> None:
        """Let the files be read that waited for others: those are committed now."""
        self._heads.clear()

    def _commit(self, delivery: Delivery) -> None:
        handover = Handover(self._run, delivery, self._seen.misdated(delivery.load))
        reached("parts written")
        delivery.parts = self._destination.publish(self._ledger, handover)
        reached("parts moved")
        ledgers.commit(self._ledger, self._run, delivery, handover.misdated)
        reached("ledger committed")
        self._destination.committed(self._ledger, delivery)
        self._seen.commit(delivery.load)
        self._count(delivery)

    def _count(self, delivery: Delivery) -> None:
        summary = self.summary
        summary.loads += 1
        for each in delivery.sources:
            summary.counts.update(each.counts)
            summary.bytes += each.bytes
            if each.damage:
                summary.damaged.append((each.url, each.damage))

    def _stored_ids(self, day: int) -> Iterator[Ids]:
        return self._destination.stored_ids(self._ledger, day)
