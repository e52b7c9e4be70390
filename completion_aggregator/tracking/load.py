"""One load: batches of lines become columns, columns become parts, and counts go with the files they came from."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from completion_aggregator.tracking.columns import Columns, Days, Flags, Segment, columns_of
from completion_aggregator.tracking.countries import Countries
from completion_aggregator.tracking.ledger import Delivery, Progress
from completion_aggregator.tracking.parts import PartsWriter, Roots
from completion_aggregator.tracking.person import PeopleSeen
from completion_aggregator.tracking.pseudonyms import Keys, Pseudonyms
from completion_aggregator.tracking.seen import Ids
from completion_aggregator.tracking.tombstones import Tombstones
from completion_aggregator.tracking.transform import Transform

_TALLIED: Final = ("lines", "blank", "joined", "repaired")


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides how lines become rows."""

    roots: Roots
    keys: Keys
    countries: Path | None = None
    keeps_text: bool = False
    keeps_raw: bool = False
    legacy_ids: bool = False
    #: Whoever was forgotten; ``loading`` reads them from the ledger.
    tombstones: frozenset[bytes] = frozenset()


class Judge(Protocol):
    """Hands out numbers of loads, and knows which events were met before."""

    def begin(self) -> int:
        """Return the number of a new load."""

    def judge(self, load: int, ids: Ids, own_days: Days, days: Days) -> Flags:
        """Tell which events were met before."""


def transform_for(settings: Settings) -> Transform:
    """Return the loop for these settings."""
    pseudonyms = Pseudonyms(settings.keys)
    return Transform(
        pseudonyms,
        Countries(settings.countries),
        keeps_text=settings.keeps_text,
        keeps_raw=settings.keeps_raw,
        tombstones=Tombstones(settings.tombstones, pseudonyms) if settings.tombstones else None,
    )


class LoadWriter:
    """Writes the load that *transform* is filled for."""

    def __init__(self, judge: Judge, settings: Settings, transform: Transform) -> None:
        self._judge, self._transform = judge, transform
        self.load = judge.begin()
        self.bytes = self.batch_bytes = 0
        self._began, self._clock = datetime.now(UTC), time.perf_counter()
        self._parts = PartsWriter(settings.roots, self.load)
        self._people = PeopleSeen(legacy_ids=settings.legacy_ids)
        self._delivery = Delivery(self.load, self._parts.aside, self._began)
        #: The files of this load, by source; segments of the batch refer to them.
        self._sources: dict[int, Progress] = {}
        self._segments: list[Segment] = []

    def has(self, progress: Progress) -> bool:
        """Tell whether some of the file is in this load."""
        return self._sources.get(progress.source) is progress

    def enter(self, progress: Progress) -> None:
        """Let the lines that follow count for this file."""
        self._sources[progress.source] = progress
        if not self._segments or self._segments[-1].source != progress.source:
            self._leave()
            self._begin_segment(progress)

    def add(self, size: int) -> None:
        """Count bytes that were taken."""
        self.bytes += size
        self.batch_bytes += size
        self._sources[self._segments[-1].source].bytes += size

    def flush(self) -> None:
        """Write the batch, without the copies in it."""
        transform, segments = self._transform, self._segments
        if not segments:
            return
        self._leave()
        columns = columns_of(transform, segments, self.load)
        copies = self._judge.judge(self.load, columns.ids, columns.own_days, columns.days)
        for name, day, rows in columns.pieces(copies):
            self._parts.write(name, day, rows)
        self._people.add(columns.people(copies))
        self._tally(columns, copies)
        self._delivery.fields.update(transform.fields)
        transform.fresh()
        self.batch_bytes = 0
        last = self._sources[segments[-1].source]
        self._segments = []
        self._begin_segment(last)

    def finish(self) -> Delivery:
        """Write what is left, and return what is to be committed."""
        self.flush()
        for name, day, rows in self._people.pieces():
            self._parts.write(name, day, rows)
        self._delivery.parts = self._parts.finish()
        self._delivery.sources = list(self._sources.values())
        self._delivery.seconds = time.perf_counter() - self._clock
        return self._delivery

    def _begin_segment(self, progress: Progress) -> None:
        transform = self._transform
        log_day = date.fromisoformat(progress.log_day) if progress.log_day else None
        rows, refused = len(transform.events), len(transform.quarantine)
        segment = Segment(progress.source, log_day, progress.is_dated, rows, refused)
        for name in _TALLIED:
            setattr(segment, name, -getattr(transform, name))
        self._segments.append(segment)

    def _leave(self) -> None:
        """End the last segment: what was counted since it began is its own."""
        if self._segments:
            for name in _TALLIED:
                setattr(self._segments[-1], name, getattr(self._segments[-1], name) + getattr(self._transform, name))

    def _tally(self, columns: Columns, copies: Flags) -> None:
        segments = columns.segments
        row_ends = [*(each.first_row for each in segments[1:]), len(copies)]
        refused_ends = [*(each.first_refused for each in segments[1:]), len(columns.quarantine)]
        for segment, row_end, refused_end in zip(segments, row_ends, refused_ends, strict=True):
            progress = self._sources[segment.source]
            rows = slice(segment.first_row, row_end)
            met = int(copies[rows].sum())
            progress.counts.update({name: getattr(segment, name) for name in _TALLIED})
            progress.counts["copies"] += met
            progress.counts["events"] += row_end - segment.first_row - met
            progress.counts["quarantined"] += refused_end - segment.first_refused
            if segment.log_day:
                progress.log_day = segment.log_day.isoformat()
            _widen(progress, columns.times[rows])


def _widen(progress: Progress, times: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
    if len(times):
        first, last = (
            datetime.fromtimestamp(0, UTC).__add__(np.timedelta64(int(each), "us").item()).isoformat()
            for each in (times.min(), times.max())
        )
        progress.first = min(progress.first or first, first)
        progress.last = max(progress.last or last, last)
