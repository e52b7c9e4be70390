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

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.schemas import TIME, schema_of
from completion_aggregator.tracking.tables import Table
from completion_aggregator.tracking.tombstones import Tombstones
from completion_aggregator.tracking.transform import EVENT_ROW, Transform, with_time

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

_SHARED: Final = tuple(column.name for column in tables.COMMON)
_PARSED: Final = frozenset({"offset", "digest", "time", "time_quality", "extra"})
_AT: Final = {name: number for number, name in enumerate(EVENT_ROW)}


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
    events: dict[str, Any]
    typed: dict[str, list[tuple[Any, ...]]]
    quarantine: list[tuple[int, int, str, str]]
    #: The ids as two columns of 64 bits.
    ids: npt.NDArray[np.uint64]
    #: The day of the partition, and the day that the event's own time says or ``NO_DAY``.
    days: Days
    own_days: Days
    #: Microseconds since 1970.
    times: npt.NDArray[np.int64]
    #: Which events are of those who were forgotten.
    forgotten: Flags
    #: The rows of events about somebody else than the user name beside them.
    for_others: list[int]

    @cached_property
    def source_of_row(self) -> npt.NDArray[np.int64]:
        """The source of each event."""
        return _spread([s.source for s in self.segments], [s.first_row for s in self.segments], len(self.days))

    def pieces(self, copies: Flags) -> Iterator[tuple[str, int, pa.Table]]:
        """Yield table, day and rows of all that is to be written; *copies* tells which events were met before."""
        kept = np.flatnonzero(~copies)
        yield from _by_day("event", self._event_table(), self.days, kept)
        # Of whoever was forgotten nothing is private any more.
        hidden = copies | self.forgotten
        yield from _by_day("event_private", self._private_table(), self.days, np.flatnonzero(~hidden))
        for name, rows in self.typed.items():
            if rows:
                table = tables.TABLES[name]
                yield from self._typed_pieces(table, rows, hidden if table.is_private else copies)
        if copies.any():
            found = np.flatnonzero(copies)
            yield from _by_day("copy", self._copy_table(found), self.days[found])
        if self.quarantine:
            yield from self._quarantine_pieces()

    def people(self, copies: Flags) -> pa.Table:
        """Return who was seen, with the first and the last time."""
        kept = pa.array(np.flatnonzero(~copies))
        names = ("person", "user_id", "username", "time")
        # Arrow groups by bytes, not by what they are shown as.
        plain = {name: self.events[name] for name in names} | {"person": self.events["person"].storage}
        if self.for_others:
            own = np.ones(len(self.days), bool)
            own[self.for_others] = False
            plain["username"] = pc.if_else(pa.array(own), plain["username"], None)
        seen = pa.table(plain).take(kept)
        return (
            seen.filter(pc.is_valid(seen["person"]))
            .group_by(list(names[:3]))
            .aggregate([("time", "min"), ("time", "max")])
        )

    def _event_table(self) -> pa.Table:
        wanted = schema_of(tables.EVENT)
        load = pa.array(np.full(len(self.days), self.load, np.int64))
        return pa.table([load if name == "load" else self.events[name] for name in wanted.names], schema=wanted)

    def _private_table(self) -> pa.Table:
        names = ("event_id", "time", "ip", "username", "raw_session", "raw")
        return pa.table([self.events[name] for name in names], schema=schema_of(tables.EVENT_PRIVATE))

    def _typed_pieces(
        self, table: Table, rows: list[tuple[Any, ...]], copies: Flags
    ) -> Iterator[tuple[str, int, pa.Table]]:
        columns = list(zip(*rows, strict=True))
        of_event = np.array(columns[0], np.int64)
        wanted = schema_of(table)
        at = pa.array(of_event)
        own = dict(zip(table.own, columns[1:], strict=True))
        arrays = [
            self.events[name].take(at) if name in _SHARED else array_of(own[name], wanted.field(name).type)
            for name in wanted.names
        ]
        whole = pa.table(arrays, schema=wanted)
        yield from _by_day(table.name, whole, self.days[of_event], np.flatnonzero(~copies[of_event]))

    def _copy_table(self, found: npt.NDArray[np.int64]) -> pa.Table:
        at, events = pa.array(found), self.events
        columns = [
            events["event_id"].take(at),
            events["time"].take(at),
            pa.array(self.source_of_row[found]),
            pa.array(np.asarray(events["offset"])[found]),
            pa.array(np.full(len(found), self.load, np.int64)),
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
        yield from _by_day("quarantine", table, days.astype(np.int32))


def columns_of(transform: Transform, segments: Sequence[Segment], load: int) -> Columns:
    """Return the batch that *transform* holds as columns. Segments of logs without a date are given their day."""
    rows = list(zip(*transform.events, strict=True)) or [()] * len(EVENT_ROW)
    forgotten = np.zeros(len(transform.events), bool)
    forgotten[transform.forgotten] = True
    if transform.tombstones:
        _forget(rows, transform, transform.tombstones)
    texts = rows[_AT["time"]]
    written = _times(texts)
    readable = written > _NO_TIME
    log_days, latest = _log_days(segments, written)
    own_days = np.where(readable, written // DAY, NO_DAY)
    right = readable & (own_days >= log_days - BEFORE_LOG) & (own_days <= latest)
    times = np.where(right, written, log_days * DAY)
    events: dict[str, Any] = {
        name: array_of(rows[at], _type_of(name)) for name, at in _AT.items() if name not in _PARSED
    }
    events["time"] = pa.array(times, pa.int64()).cast(TIME)
    events["offset"] = rows[_AT["offset"]]
    digests = np.frombuffer(b"".join(rows[_AT["digest"]]), np.uint8).reshape(-1, 32)[:, :16]
    ids = np.ascontiguousarray(digests)
    plain = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ids), [None, pa.py_buffer(ids)])
    events["event_id"] = pa.ExtensionArray.from_storage(pa.uuid(), plain)
    quality, extra = _told(rows, np.flatnonzero(~right), readable)
    events["time_quality"], events["extra"] = array_of(quality, pa.string()), array_of(extra, pa.string())
    return Columns(
        load=load,
        segments=segments,
        events=events,
        typed={each.name: getattr(transform.rows, each.name) for each in (*tables.TYPED, tables.ACCOUNT, tables.TEXT)},
        quarantine=transform.quarantine,
        ids=ids.view(">u8").astype(np.uint64),
        days=(times // DAY).astype(np.int32),
        own_days=own_days.astype(np.int32),
        times=times,
        forgotten=forgotten,
        for_others=transform.for_others,
    )


def _forget(rows: list[tuple[Any, ...]], transform: Transform, tombstones: Tombstones) -> None:
    """Take out who it was, of each event of those who were forgotten, and what others' events say of them."""
    for name in ("session", "ip", "username", "raw_session", "raw"):
        column = list(rows[_AT[name]])
        for row in transform.forgotten:
            column[row] = None
        rows[_AT[name]] = tuple(column)
    rows[_AT["raw"]] = tuple(None if text and tombstones.named_in(text) else text for text in rows[_AT["raw"]])
    account = transform.rows.account
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


def _type_of(name: str) -> pa.DataType:
    found = {"user_id": pa.int64(), "person": pa.uuid(), "session": pa.uuid(), "by_learner": pa.bool_()}
    return found.get(name, pa.string())


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


def _told(
    rows: list[tuple[Any, ...]], wrong: npt.NDArray[np.int64], readable: Flags
) -> tuple[Sequence[str], Sequence[str | None]]:
    """Return the columns ``time_quality`` and ``extra``, which say so where a time is wrong."""
    if not len(wrong):
        return rows[_AT["time_quality"]], rows[_AT["extra"]]
    quality, extra, texts = list(rows[_AT["time_quality"]]), list(rows[_AT["extra"]]), rows[_AT["time"]]
    for row in wrong:
        quality[row] = "outside" if readable[row] else "unreadable"
        if texts[row]:
            extra[row] = with_time(extra[row], texts[row])
    return quality, extra


def _by_day(
    name: str, table: pa.Table, days: Days, kept: npt.NDArray[np.int64] | None = None
) -> Iterator[tuple[str, int, pa.Table]]:
    """Yield the rows of each day, of those *kept*, in one step: rows are copied once."""
    kept = np.arange(len(days)) if kept is None else kept
    chosen = days[kept]
    for day in np.unique(chosen):
        rows = kept[chosen == day]
        yield name, int(day), table if len(rows) == len(days) else table.take(pa.array(rows))


def _spread(values: Sequence[int], firsts: Sequence[int], rows: int) -> npt.NDArray[np.int64]:
    """Return an array of *rows* values, each from its first row on."""
    return np.repeat(np.array(values, np.int64), np.diff([*firsts, rows]))


def _day_number(day: date | None) -> int:
    return 0 if day is None else day.toordinal() - _EPOCH
