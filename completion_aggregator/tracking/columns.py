"""A full batch as Arrow columns: times parsed, days told, rows of copies left out, all for many rows at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from completion_aggregator.tracking import actors, headings, places, tables
from completion_aggregator.tracking.groups import Groups, Rows
from completion_aggregator.tracking.leftovers import with_time
from completion_aggregator.tracking.schemas import TIME, schema_of
from completion_aggregator.tracking.tables import Table
from completion_aggregator.tracking.tombstones import Tombstones
from completion_aggregator.tracking.transform import EVENT_ROW, Transform

Days = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

DAY: Final = 86_400_000_000  # microseconds
NO_DAY: Final = np.iinfo(np.int32).min  # of an event that has no time of its own
#: A time further from the log's day than this was written by a clock that is wrong.
BEFORE_LOG, AFTER_LOG = 400, 2  # days
#: Of a log without a date, one further from those of the lines around it: there may be few of them.
AFTER_NEIGHBOURS: Final = 31  # days
_NEIGHBOURS: Final = 15  # lines
_EPOCH: Final = date(1970, 1, 1).toordinal()
_NO_TIME: Final = np.iinfo(np.int64).min
_LAST_TIME: Final = np.iinfo(np.int64).max

_SHARED: Final = tuple(column.name for column in tables.COMMON)
_AT: Final = {name: number for number, name in enumerate(EVENT_ROW)}
#: The columns that follow from whom, where and what.
_GROUPS: Final = {"actor": actors.COLUMNS, "place": places.COLUMNS, "heading": headings.COLUMNS}
_OF_GROUPS: Final = {name: group for group, names in _GROUPS.items() for name in names}
_TYPES: Final = {"user_id": pa.int64(), "person": pa.uuid(), "session": pa.uuid(), "by_learner": pa.bool_()}
_OF_EVENTS: Final = ("block", "extra", "raw", "time_quality")
_PRIVATE: Final = ("event_id", "time", "ip", "username", "raw_session", "raw")


@dataclass(slots=True)
class Segment:
    """The rows of a batch that came from one file: from which row on, and what is known of the file.

    ``is_dated``: ``log_day`` is the date in its name; else it is that of the lines before, if there were some.
    """

    source: int
    log_day: date | None
    is_dated: bool
    first_row: int
    first_refused: int
    lines: int = 0
    blank: int = 0
    joined: int = 0
    repaired: int = 0


@dataclass
class Columns:
    """The columns of a batch, before copies are left out."""

    load: int
    segments: Sequence[Segment]
    typed: dict[str, list[tuple[Any, ...]]]
    quarantine: list[tuple[int, int, str, str]]
    offsets: Sequence[int]
    #: What follows from whom, where and what: columns of the groups that there are, and the group of each event.
    groups: dict[str, tuple[dict[str, Sequence[Any]], Rows]]
    #: The columns that each event has for itself.
    own: dict[str, Sequence[str | None]]
    #: The ids as bytes, 16 each.
    plain_ids: npt.NDArray[np.uint8]
    #: The day of the partition, and the day that the event's own time says or ``NO_DAY``.
    days: Days
    own_days: Days
    #: Microseconds since 1970.
    times: npt.NDArray[np.int64]

    @cached_property
    def ids(self) -> npt.NDArray[np.uint64]:
        """The ids as two columns of 64 bits."""
        return self.plain_ids.view(">u8").astype(np.uint64)

    @cached_property
    def source_of_row(self) -> Rows:
        """The source of each event."""
        return _spread([s.source for s in self.segments], [s.first_row for s in self.segments], len(self.days))

    def pieces(self, copies: Flags) -> Iterator[tuple[str, int, pa.Table]]:
        """Yield table, day and rows of all that is to be written; *copies* tells which events were met before."""
        # Of whoever was forgotten nothing is private any more.
        hidden = copies | self._is_forgotten
        wanted = schema_of(tables.EVENT)
        for day, rows in _by_day(self.days, np.flatnonzero(~copies)):
            yield "event", day, pa.table([self._column(name, rows) for name in wanted.names], schema=wanted)
        for day, rows in _by_day(self.days, np.flatnonzero(~hidden)):
            columns = [self._column(name, rows) for name in _PRIVATE]
            yield "event_private", day, pa.table(columns, schema=schema_of(tables.EVENT_PRIVATE))
        for name, listed in self.typed.items():
            if listed:
                table = tables.TABLES[name]
                yield from self._typed_pieces(table, listed, hidden if table.is_private else copies)
        for day, rows in _by_day(self.days, np.flatnonzero(copies)):
            yield "copy", day, self._copy_table(rows)
        if self.quarantine:
            yield from self._quarantine_pieces()

    def people(self, copies: Flags) -> pa.Table:
        """Return who was seen, with the first and the last time; somebody with several sessions several times."""
        columns, of_row = self.groups["actor"]
        kept, many = of_row[~copies], len(columns.get("person", ()))
        first, last = np.full(many, _LAST_TIME), np.full(many, _NO_TIME)
        np.minimum.at(first, kept, self.times[~copies])
        np.maximum.at(last, kept, self.times[~copies])
        # Arrow groups by bytes, not by what they are shown as.
        person = self._of_group("person").storage
        of = [
            person,
            self._of_group("user_id"),
            self._of_group("known_as"),
            *(_as_times(each) for each in (first, last)),
        ]
        people = pa.table(of, ["person", "user_id", "username", "time_min", "time_max"])
        return people.filter(pc.and_(pc.is_valid(person), pa.array(last > _NO_TIME)))

    @cached_property
    def _is_forgotten(self) -> Flags:
        columns, of_row = self.groups["actor"]
        return np.array(columns.get("is_forgotten", ()), bool)[of_row]

    def _column(self, name: str, rows: Rows) -> pa.Array:
        """Return a column of the rows of some events."""
        if name in _OF_GROUPS:
            _, of_row = self.groups[_OF_GROUPS[name]]
            return self._of_group(name).take(pa.array(of_row[rows]))
        if name == "event_id":
            ids = pa.py_buffer(np.ascontiguousarray(self.plain_ids[rows]))
            plain = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(rows), [None, ids])
            return pa.ExtensionArray.from_storage(pa.uuid(), plain)
        if name == "time":
            return _as_times(self.times[rows])
        if name == "load":
            return pa.array(np.full(len(rows), self.load, np.int64))
        return self._of_event(name).take(pa.array(rows))

    def _of_group(self, name: str) -> pa.Array:
        found = self._arrays.get(name)
        if found is None:
            columns, _ = self.groups[_OF_GROUPS[name]]
            found = self._arrays[name] = array_of(columns.get(name, ()), _TYPES.get(name, pa.string()))
        return found

    def _of_event(self, name: str) -> pa.Array:
        found = self._arrays.get(name)
        if found is None:
            found = self._arrays[name] = array_of(self.own[name], pa.string())
        return found

    @cached_property
    def _arrays(self) -> dict[str, pa.Array]:
        return {}

    def _typed_pieces(
        self, table: Table, listed: list[tuple[Any, ...]], copies: Flags
    ) -> Iterator[tuple[str, int, pa.Table]]:
        of_event, *values = zip(*listed, strict=True)
        events = np.array(of_event, np.int64)
        wanted = schema_of(table)
        own = {name: array_of(column, wanted.field(name).type) for name, column in zip(table.own, values, strict=True)}
        for day, rows in _by_day(self.days[events], np.flatnonzero(~copies[events])):
            at, of_rows = pa.array(rows), events[rows]
            columns = [self._column(name, of_rows) if name in _SHARED else own[name].take(at) for name in wanted.names]
            yield table.name, day, pa.table(columns, schema=wanted)

    def _copy_table(self, rows: Rows) -> pa.Table:
        columns = [
            self._column("event_id", rows),
            self._column("time", rows),
            pa.array(self.source_of_row[rows]),
            pa.array([self.offsets[row] for row in rows], pa.int64()),
            self._column("load", rows),
        ]
        return pa.table(columns, schema=schema_of(tables.COPY))

    def _quarantine_pieces(self) -> Iterator[tuple[str, int, pa.Table]]:
        firsts = [each.first_refused for each in self.segments]
        rows = len(self.quarantine)
        sources = _spread([each.source for each in self.segments], firsts, rows)
        days = _spread([_day_number(each.log_day) for each in self.segments], firsts, rows)
        offsets, lengths, reasons, texts = zip(*self.quarantine, strict=True)
        table = pa.table(
            [
                pa.array(days * DAY, pa.int64()).cast(TIME),
                pa.array(sources),
                pa.array(offsets, pa.int64()),
                pa.array(lengths, pa.int64()),
                pa.array(reasons, pa.string()),
                pa.array(texts, pa.string()),
                pa.array(np.full(rows, self.load, np.int64)),
            ],
            schema=schema_of(tables.QUARANTINE),
        )
        for day, at in _by_day(days, np.arange(rows)):
            yield "quarantine", day, table.take(pa.array(at))


def columns_of(transform: Transform, segments: Sequence[Segment], load: int) -> Columns:
    """Return the batch that *transform* holds as columns. Segments of logs without a date are given their day."""
    rows = list(zip(*transform.events, strict=True)) or [()] * len(EVENT_ROW)
    texts = rows[_AT["time"]]
    written = _times(texts)
    readable = written > _NO_TIME
    log_days, latest = _log_days(segments, written)
    own_days = np.where(readable, written // DAY, NO_DAY)
    right = readable & (own_days >= log_days - BEFORE_LOG) & (own_days <= latest)
    times = np.where(right, written, log_days * DAY)
    own: dict[str, Sequence[str | None]] = {name: rows[_AT[name]] for name in _OF_EVENTS}
    _tell(own, texts, np.flatnonzero(~right), readable)
    digests = np.frombuffer(b"".join(rows[_AT["digest"]]), np.uint8).reshape(-1, 32)[:, :16]
    found = Columns(
        load=load,
        segments=segments,
        typed={each.name: getattr(transform.rows, each.name) for each in (*tables.TYPED, tables.ACCOUNT, tables.TEXT)},
        quarantine=transform.quarantine,
        offsets=rows[_AT["offset"]],
        groups={name: _grouped(transform.groups[name], rows[_AT[name]], names) for name, names in _GROUPS.items()},
        own=own,
        plain_ids=np.ascontiguousarray(digests),
        days=(times // DAY).astype(np.int32),
        own_days=own_days.astype(np.int32),
        times=times,
    )
    if transform.tombstones:
        _forget(found, transform.tombstones)
    return found


def _grouped(groups: Groups, numbers: Sequence[int], names: Sequence[str]) -> tuple[dict[str, Sequence[Any]], Rows]:
    columns, of_row = groups.of(np.array(numbers, np.int64))
    return dict(zip(names, columns, strict=bool(columns))), of_row


def _forget(columns: Columns, tombstones: Tombstones) -> None:
    """Take out what events say of those who were forgotten, beside who made them."""
    columns.own["raw"] = [None if text and tombstones.named_in(text) else text for text in columns.own["raw"]]
    account = columns.typed[tables.ACCOUNT.name]
    # A form says who is to be made, before anybody is logged in.
    account[:] = [row for row in account if not (row[1] and tombstones.has_name(row[1]))]


def array_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return *values* as an array; one that is not of the kind becomes NULL."""
    if kind == pa.uuid():
        return pa.ExtensionArray.from_storage(kind, array_of(values, kind.storage_type))
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return pa.array([_fitting(value, kind) for value in values], kind)


def _fitting(value: Any, kind: pa.DataType) -> Any:
    try:
        pa.array([value], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return None
    return value


def _times(texts: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Return microseconds since 1970; NaT where there is none, or what looks like a time is none."""
    try:
        found = pa.array(texts, pa.string()).cast(TIME)
    except pa.ArrowInvalid:
        moments = [_moment(text) for text in texts]
        found = pa.array(moments, TIME)
    plain = found.cast(pa.int64()).fill_null(_NO_TIME)
    result: npt.NDArray[np.int64] = plain.to_numpy(zero_copy_only=False)
    return result


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _log_days(
    segments: Sequence[Segment], written: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for each row the log's day, and the latest day that is believed."""
    ends = [*(each.first_row for each in segments[1:]), len(written)]
    days, latest = np.zeros(len(written), np.int64), np.zeros(len(written), np.int64)
    for segment, end in zip(segments, ends, strict=True):
        rows = slice(segment.first_row, end)
        around = None if segment.is_dated else _days_around(written[rows])
        if around is None:
            days[rows] = _day_number(segment.log_day)
        else:
            days[rows] = around
            segment.log_day = date.fromordinal(_EPOCH + int(np.median(around[:1000])))
        latest[rows] = days[rows] + (AFTER_LOG if segment.is_dated else AFTER_NEIGHBOURS)
    return days, latest


def _days_around(written: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """Return for each row the middle of the days that the rows around it say; None if none says any.

    A log without a date may go on for years: what its first lines say is nothing to hold the last ones against.
    """
    readable = np.flatnonzero(written > _NO_TIME)
    if not len(readable):
        return None
    width = min(_NEIGHBOURS, len(readable))
    windows = np.lib.stride_tricks.sliding_window_view(written[readable], width)
    middles = np.partition(windows, width // 2, axis=1)[:, width // 2] // DAY
    nearest = np.minimum(np.searchsorted(readable, np.arange(len(written))), len(readable) - 1)
    found: npt.NDArray[np.int64] = middles[np.clip(nearest - width // 2, 0, len(middles) - 1)]
    return found


def _tell(own: dict[str, Sequence[str | None]], texts: Sequence[str | None], wrong: Rows, readable: Flags) -> None:
    """Say so in ``time_quality`` and ``extra`` where a time is wrong."""
    if not len(wrong):
        return
    quality, extra = list(own["time_quality"]), list(own["extra"])
    for row in wrong:
        quality[row] = "outside" if readable[row] else "unreadable"
        if text := texts[row]:
            extra[row] = with_time(extra[row], text)
    own["time_quality"], own["extra"] = quality, extra


def _as_times(microseconds: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(microseconds).cast(TIME)


def _by_day(days: npt.NDArray[Any], rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Yield each day of some rows, and those of it."""
    chosen = days[rows]
    for day in np.unique(chosen):
        yield int(day), rows[chosen == day]


def _spread(values: Sequence[int], firsts: Sequence[int], rows: int) -> npt.NDArray[np.int64]:
    """Return an array of *rows* values, each from its first row on."""
    return np.repeat(np.array(values, np.int64), np.diff([*firsts, rows]))


def _day_number(day: date | None) -> int:
    return 0 if day is None else day.toordinal() - _EPOCH
