"""What no LMS has: counters of its side effects, switches between its releases, and a clock to set.

The counters: ``selection_writes``, ``tag_writes``, ``cohort_writes``, ``events``, and how often ``get_course_blocks``,
``get_course_in_cache`` and a collection (``collections``) ran. A test of something that must write nothing asks
``written(...)``.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

WRITES = ("selection_writes", "tag_writes", "cohort_writes", "events")

counts: Counter[str] = Counter()
#: Every event that was emitted, as (name, data).
events: list[tuple[str, dict[str, Any]]] = []

_DEFAULTS: dict[str, Any] = {
    # Releases before the change of 2026: item banks other than library_content keep all their children.
    "only_library_content_is_filtered": False,
    # As in every release, a block that is passed over is never "visited", and so a block that has it among its parents
    # is never asked by a filter. True: as if it were.
    "skipped_blocks_count_as_visited": False,
    # Whether a superuser is staff of the site without the flag for it: releases differ.
    "superusers_are_global_staff": False,
}
switches: dict[str, Any] = dict(_DEFAULTS)
_moment: datetime | None = None


def count(name: str, times: int = 1) -> None:
    """Add to a counter."""
    counts[name] += times


def emit(name: str, data: dict[str, Any]) -> None:
    """Emit a tracking event, as the LMS does, and count it."""
    from eventtracking import tracker

    counts["events"] += 1
    events.append((name, data))
    tracker.emit(name, data)


def reset() -> None:
    """Set every counter to zero, every switch to its default, the clock right, and forget every course."""
    from xmodule.modulestore.django import SignalHandler, modulestore

    global _moment  # noqa: PLW0603 (one clock for all)
    modulestore().clear()
    for signal in SignalHandler.all_signals():
        signal.enable()
    counts.clear()
    events.clear()
    switches.clear()
    switches.update(_DEFAULTS)
    _moment = None


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count what happens inside: the counter yielded is complete once the block is left."""
    before = Counter(counts)
    happened: Counter[str] = Counter()
    try:
        yield happened
    finally:
        happened.update(counts - before)


def written(happened: Counter[str]) -> dict[str, int]:
    """Return the counters of writes and events that are not zero."""
    return {name: happened[name] for name in WRITES if happened[name]}


@contextmanager
def switched(**values: Any) -> Iterator[None]:
    """Set switches for a while."""
    before = dict(switches)
    switches.update(values)
    try:
        yield
    finally:
        switches.clear()
        switches.update(before)


def now() -> datetime:
    """Return the moment that the LMS believes it is."""
    return _moment or datetime.now(UTC)


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Set the clock of the LMS for a while."""
    global _moment  # noqa: PLW0603 (one clock for all)
    before, _moment = _moment, moment
    try:
        yield
    finally:
        _moment = before
