"""Lines to a batch of rows: the one loop through which every line of every log goes.

What it costs for a line decides what a load costs; measured in `benchmarks/tracking.py`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from completion_aggregator.tracking import catalogue, envelope, lines, scrub, tables
from completion_aggregator.tracking.batch import Batch
from completion_aggregator.tracking.countries import Countries
from completion_aggregator.tracking.envelope import Line
from completion_aggregator.tracking.families.url import is_of_platform, kind_of
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.tombstones import Tombstones

_COURSE: Final = re.compile(r"/courses/(course-v1:[^/?#+]+\+[^/?#+]+\+[^/?#+]+|[^/?#+]+/[^/?#+]+/[^/?#+]+)(?:[/?#]|$)")
_UTC_TEXT_LENGTH: Final = len("2024-02-01T00:00:02.834966+00:00")
_QUARANTINED_BYTES: Final = 4096
_MEMORY: Final = 100_000
_SHORT: Final = 200
_LONGEST_COURSE: Final = 255
#: Families whose payload says whom an event is about.
_ABOUT_SOMEBODY: Final = frozenset({"enrollment", "grouping", "progress"})
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
#: Stands for the name of nobody: no JSON and no address holds it.
_NO_NAME: Final = b"\0"
_OPEN, _CLOSE = b"{}"

_decode_json: Final = msgspec.json.Decoder().decode
_encode_json: Final = msgspec.json.Encoder().encode
_names_known: Final = catalogue.NAMES.get

#: The columns of a row in ``Batch.events``, in order. ``time`` is text in UTC, or None.
EVENT_ROW: Final = (
    "offset",
    "digest",
    "time",
    "person",
    "course",
    "time_quality",
    "name",
    "family",
    "source",
    "by_learner",
    "org",
    "block",
    "session",
    "country",
    "agent",
    "host",
    "path",
    "page",
    "extra",
    "user_id",
    "ip",
    "username",
    "raw_session",
    "raw",
)


class _Who:
    """Whom an event names. ``lows``: the name in small, in each way that an address may have it.

    ``low_bytes`` is the way that JSON of ASCII has it, if it has no escapes.
    """

    __slots__ = ("is_plain", "low_bytes", "lows", "person", "user_id", "username")

    def __init__(self, username: str, person: bytes | None, user_id: int | None) -> None:
        self.username, self.person, self.user_id = username, person, user_id
        self.lows = scrub.variants(username)
        self.is_plain = len(self.lows) < 2
        self.low_bytes = username.lower().encode() if username and username.isascii() else _NO_NAME


class _Shape:
    """What leftovers of a name have in common: keys and types. ``is_open``: all of it may stay if it is harmless."""

    __slots__ = ("count", "fields", "is_open")

    def __init__(self, fields: tuple[tuple[str, str], ...], *, is_open: bool) -> None:
        self.fields, self.is_open, self.count = fields, is_open, 0


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
        self._pseudonyms = pseudonyms
        self.tombstones = tombstones
        self._country = countries.code if countries.is_open else None
        self._sessions = pseudonyms.met_session
        self._keeps_text, self._keeps_raw = keeps_text, keeps_raw
        self._courses: dict[str, str] = {}
        self._extras: dict[bytes, str | None] = {}
        self._addresses: dict[str, tuple[str, str]] = {}
        self._people: dict[tuple[int | str | float | None, str], _Who] = {}
        self._who = self._met(None, "")
        self._last_time: str | None = None
        self.fresh()

    def fresh(self) -> None:
        """Begin another batch."""
        keyed = self.tombstones.keyed if self.tombstones else self._pseudonyms.keyed
        self.rows = Batch(keyed=keyed, clean=self._clean, place=self._place, keeps_text=self._keeps_text)
        self.events: list[tuple[Any, ...]] = []
        #: The rows of events about somebody else than who is named beside them.
        self.for_others: list[int] = []
        #: The rows of those who were forgotten.
        self.forgotten: list[int] = []
        self.quarantine: list[tuple[int, int, str, str]] = []
        self._shapes: dict[Any, _Shape] = {}
        self.lines = self.blank = self.joined = self.repaired = 0

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
        for marked in (self.forgotten, self.for_others):
            while marked and marked[-1] == len(self.events):
                marked.pop()
        self._refuse(offset, data, "nested too deep")

    def _refuse(self, offset: int, line: bytes, reason: str, length: int | None = None) -> None:
        text = line[:_QUARANTINED_BYTES].decode("utf-8", "backslashreplace").replace("\0", "\\0")
        if self.tombstones and self.tombstones.named_in(text):
            text = ""
        self.quarantine.append((offset, len(line) if length is None else length, reason, text))

    def _event(self, offset: int, data: bytes, line: Line, prefix_time: str | None = None) -> None:
        context, rows = line.context, self.rows
        name = line.name or line.event_type or ""
        source = line.event_source or context.event_source or ""
        username = line.username or context.username or ""
        who = self._people.get((context.user_id, username)) or self._met(context.user_id, username)
        page, path = line.page or context.page, context.path
        course = context.course_id or self._course_in(path, page, name)
        entry = _names_known(name) or catalogue.entry(name, source)
        written = line.time or line.timestamp
        time = written
        # Most times are written so; columns.py finds out whether they are times.
        if written and (len(written) != _UTC_TEXT_LENGTH or written[26:] != "+00:00"):
            time = utc_text(written)
        quality = "ok"
        if not time:
            time, quality = self._guessed(prefix_time, written)
            digest = sha256(data + b"\0" + (time or "").encode()).digest()
        else:
            self._last_time = time
            digest = sha256(data).digest()

        rows.row, rows.name, rows.course, rows.source = len(self.events), name, course, source
        module = rows.module = context.module
        self._who = who
        payload = line.event if line.event is not None else line.data
        if type(payload) is not dict:
            payload = _payload_in(payload) if type(payload) is str else payload_of(payload)
        about = who
        if entry.family in _ABOUT_SOMEBODY:
            about = self._about(who, payload)
            course = rows.course = course or self._course_of(payload)
        block = entry.transform(entry.action, payload, rows) if entry.transform else ""
        if not block and module:
            block = module.get("usage_key") or ""
        shown = kind_of(name) if name[0] == "/" else name
        extra = self._extra(shown, payload, who) if payload else None
        if quality == "unreadable" and written:
            extra = with_time(extra, written)
        session = line.session or context.session
        ip = line.ip or context.ip
        session_id = None
        if session and about is who:
            session_id = self._sessions(session) or self._pseudonyms.session(session)
        agent = line.agent or context.agent
        if agent and username and username in agent:
            agent = scrub.clean(agent, username)
        self.events.append(
            (
                offset,
                digest,
                time,
                about.person,
                course or None,
                quality,
                shown,
                entry.family,
                source or None,
                entry.by_learner,
                context.org_id or None,
                block or None,
                session_id,
                self._country(ip) if ip and self._country else None,
                agent,
                line.host or context.host,
                self._address(path, who) if path else None,
                self._address(page, who) if page else None,
                extra,
                about.user_id,
                ip or None,
                username or None,
                session or None,
                data.decode("utf-8", "backslashreplace") if self._keeps_raw else None,
            )
        )

    def _met(self, user_id: str | float | None, username: str) -> _Who:
        number = _number(user_id)
        person = self._pseudonyms.person(number, username)
        if self.tombstones and self.tombstones.cover(person, username):
            # Not remembered, so that each event of theirs comes by here.
            self.forgotten.append(len(self.events))
            return _Who(username, None, None)
        who = _Who(username, person, number)
        if len(self._people) >= _MEMORY:
            self._people.clear()
        self._people[user_id, username] = who
        return who

    def _about(self, who: _Who, payload: dict[str, Any]) -> _Who:
        """Return whom the event is about: staff, or a task of nobody's, may have enrolled or graded a learner."""
        number = _number(payload.get("user_id"))
        if number is None or number == who.user_id:
            return who
        self.for_others.append(len(self.events))
        return self._people.get((number, "")) or self._met(number, "")

    def _course_of(self, payload: dict[str, Any]) -> str:
        course = payload.get("course_id")
        return course if isinstance(course, str) and len(course) <= _LONGEST_COURSE else ""

    def _guessed(self, prefix_time: str | None, written: str | None) -> tuple[str | None, str]:
        if prefix_time is not None:
            return prefix_time, "prefix"
        if self._last_time is not None and not written:
            return self._last_time, "neighbour"
        return None, "unreadable"

    def _address(self, address: str, who: _Who) -> str:
        found = self._addresses.get(address)
        if found is None:
            told = scrub.address(address, "")
            found = told, "" if is_of_platform(told) else told.lower()
            if len(self._addresses) >= _MEMORY:
                self._addresses.clear()
            self._addresses[address] = found
        told, low = found
        if low:
            for each in who.lows:
                if each in low:
                    return scrub.address(address, who.username)
        return told

    @property
    def fields(self) -> Counter[tuple[str, str, str]]:
        """The fields that no column holds: name of the event, path and type to how often."""
        found: Counter[tuple[str, str, str]] = Counter()
        for (name, *_), shape in self._shapes.items():
            for path, kind in shape.fields:
                found[name, path, kind] += shape.count
        return found

    def _extra(self, name: str, payload: dict[str, Any], who: _Who) -> str | None:
        """Return what is left of a payload as it may be kept; mostly it is of one of a few shapes."""
        key = (name, tuple(payload), tuple(map(type, payload.values())))
        shape = self._shapes.get(key)
        if shape is None:
            if not _SCALARS.issuperset(key[2]):
                return self._nested(name, payload, who)
            # Of what may be kept: the name of a field may be somebody's.
            fields = tuple(scrub.fields(scrub.scrub(payload, username=who.username) or {}))
            shape = self._shapes[key] = _Shape(fields, is_open=scrub.is_open(payload))
        shape.count += 1
        try:
            written = _encode_json(payload)
        except (ValueError, OverflowError):
            return self._scrubbed(payload, who)  # a number that JSON has and its fast writers do not
        if shape.is_open and (who.is_plain or written.isascii()) and scrub.is_harmless(written, who.low_bytes):
            return written.decode()
        if len(written) > _SHORT or not self._may_repeat(written, who):
            return self._scrubbed(payload, who)
        extra = self._extras.get(written, "")
        if extra == "":
            extra = self._scrubbed(payload, who)
            if len(self._extras) >= _MEMORY:
                self._extras.clear()
            self._extras[written] = extra
        return extra

    def _nested(self, name: str, payload: dict[str, Any], who: _Who) -> str | None:
        """Return the same of one of several levels, which is looked at as a whole each time."""
        kept = scrub.scrub(payload, username=who.username) or {}
        fields = tuple(scrub.fields(kept))
        shape = self._shapes.get((name, fields))
        if shape is None:
            shape = self._shapes[name, fields] = _Shape(fields, is_open=False)
        shape.count += 1
        return _encode_json(kept).decode() if kept else None

    def _may_repeat(self, written: bytes, who: _Who) -> bool:
        """Tell whether what becomes of leftovers is the same whoever made them, since they cannot name this one."""
        if not who.is_plain and (not written.isascii() or b"%" in written or b"\\" in written):
            return False
        return who.low_bytes not in written.lower()

    def _scrubbed(self, payload: dict[str, Any], who: _Who) -> str | None:
        kept = scrub.scrub(payload, username=who.username)
        return _encode_json(kept).decode() if kept else None

    def _clean(self, text: str) -> str:
        if scrub.is_quiet(text):
            low = text.lower()
            for each in self._who.lows:
                if each in low:
                    break
            else:
                return text
        return scrub.clean(text, self._who.username)

    def _place(self, address: str) -> str:
        return self._address(address, self._who)

    def _course_in(self, *addresses: str | None) -> str:
        """Return the course that the first of the addresses names that names one."""
        for address in addresses:
            if address and "/courses/" in address:
                course = self._courses.get(address)
                if course is None:
                    found = _COURSE.search(address)
                    course = found[1] if found else ""
                    if len(self._courses) >= _MEMORY:
                        self._courses.clear()
                    self._courses[address] = course
                if course:
                    return course
        return ""


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


def payload_of(event: object) -> dict[str, Any]:
    """Return the payload that a text, a list or a bare value stands for; see ``families`` for the forms."""
    if isinstance(event, str):
        return _payload_in(event)
    if isinstance(event, dict):
        return event
    if isinstance(event, list):
        return {"list": event}
    return {} if event is None else {"value": event}


def _payload_in(text: str) -> dict[str, Any]:
    if not text:
        return {}
    if text[0] in '{["':
        try:
            found = _decode_json(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
            found = _cut(text)
        if type(found) is dict:
            return found
        if not isinstance(found, str):
            return payload_of(found)
        text = found
    return {"form": text} if "=" in text else {"text": text}


def _cut(text: str) -> Any:
    if text[0] != "{":
        return {"text": text}
    found: dict[str, Any] = lines.whole(lines.leading_fields(text))
    return found


def with_time(extra: str | None, written: str) -> str:
    """Return *extra* with the time that was written in the line."""
    found = _decode_json(extra) if extra else {}
    return _encode_json(found | {"time": written[:100]}).decode()


def utc_text(text: str) -> str | None:
    """Return any ISO 8601 time so; without an offset it is UTC, as the platform's clocks are."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.isoformat(timespec="microseconds")


def _number(user_id: object) -> int | None:
    if isinstance(user_id, int) and not isinstance(user_id, bool):
        return user_id if 0 <= user_id < 2**63 else None
    if isinstance(user_id, float):
        return int(user_id) if user_id.is_integer() and 0 <= user_id < 2**53 else None
    if isinstance(user_id, str) and user_id.isascii() and user_id.isdigit() and len(user_id) < 19:
        return int(user_id)
    return None
