"""What a refresh came to."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.tracking.refresh.source import BATCH_ROWS, Row, batch_of
from completion_aggregator.tracking.refresh.target import Target
from completion_aggregator.tracking.schemas import schema_of
from completion_aggregator.tracking.tables import Table


@dataclass(frozen=True, slots=True)
class RefreshSummary:
    """One refresh: the rows of each table that it wrote, what there is to say, and the error that ended it."""

    name: str
    started: datetime
    ended: datetime
    rows: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "refresh": self.name,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat(),
            "rows": dict(self.rows),
            "notes": list(self.notes),
            "error": self.error or None,
        }


class Account:
    """Writes tables, and keeps account of it."""

    def __init__(self, name: str, target: Target) -> None:
        self._name, self._target = name, target
        self._started = now()
        self._rows: dict[str, int] = {}
        #: What happened, how often; the words of a note have the place ``{}`` for the number.
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []

    def write(self, table: Table, rows: Iterable[Row], *, at_once: int | None = None) -> None:
        """Put rows in the place of a table; ``at_once``: how many are in memory, fewer where they are large."""
        batches = (batch_of(table, some) for some in _some_at_a_time(rows, at_once or BATCH_ROWS))
        self.write_batches(table, batches)

    def write_batches(self, table: Table, batches: Iterable[pa.RecordBatch]) -> None:
        """Put batches in the place of a table."""
        written = self._target.write(table.name, schema_of(table), batches, private=table.is_private)
        self._rows[table.name] = written

    def close(self) -> RefreshSummary:
        """Return the summary."""
        notes = (*self.notes, *(words.format(f"{count:,}") for words, count in self.counts.items()))
        return RefreshSummary(self._name, self._started, now(), self._rows, notes)


def refresh_all(refreshes: Mapping[str, Callable[[], RefreshSummary]]) -> list[RefreshSummary]:
    """Run each in turn; one that fails hides none of the others, and its summary says why it did."""
    return [_refreshed(name, refresh) for name, refresh in refreshes.items()]


def _refreshed(name: str, refresh: Callable[[], RefreshSummary]) -> RefreshSummary:
    started = now()
    try:
        return refresh()
    except (CompletionAggregatorError, OSError, DatabaseError, pa.ArrowException, ImproperlyConfigured) as error:
        words = str(error) or type(error).__name__
        return RefreshSummary(name, started, now(), error=words)


def _some_at_a_time(rows: Iterable[Row], at_once: int) -> Iterator[list[Row]]:
    some: list[Row] = []
    for row in rows:
        some.append(row)
        if len(some) == at_once:
            yield some
            some = []
    if some:
        yield some


def now() -> datetime:
    """Return the moment."""
    return datetime.now(UTC)
