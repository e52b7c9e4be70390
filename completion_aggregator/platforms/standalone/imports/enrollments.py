"""Enrollments from a file, with the users that they need."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.environment import parse_flag
from completion_aggregator.platforms.standalone.imports.attempts import in_transaction
from completion_aggregator.platforms.standalone.imports.courses import Courses, ImportedCourse, UnfitRow
from completion_aggregator.platforms.standalone.imports.moments import parse_moment
from completion_aggregator.platforms.standalone.imports.people import People
from completion_aggregator.platforms.standalone.imports.rejects import Rejects
from completion_aggregator.platforms.standalone.imports.rows import Columns, Values
from completion_aggregator.platforms.standalone.models import Enrollment
from completion_aggregator.upsert import upsert

COLUMNS: Final = Columns(required=("username", "course_id"), optional=("mode", "is_active", "created"))

DEFAULT_MODE: Final = "audit"
LONGEST_MODE: Final = 100
ROWS_PER_CHUNK: Final = 10_000
IDS_PER_QUERY: Final = 10_000

Row = tuple[int, Values]


@dataclass(slots=True)
class EnrollmentsSummary:
    """What became of the rows of a file. Each row is written, unchanged, superseded by a later one, or rejected."""

    rows: int = 0
    written: int = 0
    unchanged: int = 0
    superseded: int = 0
    rejected: int = 0
    users_created: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A learner's place in a course. ``created`` is None when the file has no time for it."""

    mode: str
    is_active: bool
    created: datetime | None


class EnrollmentsImport:
    """One run over one file."""

    def __init__(self, rejects: Rejects, *, now: datetime) -> None:
        self.summary = EnrollmentsSummary()
        self._rejects = rejects
        self._now = now
        self._courses = Courses()
        self._people = People(create=True)

    def run(self, rows: Iterator[Row]) -> Iterator[EnrollmentsSummary]:
        """Import *rows*, and yield the summary so far after each chunk, which is stored by then."""
        while chunk := list(islice(rows, ROWS_PER_CHUNK)):
            ready = self._check(chunk)
            stored = in_transaction(lambda: [self._store(course, places) for course, places in ready])  # noqa: B023
            self._count(written=sum(stored), checked=sum(len(places) for _, places in ready))
            yield self.summary
        self._count()

    def _check(self, chunk: list[Row]) -> list[tuple[ImportedCourse, dict[str, Place]]]:
        fit: list[tuple[Row, ImportedCourse, Place]] = []
        for number, values in chunk:
            try:
                fit.append(((number, values), self._courses.get(values[1]), parse_place(*values[2:])))
            except UnfitRow as unfit:
                self._rejects.add(number, str(unfit), values)
        return self._by_course(fit)

    def _by_course(self, fit: list[tuple[Row, ImportedCourse, Place]]) -> list[tuple[ImportedCourse, dict[str, Place]]]:
        ids = self._people.ids_of({values[0] for (_, values), _, _ in fit})
        places: dict[str, tuple[ImportedCourse, dict[str, Place]]] = {}
        for (number, values), course, place in fit:
            username = values[0]
            if username not in ids:
                self._rejects.add(number, self._people.reason(username), values)
                continue
            by_name = places.setdefault(course.text, (course, {}))[1]
            self.summary.superseded += username in by_name
            by_name[username] = place
        return list(places.values())

    def _store(self, course: ImportedCourse, places: Mapping[str, Place]) -> int:
        ids = self._people.ids_of(places)
        stored = _stored(course.id, sorted(ids.values()))
        rows = {}
        for username, place in places.items():
            held = stored.get(ids[username])
            row = (place.mode, place.is_active, place.created or (held[2] if held else self._now))
            if row != held:
                rows[username] = (course.id, ids[username], *row)
        columns = ("course_id", "user_id", "mode", "is_active", "created")
        upsert(Enrollment._meta.db_table, columns, columns[:2], list(rows.values()), update=columns[2:])
        aggregation.mark_stale_many(course.key, dict.fromkeys(rows))
        return len(rows)

    def _count(self, *, written: int = 0, checked: int = 0) -> None:
        summary = self.summary
        summary.written += written
        summary.unchanged += checked - written
        summary.rejected = self._rejects.count
        summary.users_created = self._people.created
        summary.rows = summary.written + summary.unchanged + summary.superseded + summary.rejected


def parse_place(mode: str, is_active: str, created: str) -> Place:
    """Return a place; empty values stand for the defaults. Raises UnfitRow."""
    if len(mode) > LONGEST_MODE:
        raise UnfitRow(f"the mode is longer than {LONGEST_MODE} characters")
    try:
        active = parse_flag(is_active) if is_active else True
    except ValueError as error:
        raise UnfitRow("is_active is neither true nor false") from error
    return Place(mode=mode or DEFAULT_MODE, is_active=active, created=parse_moment(created) if created else None)


def _stored(course_id: int, user_ids: list[int]) -> dict[int, tuple[str, bool, datetime]]:
    found: dict[int, tuple[str, bool, datetime]] = {}
    for start in range(0, len(user_ids), IDS_PER_QUERY):
        some = Enrollment.objects.filter(course_id=course_id, user_id__in=user_ids[start : start + IDS_PER_QUERY])
        for user_id, mode, is_active, created in some.values_list("user_id", "mode", "is_active", "created"):
            found[user_id] = (mode, is_active, created)
    return found
