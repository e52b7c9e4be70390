"""Load logs into a store: what is new in the files named, exactly once, whatever their names."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from completion_aggregator import __version__
from completion_aggregator.tracking import parts, replacement, tables
from completion_aggregator.tracking.clerk import Advance, Clerk, Summary
from completion_aggregator.tracking.destination import Destination, Folders, require_here
from completion_aggregator.tracking.ledger import Ledger, Run
from completion_aggregator.tracking.load import Settings
from completion_aggregator.tracking.reading import Reader, Task
from completion_aggregator.tracking.sources import Source
from completion_aggregator.tracking.store import Store

#: A file that nobody wrote to for so long is whole, even if its last line has no end.
SETTLED_SECONDS: Final = 3600
_DATE: Final = re.compile(r"(?<!\d)(20[0-3]\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load has before it: files that are new or changed, and how many are known."""

    tasks: list[Task] = field(default_factory=list)
    bytes: int = 0
    known: int = 0
    changed: int = 0


def plan(ledger: Ledger, sources: Iterable[Source], *, now: datetime) -> Plan:
    """Say which of the files are to be read. Those that are as they were when they were last read are not."""
    tasks, known, changed = [], 0, 0
    # Places that are named may lie in one another.
    for source in {source.url: source for source in sources}.values():
        seen = ledger.at_place(source.url)
        if seen and seen[0] == source.stamp:
            known += 1
            continue
        changed += bool(seen)
        tasks.append(Task(source, log_day_of(source.name), _is_settled(source, now)))
    return Plan(tasks, sum(task.source.size for task in tasks), known, changed)


def load(
    store: Store,
    sources: Iterable[Source],
    settings: Settings,
    advance: Advance,
    *,
    workers: int = 1,
    destination: Destination | None = None,
) -> Summary:
    """Load what is new in the files, into the store's folders if no other *destination* is given.

    Raises StoreInUse, NoStore, OSError where nothing more can be written.
    """
    destination = destination or Folders(store.roots)
    with store.writing() as ledger:
        destination.prepare(ledger)
        _sweep(store, ledger)
        settings = replace(settings, tombstones=ledger.tombstones())
        planned = plan(ledger, sources, now=datetime.now(UTC))
        run = Run(uuid.uuid4().hex, __version__, settings.keys.key_id)
        clerk = Clerk(ledger, destination, run, advance)
        clerk.summary.files = len(planned.tasks) + planned.known
        clerk.summary.known = planned.known
        tasks = planned.tasks
        while tasks:
            later = _read(clerk, settings, tasks, workers)
            clerk.forget_heads()
            tasks = later
        return clerk.summary


def sweep(store: Store, ledger: Ledger) -> int:
    """Finish what was killed, remove what is due and parts that were never committed; return how many of those.

    Raises TrackingError for a store that has its rows elsewhere: what waits there is on its way, loads finish it.
    """
    require_here(ledger)
    return _sweep(store, ledger)


def _sweep(store: Store, ledger: Ledger) -> int:
    waiting = replacement.settle(store, ledger)
    names = list(tables.TABLES)
    known = {part.path for name in names for part in ledger.parts(name)} | waiting
    return parts.sweep(store.roots, known, names)


def log_day_of(name: str) -> date | None:
    """Return the date in the name of a log, such as ``tracking.log-20240201.gz``."""
    for found in reversed(list(_DATE.finditer(name))):
        try:
            return date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            continue
    return None


def _read(clerk: Clerk, settings: Settings, tasks: list[Task], workers: int) -> list[Task]:
    if workers == 1 or len(tasks) == 1:
        return Reader(clerk, settings).read(tasks)
    from completion_aggregator.tracking import workers as processes

    return processes.read(clerk, settings, tasks, workers)


def _is_settled(source: Source, now: datetime) -> bool:
    if source.system is not None:
        return bool(source.etag)  # what has one does not grow
    try:
        modified = Path(source.path or source.url).stat().st_mtime
    except OSError:
        return False  # whoever reads it will say why
    return now.timestamp() - modified > SETTLED_SECONDS
