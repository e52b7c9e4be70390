"""The door of tracking: the events of a store, in order and in batches, for whoever follows them; and forgetting.

Everything that is loaded stands in one order: by load, then time, then event id. What a load brought becomes visible
all at once, and later loads come behind it, however old their events are. So a ``Position`` says exactly what was read,
and whoever keeps that of the last batch goes on behind it: no event is missed, none comes twice, also while logs are
loaded and parts are merged. Keep it in the transaction in which you keep what you made of the batch.

All functions take the store of the site unless they are given another one (``store_in``). They need the extra
``tracking``, and raise ``NotInstalled`` without it; importing this module does not. They raise ``NoStore`` where there
is none.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from completion_aggregator.tracking import site, tables
from completion_aggregator.tracking.errors import DamagedStore, NoStore, StoreInUse, TrackingError
from completion_aggregator.tracking.positions import InvalidPosition, Position

if TYPE_CHECKING:
    import pyarrow as pa

    from completion_aggregator.tracking.reader import Wanted
    from completion_aggregator.tracking.store import Store as Store  # noqa: PLC0414 (for annotations of others)

__all__ = [
    "Completion",
    "CompletionBatch",
    "DamagedStore",
    "Event",
    "EventBatch",
    "Forgotten",
    "InvalidPosition",
    "InvalidRequest",
    "NoStore",
    "NotInstalled",
    "Position",
    "Status",
    "StoreInUse",
    "TrackingError",
    "completions",
    "events",
    "forget",
    "latest_position",
    "load_id",
    "site_store",
    "status",
    "store_in",
]

COMPLETION_CHANGED: Final = "edx.completion.block_completion.changed"
TABLES: Final = ("event", *(table.name for table in tables.TYPED))
_SHARED: Final = ("load", "time", "event_id", "person", "course", "name")


class NotInstalled(TrackingError):
    """The libraries of the extra ``tracking`` are missing."""


class InvalidRequest(TrackingError):
    """What was asked for is nothing that there is; the message says what there is."""


class Event(NamedTuple):
    """An event; ``fields``: the other columns of the table that was asked for.

    ``person`` is the pseudonym of the learner, None where nobody is named. ``time`` is in UTC.
    """

    load: int
    time: datetime
    event_id: UUID
    person: UUID | None
    course: str | None
    name: str
    fields: Mapping[str, Any]

    @property
    def position(self) -> Position:
        """The place behind this event."""
        return Position(self.load, self.time, self.event_id)


class Completion(NamedTuple):
    """That a learner's completion of a block changed.

    ``completion`` is from 0 to 1 where the event is as it should be: it is handed on as written, and None where it is
    no number. ``course`` is a course key, ``block`` a usage key. ``time`` is in UTC; where the event's own was missing
    or cannot be right, it is the beginning of the log's day.
    """

    user_id: int | None
    username: str | None
    course: str | None
    block: str | None
    completion: float | None
    time: datetime


@dataclass(frozen=True)
class EventBatch:
    """Some events, and the place behind them. ``arrow`` has a column for each field, and costs a tenth of ``rows``.

    The last batch of a call may be empty: its position is behind all that was looked through in vain.
    """

    position: Position
    arrow: "pa.Table"

    @cached_property
    def rows(self) -> tuple[Event, ...]:
        """The events as records. Of tables that have several rows for an event, each row is one."""
        names = [name for name in self.arrow.column_names if name not in _SHARED]
        shared = [self.arrow[name].to_pylist() for name in _SHARED]
        own = zip(*(self.arrow[name].to_pylist() for name in names), strict=True)
        fields = [dict(zip(names, values, strict=True)) for values in own]
        return tuple(map(Event._make, zip(*shared, fields, strict=True)))


@dataclass(frozen=True, slots=True)
class CompletionBatch:
    """Some completions, and the place behind them. The last batch of a call may be empty, as of events."""

    position: Position
    rows: tuple[Completion, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What a store holds: ``lines`` - ``blank`` + ``joined`` = ``events`` + ``copies`` + ``quarantined``.

    ``position`` is behind all of it, None where nothing is loaded. ``earliest`` and ``latest``: times of events.
    """

    loads: int
    sources: int
    bytes: int
    lines: int
    blank: int
    joined: int
    events: int
    copies: int
    quarantined: int
    repaired: int
    earliest: datetime | None
    latest: datetime | None
    position: Position | None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What forgetting somebody came to: of ``names`` names, in ``parts`` files and ``tables`` tables of the platform.

    ``events``: that stand without a person now. ``shared``: names that were left, since others have them too.
    ``is_known``: False where the store never saw any of the numbers and names that were given.
    """

    events: int
    names: int
    shared: int
    parts: int
    tables: int
    is_known: bool


def site_store() -> "Store":
    """Return the store of the site's settings ``COMPLETION_AGGREGATOR_TRACKING_*``, whether or not it exists."""
    _part("store")  # says what is not installed
    return site.site_store()


def store_in(folder: Path) -> "Store":
    """Return the store of a folder, with its private one and its keys beside it, whether or not it exists."""
    _part("store")
    return site.store_in(folder)


def events(
    *,
    course: str | None = None,
    names: Collection[str] = (),
    families: Collection[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    after: Position | None = None,
    batch_size: int = 10_000,
    table: str = "event",
    store: "Store | None" = None,
) -> Iterator[EventBatch]:
    """Return the events behind *after*, in order, in batches of about *batch_size* rows.

    What is given narrows it: a course key, some names, some families, times from *since* on and before *until*, both
    with an offset. *table*: one of ``TABLES``; of a typed one come the events that have rows in it, with its columns.
    All rows of an event are in one batch. What is loaded after the call began is left to the next one.

    Reads only parts of the days and loads that are asked for, at most some hundred thousand events at once, sorted by
    an engine that keeps to 512 MB. Raises InvalidRequest, InvalidPosition for a position of another store; while it is
    read DamagedStore.
    """
    if table not in TABLES:
        raise InvalidRequest(f"there is no table {table!r} of events; there are {', '.join(TABLES)}")
    wanted: Wanted = _part("reader").Wanted(table, course, tuple(names), tuple(families), _aware(since), _aware(until))
    return (EventBatch(*found) for found in _read(wanted, after, batch_size, store))


def completions(
    *,
    after: Position | None = None,
    course: str | None = None,
    batch_size: int = 10_000,
    store: "Store | None" = None,
) -> Iterator[CompletionBatch]:
    """Return the completions of blocks behind *after*, in order, in batches, with the learners' numbers and names.

    Those come from the private store: the call is written to its log of accesses. A name is the one that the learner
    was last seen under; of somebody who was forgotten there is none. Position, size and errors are those of ``events``.
    """
    wanted: Wanted = _part("reader").Wanted("progress", course, (COMPLETION_CHANGED,), is_named=True)
    return (_completions(*found) for found in _read(wanted, after, batch_size, store))


def latest_position(store: "Store | None" = None) -> Position | None:
    """Return the place behind all that is loaded; None: nothing is. Who begins there gets what is loaded later."""
    return status(store).position


def load_id(position: Position, store: "Store | None" = None) -> str:
    """Return what tells the load of a position from all loads of any store, in 50 characters at most.

    Whoever keeps it with the position notices that the store is another one by now, or an old copy of it. Raises
    InvalidPosition where there is no such load.
    """
    with (store or site_store()).reading() as ledger:
        found: str = _part("reader").load_id(ledger, position.load)
    return found


def status(store: "Store | None" = None) -> Status:
    """Return what the store holds, by its ledger: quick at any size."""
    reader = _part("reader")
    with (store or site_store()).reading() as ledger:
        found = reader.counts(ledger)
        load = _part("windows").latest_load(ledger)
    times = {name: found[name] and datetime.fromisoformat(found[name]) for name in ("earliest", "latest")}
    return Status(**found | times, position=Position.behind(load) if load else None)


def forget(
    user_id: int | None, usernames: Collection[str] = (), *, dry_run: bool = False, store: "Store | None" = None
) -> Forgotten:
    """Forget somebody for good, known by the LMS's number or by names; logs that are loaded later bring nothing back.

    Again with the same result; what is left in the middle, the next call finishes. It writes parts anew, which may take
    minutes; *dry_run* only tells what there is to do. The private store's log of accesses gets a line, without names.

    Raises NoStore, also without the extra, StoreInUse while another process writes, InvalidRequest where a name is
    several persons', and other TrackingErrors.
    """
    asked = [] if user_id is None else [f"id:{user_id}"]
    asked += [f"name:{name}" for name in dict.fromkeys(usernames) if name.strip()]
    if not asked:
        raise InvalidRequest("whom to forget is said by a number or a name")
    if store is None and not site.has_store():
        raise NoStore(f"there is no store of tracking logs in {site.site_folder()}")
    chosen = store or site_store()
    with chosen.reading():
        pass
    _part("views").log_access(chosen, f"forget{', to see what there is,' if dry_run else ''} by the door")
    try:
        found = _part("forgetting").forget(chosen, asked, dry_run=dry_run)
    except _part("identity").SeveralPersons as error:
        raise InvalidRequest(str(error)) from error
    except (import_module("duckdb").OperationalError, sqlite3.OperationalError) as error:
        # A full disk or too little memory: nothing was changed, and it may work another time.
        raise TrackingError(f"{chosen.folder}: {error}") from error
    return Forgotten(
        found.events, found.names, found.shared, found.parts, found.tables, is_known=found.unseen < len(asked)
    )


def _read(
    wanted: "Wanted", after: Position | None, batch_size: int, store: "Store | None"
) -> "Iterator[tuple[Position, pa.Table]]":
    if batch_size < 1:
        raise InvalidRequest(f"a batch has 1 row or more, not {batch_size}")
    chosen = store or site_store()
    reader = _part("reader")
    with chosen.reading() as ledger:  # what is wrong is said now, not when the first batch is taken
        reader.check(ledger, after, chosen)
    found: Iterator[tuple[Position, pa.Table]] = reader.read(chosen, wanted, after, batch_size)
    return found


def _completions(position: Position, table: "pa.Table") -> CompletionBatch:
    names = ("user_id", "username", "course", "block", "ratio", "time")
    columns = (table[name].to_pylist() for name in names)
    return CompletionBatch(position, tuple(map(Completion._make, zip(*columns, strict=True))))


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.utcoffset() is None:
        raise InvalidRequest(f"{moment.isoformat()} has no offset from UTC")
    return moment


def _part(name: str) -> ModuleType:
    """Return a module of this room that needs the extra."""
    try:
        return import_module(f"completion_aggregator.tracking.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("completion_aggregator"):
            raise
        raise NotInstalled(
            f"tracking needs libraries that are not installed ({error.name}):"
            " pip install 'completion-aggregator[tracking]'"
        ) from error
