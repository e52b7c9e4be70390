"""Files to lines to loads: what a process does that reads. What it asks and hands over goes to its desk."""

from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from completion_aggregator.tracking import contents
from completion_aggregator.tracking.columns import Days, Flags
from completion_aggregator.tracking.contents import Content, Lines, TooLong
from completion_aggregator.tracking.errors import Unreadable
from completion_aggregator.tracking.ledger import Delivery, Known, Progress
from completion_aggregator.tracking.load import LoadWriter, Settings, transform_for
from completion_aggregator.tracking.seen import Ids
from completion_aggregator.tracking.sources import Source, as_text, opened
from completion_aggregator.tracking.transform import is_event

#: A load is handed over when it has read so many plain bytes: what a crash can cost.
LOAD_BYTES: Final = 512 * 2**20
#: So few that what a batch is made of stays in the processor's cache: with 50,000 each line takes longer.
BATCH_EVENTS: Final = 10_000
BATCH_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Task:
    """A file to read; ``is_settled``: nobody has written to it for long, its last line is whole without an end."""

    source: Source
    log_day: date | None
    is_settled: bool


class Desk(Protocol):
    """The one process that commits, as those who read see it."""

    def begin(self) -> int:
        """Return the number of a new load."""

    def number_source(self) -> int:
        """Return the number of a content that is new."""

    def packed_alike(self, packed: bytes) -> int | None:
        """Return the source of a packed file with these bytes that was read before."""

    def known(self, head: bytes, url: str) -> list[Known] | None:
        """Return the contents that begin with this line; None: another process reads one, ask again later."""

    def saw(self, task: Task, packed: bytes | None, source: int) -> None:
        """Note that the file holds what is loaded already; source 0: it holds nothing."""

    def judge(self, load: int, ids: Ids, own_days: Days, days: Days) -> Flags:
        """Tell which events were met before."""

    def deliver(self, delivery: Delivery) -> None:
        """Take a load that is written."""

    def failed(self, task: Task, reason: str) -> None:
        """Take note of a file that could not be read, or not to its end."""

    def advance(self, packed_bytes: int, lines: int, refused: int) -> None:
        """Show how far it is."""


class Reader:
    """Reads files, one after the other, into as many loads as it takes."""

    def __init__(self, desk: Desk, settings: Settings) -> None:
        self._desk, self._settings = desk, settings
        self._transform = transform_for(settings)
        self._load: LoadWriter | None = None

    def read(self, tasks: list[Task]) -> list[Task]:
        """Read the files; return those that are to be read later."""
        later = [task for task in tasks if not self._read(task)]
        self._end_load()
        return later

    def _read(self, task: Task) -> bool:
        try:
            with opened(task.source) as stream:
                content = Content(stream)
                head = contents.head_of(content)
            packed = self._packed(task) if content.is_packed else None
            if packed and (alike := self._desk.packed_alike(packed)):
                self._desk.saw(task, packed, alike)
                return True
            known = self._desk.known(head, task.source.url)
            if known is None:
                return False
            self._read_on(task, head, packed, _prefix(task, known))
        except Unreadable as error:
            self._desk.failed(task, str(error))
        return True

    def _packed(self, task: Task) -> bytes:
        with opened(task.source) as stream:
            return contents.hashed(stream)

    def _read_on(self, task: Task, head: bytes, packed: bytes | None, prefix: Known | None) -> None:
        """Read a file from where what is known of it ends."""
        progress = _begun(task, head, packed, prefix)
        with opened(task.source) as stream:
            content = Content(stream)
            lines = Lines(content)
            try:
                self._transform.begin_file(lines.skip(progress.length))
                for each in lines:
                    progress = self._take(progress, content, lines, each)
                if lines.rest and _is_whole(task, content, lines.rest):
                    progress = self._take(progress, content, lines, [lines.take_rest()])
            except Unreadable as error:
                # What came before is sound; the rest comes when the file can be read again.
                content.damage = f"read: {error}"
                self._desk.failed(task, content.damage)
        self._end_file(task, progress, content, lines)

    def _take(self, progress: Progress, content: Content, lines: Lines, each: list[bytes] | TooLong) -> Progress:
        """Take lines, and return the progress that they count for."""
        progress = self._in_load_with_room(progress)
        load = self._load = self._load or LoadWriter(self._desk, self._settings, self._transform)
        if not progress.source:
            progress.source = self._desk.number_source()
        load.enter(progress)
        refused = len(self._transform.quarantine)
        if isinstance(each, TooLong):
            self._transform.refuse(progress.length, each.begin, "longer than 64 MB", length=each.length)
            count = 1
        else:
            self._transform.take(progress.length, each)
            count = len(each)
        load.add(lines.length - progress.length)
        progress.length, progress.digest = lines.length, lines.digest()
        self._desk.advance(content.advanced(), count, len(self._transform.quarantine) - refused)
        if len(self._transform.events) >= BATCH_EVENTS or load.batch_bytes >= BATCH_BYTES:
            load.flush()
        return progress

    def _in_load_with_room(self, progress: Progress) -> Progress:
        """End a load that is full, and return the progress that what comes next of the file counts for."""
        load = self._load
        if not load or load.bytes < LOAD_BYTES:
            return progress
        rest = progress.rest_of()
        if load.has(progress):
            # Of a run that ends here, the next one must not take the file for one that was read.
            progress.stamp, progress.packed = "", None
        self._end_load()
        rest.log_day = progress.log_day
        return rest

    def _end_file(self, task: Task, progress: Progress, content: Content, lines: Lines) -> None:
        # With a line left over, or a file that broke off, the same file is looked at again.
        is_at_end = not lines.rest and not content.damage.startswith("read")
        if self._load and progress.source and self._load.has(progress):
            progress.damage = content.damage
            if not is_at_end:
                progress.stamp, progress.packed = "", None
        elif is_at_end and content.damage:
            # Not seen: that it could not be unpacked is said again until it is whole, or gone.
            there = "what could be unpacked is loaded already" if lines.length else "nothing could be unpacked"
            self._desk.failed(task, f"{content.damage}; {there}")
        elif is_at_end:
            self._desk.saw(task, progress.packed, progress.source)
        self._desk.advance(content.advanced(), 0, 0)

    def _end_load(self) -> None:
        if self._load:
            self._desk.deliver(self._load.finish())
            self._load = None


def _begun(task: Task, head: bytes, packed: bytes | None, prefix: Known | None) -> Progress:
    progress = Progress(0, task.source.url, as_text(task.source.name), task.source.stamp, head, packed=packed)
    if task.log_day:
        progress.is_dated, progress.log_day = True, task.log_day.isoformat()
    if prefix:
        progress.source, progress.length = prefix.source, prefix.length
    return progress


def _is_whole(task: Task, content: Content, rest: bytes) -> bool:
    """Tell whether the last line is all that there will be of it, though it has no end."""
    return task.is_settled or (content.is_packed and not content.damage) or is_event(rest)


def _prefix(task: Task, known: list[Known]) -> Known | None:
    """Return the content that this file goes on with, and how far it is known."""
    if not known:
        return None
    with opened(task.source) as stream:
        found = contents.longest_prefix(Content(stream), {(each.length, each.digest) for each in known})
    return next((each for each in known if (each.length, each.digest) == found), None)
