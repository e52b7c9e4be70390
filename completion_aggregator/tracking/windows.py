"""What is to be read, and in which pieces, for events in the order of their loads: by the ledger alone.

Loads are read in windows. A window ends where no part reaches over: up to there the parts hold exactly as many events
as the loads brought. Small parts that were merged into one are then read together, once if they fit into a window.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from completion_aggregator.tracking.ledger import Ledger
from completion_aggregator.tracking.positions import Position

#: Loads that are smaller are read together, up to so many events.
WINDOW: Final = 250_000

_LOADS: Final = """
SELECT l.load, l.events, coalesce(sum(p.rows), 0) AS rows
FROM load AS l LEFT JOIN part AS p ON p.load = l.load AND p.name = 'event' GROUP BY l.load ORDER BY l.load
"""
_PARTS: Final = "SELECT path, day, load, rows FROM part WHERE name = ? AND load >= ? AND day BETWEEN ? AND ?"


@dataclass(frozen=True, slots=True)
class Part:
    """A Parquet file that is to be read."""

    path: str
    day: int
    load: int
    rows: int


@dataclass(frozen=True, slots=True)
class Window:
    """Loads that are read at one go, from the first to the last, and the parts that may hold something of them."""

    first: int
    last: int
    events: tuple[Part, ...] = ()
    typed: tuple[Part, ...] = ()
    #: Whether the parts hold what other windows read, too.
    is_piece: bool = False


@dataclass(slots=True)
class _Segment:
    """Loads up to a place that no part reaches over: numbers, each with how many events it brought."""

    loads: list[tuple[int, int]] = field(default_factory=list)
    #: The number of the last one, also where the list ends before it.
    end: int = 0

    @property
    def count(self) -> int:
        return sum(events for _, events in self.loads)


def latest_load(ledger: Ledger) -> int:
    """Return the number of the load that was committed last; 0: none."""
    return ledger.next_load() - 1


def windows(
    ledger: Ledger, table: str, days: tuple[int, int], after: Position | None, *, last: int | None = None
) -> list[Window]:
    """Return what is to be read for the events of a table behind a place, on these days; no file is opened."""
    start = 0 if after is None else after.load + after.is_behind_load
    with snapshot(ledger):
        segments = _segments(ledger, start, latest_load(ledger) if last is None else last)
        if not segments:
            return []
        begin = segments[0].loads[0][0]
        events = _by_load(ledger, "event", begin, days)
        typed = [] if table == "event" else _by_load(ledger, table, begin, days)
    found = []
    for group in _grouped(segments):
        low, high = group[0].loads[0][0], group[-1].end
        parts = tuple(part for part in events if low <= part.load <= high)
        # Those of typed tables are merged on their own: a later part may hold what these loads brought.
        beside = of_days((part for part in typed if part.load >= low), parts)
        pieces = list(_pieces(group))
        found += [
            Window(max(first, start), last, parts, beside, len(pieces) > 1) for first, last in pieces if last >= start
        ]
    return found


@contextmanager
def snapshot(ledger: Ledger) -> Iterator[None]:
    """Let all that is asked be of one moment: else parts could move from where was not looked yet to where was."""
    ledger.rows("BEGIN")
    try:
        yield
    finally:
        ledger.rows("COMMIT")


def _segments(ledger: Ledger, start: int, last: int) -> list[_Segment]:
    """Return the loads from the segment of *start* on, up to *last*, by segments."""
    loads = ledger.rows(_LOADS)
    brought = accumulate(row["events"] for row in loads)
    held = accumulate(row["rows"] for row in loads)
    found = [_Segment()]
    for row, is_closed in zip(loads, [a == b for a, b in zip(brought, held, strict=True)], strict=True):
        found[-1].loads.append((row["load"], row["events"]))
        if is_closed:
            found[-1].end = row["load"]
            found.append(_Segment())
    if found[-1].loads:
        found[-1].end = found[-1].loads[-1][0]
    wanted = [segment for segment in found if segment.loads and segment.loads[-1][0] >= start]
    for segment in wanted:
        # Loads that came after the call began are for the next one, but a part with some of them may hold older ones.
        segment.loads = [load for load in segment.loads if load[0] <= last]
    return [segment for segment in wanted if segment.loads]


def _grouped(segments: list[_Segment]) -> Iterator[list[_Segment]]:
    """Yield small segments together."""
    group: list[_Segment] = []
    for segment in segments:
        if group and sum(each.count for each in group) + segment.count > WINDOW:
            yield group
            group = []
        group.append(segment)
    if group:
        yield group


def _pieces(group: list[_Segment]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last load of each window of a group: one that is too large is read several times."""
    loads = [load for segment in group for load in segment.loads]
    first, count = loads[0][0], 0
    for number, (load, events) in enumerate(loads):
        if count and count + events > WINDOW:
            yield first, loads[number - 1][0]
            first, count = load, 0
        count += events
    yield first, loads[-1][0]


def of_days(parts: Iterable[Part], others: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts of days that the others have, too."""
    days = {part.day for part in others}
    return tuple(part for part in parts if part.day in days)


def _by_load(ledger: Ledger, name: str, begin: int, days: tuple[int, int]) -> list[Part]:
    found = [Part(*row) for row in ledger.rows(_PARTS, name, begin, *days)]
    return sorted(found, key=lambda part: (part.load, part.day, part.path))
