"""Lines to a batch of rows: the one loop through which every line of every log goes.

What it costs for a line decides what a load costs; measured in `benchmarks/tracking.py`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from completion_aggregator.tracking import envelope, lines, tables
from completion_aggregator.tracking.actors import Actor, Actors, User
from completion_aggregator.tracking.batch import Batch
from completion_aggregator.tracking.countries import Countries
from completion_aggregator.tracking.envelope import Line
from completion_aggregator.tracking.headings import Heading, Headings
from completion_aggregator.tracking.leftovers import Leftovers, with_time
from completion_aggregator.tracking.payloads import payload_of
from completion_aggregator.tracking.places import Place, Places
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.scrub import clean, is_quiet
from completion_aggregator.tracking.times import USUAL_END, USUAL_LENGTH, utc_text
from completion_aggregator.tracking.tombstones import Tombstones

_QUARANTINED_BYTES: Final = 4096
_LONGEST_COURSE: Final = 255
_OPEN, _CLOSE = b"{}"

#: The columns of a row in ``Transform.events``, in order. ``time`` is text in UTC, or None. What many events share
#: stands there as the number of its group: see ``Transform.groups``.
EVENT_ROW: Final = ("offset", "digest", "time", "time_quality", "actor", "place", "heading", "block", "extra", "raw")


class Transform:
    """Takes lines, one file after the other, and fills a batch."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        countries: Countries,
        *,
        keeps_text: bool = False,
        keeps_raw: bool = False,
        tombstones: Tombstones | None = None,
    ) -> None:
        self.tombstones = tombstones
        self._keyed = tombstones.keyed if tombstones else pseudonyms.keyed
        self._keeps_text, self._keeps_raw = keeps_text, keeps_raw
        self._actors = Actors(pseudonyms, countries, tombstones)
        self._places, self._headings, self._leftovers = Places(), Headings(), Leftovers()
        self._known_actor, self._known_place = self._actors.met, self._places.met
        self._known_heading = self._headings.met
        #: By column of ``events``: what its numbers stand for.
        self.groups = {"actor": self._actors, "place": self._places, "heading": self._headings}
        self._user: User
        self._last_time: str | None = None
        self.fresh()

    def fresh(self) -> None:
        """Begin another batch."""
        self.rows = Batch(keyed=self._keyed, clean=self._clean, place=self._place, keeps_text=self._keeps_text)
        self.events: list[tuple[Any, ...]] = []
        self.quarantine: list[tuple[int, int, str, str]] = []
        for each in (self._actors, self._places, self._headings, self._leftovers):
            each.fresh()
        self.lines = self.blank = self.joined = self.repaired = 0

    @property
    def fields(self) -> Counter[tuple[str, str, str]]:
        """The fields that no column holds: name of the event, path and type to how often."""
        return self._leftovers.fields

    def begin_file(self, before: Sequence[bytes] = ()) -> None:
        """Forget the neighbours: another file begins, or goes on behind the lines *before*."""
        times = (time_of(line) for line in reversed(before))
        self._last_time = next((time for time in times if time), None)

    def take(self, offset: int, block: Iterable[bytes]) -> int:
        """Take lines that begin at *offset* of their file; return where the next one begins."""
        decode, event = envelope.decode, self._event
        for line in block:
            try:
                found = decode(line)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                self._damaged(offset, line)
            else:
                if found.name or found.event_type:
                    try:
                        if line[-1] == _CLOSE and line[0] == _OPEN:
                            event(offset, line, found)
                        else:  # an object with space around it, such as the end of a line of Windows
                            event(offset + line.index(b"{"), line.strip(), found)
                    except RecursionError:
                        self._give_up(offset, line)
                else:
                    self._refuse(offset, line, "no name")
            self.lines += 1
            offset += len(line) + 1
        return offset

    def refuse(self, offset: int, begin: bytes, reason: str, *, length: int) -> None:
        """Put a line into quarantine of which only the beginning was read."""
        self.lines += 1
        self._refuse(offset, begin, reason, length)

    def _damaged(self, offset: int, line: bytes) -> None:
        if not line.strip(b" \t\r\n\0\v\f"):
            self.blank += 1
            return
        try:
            found = lines.climb(line)
        except lines.NoEvent as error:
            self._refuse(offset, line, str(error))
            return
        self.joined += len(found) - 1
        position = 0
        for each in found:
            start = line.find(each.data, position)
            position = start + len(each.data)
            if not each.is_event:
                self._refuse(offset + start, each.data, lines.NO_NAME)
                continue
            self.repaired += 1
            moment = each.prefix_time.isoformat(timespec="microseconds") if each.prefix_time else None
            try:
                self._event(offset + start, each.data, each.line, prefix_time=moment)
            except RecursionError:
                self._give_up(offset + start, each.data)

    def _give_up(self, offset: int, data: bytes) -> None:
        """Put an event into quarantine that nothing can take apart, without the rows that were made of it."""
        for table in (*tables.TYPED, tables.ACCOUNT, tables.TEXT):
            rows = getattr(self.rows, table.name)
            while rows and rows[-1][0] == len(self.events):
                rows.pop()
        self._refuse(offset, data, "nested too deep")

    def _refuse(self, offset: int, line: bytes, reason: str, length: int | None = None) -> None:
        text = line[:_QUARANTINED_BYTES].decode("utf-8", "backslashreplace").replace("\0", "\\0")
        if self.tombstones and self.tombstones.named_in(text):
            text = ""
        self.quarantine.append((offset, len(line) if length is None else length, reason, text))

    def _event(self, offset: int, data: bytes, line: Line, prefix_time: str | None = None) -> None:
        context, rows = line.context, self.rows
        written = (context.user_id, line.username, line.session, line.ip, line.agent, line.host)
        actor = self._known_actor(written) or self._actors.meet(line)
        address = (context.course_id, context.org_id, context.path, line.page or context.page)
        place = self._known_place(address) or self._places.meet(address)
        title = (line.name or line.event_type, line.event_source or context.event_source)
        heading = self._known_heading(title) or self._headings.meet(title)
        if place.low or heading.low or (heading.course and not place.course):
            place, heading = self._settled(place, heading, actor.user)
        time, quality = line.time, "ok"
        # Most times are written so; columns.py finds out whether they are times.
        if time and len(time) == USUAL_LENGTH and time.endswith(USUAL_END):
            self._last_time = time
            digest = sha256(data).digest()
        else:
            time, quality, digest = self._dated(line, data, prefix_time)
        self._user = user = actor.user
        rows.row, rows.name, rows.source, rows.course = len(self.events), heading.name, heading.source, place.course
        rows.module = context.module
        event, extra = line.event, None
        block = heading.direct(heading.action, event, rows) if heading.direct and type(event) is str else None
        if block is None:
            block, extra, actor, place = self._taken_apart(line, heading, actor, place)
        elif rows.left:
            extra, rows.left = self._leftovers.kept(heading.shown, rows.left, user), None
        if not block and context.module:
            block = context.module.get("usage_key")
        if quality == "unreadable":
            extra = _with_written(extra, line)
        raw = data.decode("utf-8", "backslashreplace") if self._keeps_raw else None
        who, where, what = actor.number, place.number, heading.number
        self.events.append((offset, digest, time, quality, who, where, what, block or None, extra, raw))

    def _settled(self, place: Place, heading: Heading, user: User) -> tuple[Place, Heading]:
        """Return the place in the course that the event's name tells, and both without the name of the user."""
        if heading.course and not place.course:
            place = self._places.moved(place, heading.course)
        for each in user.lows:
            if place.low and each in place.low:
                place = self._places.without(place, user)
            if heading.low and each in heading.low:
                heading = self._headings.without(heading, user)
        return place, heading

    def _dated(self, line: Line, data: bytes, prefix_time: str | None) -> tuple[str | None, str, bytes]:
        """Return time, its quality and the digest of a line whose time is missing, or written in another way."""
        written = line.time or line.timestamp
        time = utc_text(written) if written else None
        if time:
            self._last_time = time
            return time, "ok", sha256(data).digest()
        time, quality = None, "unreadable"
        if prefix_time is not None:
            time, quality = prefix_time, "prefix"
        elif self._last_time is not None and not written:
            time, quality = self._last_time, "neighbour"
        # Else two cut lines that begin alike would be one event.
        return time, quality, sha256(data + b"\0" + (time or "").encode()).digest()

    def _taken_apart(
        self, line: Line, heading: Heading, actor: Actor, place: Place
    ) -> tuple[str, str | None, Actor, Place]:
        """Take the payload apart; return block and extra, whom it is about, and where it was."""
        payload = payload_of(line.event if line.event is not None else line.data)
        about = actor
        if heading.is_about_somebody:
            about = self._actors.about(actor, payload.get("user_id"))
            if not place.course and (course := _course_of(payload)):
                place = self._places.moved(place, course)
                self.rows.course = course
        block = heading.transform(heading.action, payload, self.rows) if heading.transform else ""
        extra = self._leftovers.kept(heading.shown, payload, actor.user) if payload else None
        return block, extra, about, place

    def _clean(self, text: str) -> str:
        if is_quiet(text):
            low = text.lower()
            for each in self._user.lows:
                if each in low:
                    break
            else:
                return text
        return clean(text, self._user.name)

    def _place(self, address: str) -> str:
        return self._places.address(address, self._user)


def is_event(line: bytes) -> bool:
    """Tell whether a line is whole, though it has no end: no part of a JSON object is one."""
    try:
        envelope.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return True


def time_of(line: bytes) -> str | None:
    """Return the time that stands in a line, as text in UTC; None if there is none that can be read."""
    try:
        found = [envelope.decode(line)]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        try:
            found = [each.line for each in lines.climb(line) if each.is_event]
        except lines.NoEvent:
            return None
    times = [utc_text(each.time or each.timestamp or "") for each in found if each.name or each.event_type]
    return next((time for time in reversed(times) if time), None)


def _course_of(payload: dict[str, Any]) -> str:
    course = payload.get("course_id")
    return course if isinstance(course, str) and len(course) <= _LONGEST_COURSE else ""


def _with_written(extra: str | None, line: Line) -> str | None:
    written = line.time or line.timestamp
    return with_time(extra, written) if written else extra
