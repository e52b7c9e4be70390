"""Completions from a file into the facts: checked, compared with what is stored, written, and marked stale."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.imports.absence import Seen, delete_absent
from completion_aggregator.platforms.standalone.imports.attempts import in_transaction
from completion_aggregator.platforms.standalone.imports.courses import Courses, ImportedCourse, UnfitRow
from completion_aggregator.platforms.standalone.imports.facts import Fact, Pair, store_newest
from completion_aggregator.platforms.standalone.imports.moments import AHEAD, parse_moment
from completion_aggregator.platforms.standalone.imports.people import People
from completion_aggregator.platforms.standalone.imports.rejects import Rejects
from completion_aggregator.platforms.standalone.imports.rows import Columns, Values

COLUMNS: Final = Columns(required=("username", "course_id", "block_id", "completion"), optional=("modified",))

# Rows in a transaction: what a crash undoes, and what is held in memory at once.
ROWS_PER_CHUNK: Final = 25_000

Row = tuple[int, Values]


@dataclass(slots=True)
class CompletionsSummary:
    """What became of the rows of a file. Each row is written, unchanged, superseded or rejected.

    Superseded: the file, or the database, has a newer one. ``unknown_blocks``: rows, rejected ones apart, of blocks
    that the course does not have; their completions are kept, and count when a later version has the block.
    ``deleted``: completions, of no row, that a file which holds everything does not have.
    """

    rows: int = 0
    written: int = 0
    unchanged: int = 0
    superseded: int = 0
    unknown_blocks: int = 0
    deleted: int = 0
    rejected: int = 0
    users_created: int = 0


@dataclass(slots=True)
class _Checked:
    """A chunk, checked but for its users: by course, by (username, block key); the newest row of each pair."""

    course: ImportedCourse
    facts: dict[tuple[str, str], tuple[Row, Fact]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What became of the checked rows of one course."""

    written: int
    unchanged: int
    superseded: int


class CompletionsImport:
    """One run over one file."""

    def __init__(
        self, rejects: Rejects, *, create_users: bool, now: datetime, complete_at: datetime | None = None
    ) -> None:
        self.summary = CompletionsSummary()
        self._rejects = rejects
        self._now = now
        self._courses = Courses()
        self._people = People(create=create_users)
        self._complete_at = complete_at
        self._seen = Seen()

    def run(self, rows: Iterator[Row]) -> Iterator[CompletionsSummary]:
        """Import *rows*, and yield the summary so far after each chunk, which is stored by then."""
        while chunk := list(islice(rows, ROWS_PER_CHUNK)):
            self.take(chunk)
            yield self.summary
        self._count()
        # A row that was rejected may be of any learner: then nobody knows what the file lacks.
        if self._complete_at is not None and not self._rejects.count:
            self.summary.deleted = delete_absent(self._seen, as_of=self._complete_at)
            yield self.summary

    def take(self, chunk: Iterable[Row], *, first: Callable[[], object] = lambda: None) -> None:
        """Import some rows in one transaction, in which *first* is done before; if that fails, so does all of it."""
        ready = [(checked.course, self._with_users(checked)) for checked in self._check(chunk)]

        def store() -> list[_Stored]:
            first()
            return [self._store(course, facts) for course, facts in ready]

        self._count(in_transaction(store))
        if self._complete_at is not None:
            for course, facts in ready:
                self._seen.add(course.key, facts.keys())

    def _check(self, chunk: Iterable[Row]) -> list[_Checked]:
        by_course: dict[str, _Checked] = {}
        latest = datetime.now(UTC) + AHEAD  # not of the run's own time: a file that is piped in may go on for hours
        for row in chunk:
            number, values = row
            username, course_text, block_key, completion, modified = values
            try:
                course = self._courses.get(course_text)
                fact = Fact(
                    completion=parse_completion(completion),
                    modified=_parse_modified(modified, latest) if modified else None,
                    block_type=course.block_type(block_key),
                )
            except UnfitRow as unfit:
                self._rejects.add(number, str(unfit), values)
                continue
            if block_key not in course.types:
                self.summary.unknown_blocks += 1
            checked = by_course.setdefault(course.text, _Checked(course))
            self._keep(checked.facts, (username, block_key), row, fact)
        # In one order, in which imports that meet wait for each other, and not both.
        return sorted(by_course.values(), key=lambda checked: checked.course.text)

    def _keep(
        self, facts: dict[tuple[str, str], tuple[Row, Fact]], pair: tuple[str, str], row: Row, fact: Fact
    ) -> None:
        held = facts.get(pair)
        if held is None:
            facts[pair] = row, fact
            return
        # The newest row of a pair stands, whatever the order; of two that are as new, the later one.
        self.summary.superseded += 1
        if (fact.modified or self._now) >= (held[1].modified or self._now):
            facts[pair] = row, fact

    def _with_users(self, checked: _Checked) -> dict[Pair, tuple[str, Fact]]:
        ids = self._people.ids_of({username for username, _ in checked.facts})
        found: dict[Pair, tuple[str, Fact]] = {}
        for (username, block_key), ((number, values), fact) in checked.facts.items():
            if username in ids:
                found[ids[username], block_key] = username, fact
            else:
                self._rejects.add(number, self._people.reason(username), values)
        return found

    def _store(self, course: ImportedCourse, facts: dict[Pair, tuple[str, Fact]]) -> _Stored:
        outcome = store_newest(course.text, {pair: fact for pair, (_, fact) in facts.items()}, now=self._now)
        changes: dict[str, set[str]] = {}
        for pair in outcome.written:
            changes.setdefault(facts[pair][0], set()).add(pair[1])
        aggregation.mark_stale_many(course.key, changes)
        written, superseded = len(outcome.written), len(outcome.superseded)
        return _Stored(written=written, unchanged=len(facts) - written - superseded, superseded=superseded)

    def _count(self, stored: Iterable[_Stored] = ()) -> None:
        summary = self.summary
        for each in stored:
            summary.written += each.written
            summary.unchanged += each.unchanged
            summary.superseded += each.superseded
        summary.rejected = self._rejects.count
        summary.users_created = self._people.created
        summary.rows = summary.written + summary.unchanged + summary.superseded + summary.rejected


def _parse_modified(text: str, latest: datetime) -> datetime:
    moment = parse_moment(text)
    if moment > latest:
        raise UnfitRow("modified in the future")
    return moment


def parse_completion(text: str) -> float:
    """Return a completion from 0 to 1. Raises UnfitRow."""
    try:
        completion = float(text.replace("_", "?"))  # Python alone takes 0_1 for a number
    except ValueError as error:
        raise UnfitRow("the completion is not a number") from error
    if not 0.0 <= completion <= 1.0:  # nor is NaN
        raise UnfitRow("the completion is not between 0 and 1")
    return completion + 0.0  # -0.0 is 0.0
