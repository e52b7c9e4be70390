"""The learners of a course, filtered and in an order, by what the last refresh stored of each.

The order is total, the user id decides last, and a page starts behind a place, not at a number: learners who join,
leave or move between two pages make nobody else appear twice or go missing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import numpy as np
from django.db import connection
from django.utils import timezone
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.courses import KnownCourse, bounded, known_course
from completion_aggregator.aggregation.models import CourseProgress, percent
from completion_aggregator.aggregation.standings import Standing, live_standings, stored_standings, usernames
from completion_aggregator.aggregation.statistics import subquery
from completion_aggregator.ports import get_platform

TABLE: Final = CourseProgress._meta.db_table
#: Learners whose entries are in memory together while a whole class is read.
ENTRIES_AT_ONCE: Final = 500

_STORED: Final = (
    "as_of", "earned", "possible", "percent", "optional_earned", "optional_possible", "last_modified", "last_activity",
)  # fmt: skip
# The platform says who is enrolled by a query of its own; the database joins it with what we stored. Learners without
# a row are in the class as well: nothing earned, never active. A CTE names the one column, whatever it is called there.
_CLASS: Final = (
    "WITH enrolled(user_id) AS ({enrolled})"
    " SELECT {columns} FROM enrolled e LEFT JOIN {table} p ON p.course_id = %s AND p.user_id = e.user_id"
    "{conditions} ORDER BY {order}{limit}"
)
_PERCENT: Final = "COALESCE(p.percent, 0.0)"
_ACTIVITY: Final = "p.last_activity"


class Order(StrEnum):
    """How a class is sorted. Whoever was never active stands before all who were."""

    ID = "id"
    PERCENT = "percent"
    PERCENT_DOWN = "-percent"
    ACTIVITY = "activity"
    ACTIVITY_DOWN = "-activity"


# NULL comes first on some databases and last on others: the first expression says where it is.
_ORDERS: Final = {
    Order.ID: "e.user_id",
    Order.PERCENT: f"{_PERCENT}, e.user_id",
    Order.PERCENT_DOWN: f"{_PERCENT} DESC, e.user_id",
    Order.ACTIVITY: f"{_ACTIVITY} IS NOT NULL, {_ACTIVITY}, e.user_id",
    Order.ACTIVITY_DOWN: f"{_ACTIVITY} IS NULL, {_ACTIVITY} DESC, e.user_id",
}


@dataclass(frozen=True, slots=True)
class RosterQuery:
    """Which learners of a course, and in which order. All conditions hold for the numbers of the last refresh.

    ``percent_min`` and ``percent_max`` are included; ``active_since`` is, ``active_before`` is not.
    """

    course_key: CourseKey
    mode: str | None = None
    cohort_id: int | None = None
    percent_min: float | None = None
    percent_max: float | None = None
    active_since: datetime | None = None
    active_before: datetime | None = None
    never_active: bool = False
    order: Order = Order.ID


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an order: a learner, and the percent or last activity that put her there."""

    user_id: int
    value: float | datetime | None = None


@dataclass(frozen=True, eq=False, slots=True)
class RosterEntry:
    """One learner of a class.

    ``sums``: earned, possible, percent of the course, and the same of the optional side, as refreshed at ``as_of``; of
    a learner who was never refreshed, as worked out at that moment. ``standing``: her blocks, where they were asked
    for.
    """

    user_id: int
    username: str
    as_of: datetime
    sums: Sequence[float]
    last_modified: datetime | None
    last_activity: datetime | None
    standing: Standing | None


@dataclass(frozen=True, eq=False, slots=True)
class Roster:
    """A class, or a page of it; ``end`` is where the next page starts, None if there is none.

    ``title``, ``block_key`` and ``block_type`` are those of the course block.
    """

    title: str
    block_key: str
    block_type: str
    entries: Iterable[RosterEntry]
    end: Place | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """What is stored of a learner; ``as_of`` is None where there was no refresh yet."""

    user_id: int
    as_of: datetime | None
    earned: float
    possible: float
    percent: float
    optional_earned: float
    optional_possible: float
    last_modified: datetime | None
    last_activity: datetime | None

    def place(self, order: Order) -> Place:
        match order:
            case Order.ID:
                return Place(self.user_id)
            case Order.PERCENT | Order.PERCENT_DOWN:
                return Place(self.user_id, self.percent)
            case Order.ACTIVITY | Order.ACTIVITY_DOWN:
                return Place(self.user_id, self.last_activity)


def page_of(query: RosterQuery, *, size: int, after: Place | None = None, blocks: bool = False) -> Roster:
    """Return the *size* learners behind *after*, with as many queries for a hundred as for one.

    Raises UnknownCourse or InvalidCourse.
    """
    course = known_course(query.course_key)
    found = [_row(each) for each in _read(course, query, _COLUMNS, after=after, limit=size + 1)]
    rows = found[:size]
    end = rows[-1].place(query.order) if len(found) > size else None
    return _roster(course, _entries(course, rows, blocks=blocks), end)


def whole_of(query: RosterQuery, *, blocks: bool = False) -> Roster:
    """Return the whole class as it is now, its entries to be iterated over once: nobody twice, whatever changes.

    Memory holds the ids of the class and a few hundred entries. Raises UnknownCourse or InvalidCourse, at once.
    """
    course = known_course(query.course_key)
    ids = np.fromiter((row[0] for row in _read(course, query, "e.user_id")), dtype=np.int64)
    return _roster(course, _whole(course, ids, blocks=blocks))


def _roster(course: KnownCourse, entries: Iterable[RosterEntry], end: Place | None = None) -> Roster:
    graph = course.graph
    return Roster(graph.titles[0], graph.keys[0], graph.types[0], entries, end)


def _whole(course: KnownCourse, ids: NDArray[np.int64], *, blocks: bool) -> Iterator[RosterEntry]:
    size = bounded(ENTRIES_AT_ONCE, 2 * len(course.graph))  # half of what a refresh may hold
    for start in range(0, len(ids), size):
        user_ids = ids[start : start + size].tolist()
        stored = CourseProgress.objects.filter(course_id=course.row.pk or 0, user_id__in=user_ids)
        known = {row[0]: _Row(*row) for row in stored.values_list("user_id", *_STORED)}
        rows = [known.get(user_id) or _row((user_id, *[None] * len(_STORED))) for user_id in user_ids]
        yield from _entries(course, rows, blocks=blocks)


_COLUMNS: Final = ", ".join(("e.user_id", *(f"p.{name}" for name in _STORED)))


def _read(
    course: KnownCourse, query: RosterQuery, columns: str, *, after: Place | None = None, limit: int | None = None
) -> Iterator[tuple[Any, ...]]:
    sql, parameters = statement(course.row.pk or 0, query, columns, after=after, limit=limit)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        while found := cursor.fetchmany(1000):
            yield from found


def statement(
    course_id: int, query: RosterQuery, columns: str, *, after: Place | None = None, limit: int | None = None
) -> tuple[str, list[Any]]:
    """Return the SQL that reads *columns* of a class, and its parameters."""
    enrollments = get_platform().enrollments(query.course_key, mode=query.mode, cohort_id=query.cohort_id)
    enrolled, parameters = subquery(enrollments)
    wanted = [*_conditions(query), *([] if after is None else [_behind(query.order, after)])]
    sql = _CLASS.format(
        enrolled=enrolled,
        columns=columns,
        table=TABLE,
        conditions=" WHERE " + " AND ".join(condition for condition, _ in wanted) if wanted else "",
        order=_ORDERS[query.order],
        limit="" if limit is None else f" LIMIT {limit:d}",
    )
    values = [_parameter(value) for _, each in wanted for value in each]
    return sql, [*parameters, course_id, *values]


def _conditions(query: RosterQuery) -> Iterator[tuple[str, list[Any]]]:
    for condition, value in (
        (f"{_PERCENT} >= %s", query.percent_min),
        (f"{_PERCENT} <= %s", query.percent_max),
        (f"{_ACTIVITY} >= %s", query.active_since),
        (f"{_ACTIVITY} < %s", query.active_before),
    ):
        if value is not None:
            yield condition, [value]
    if query.never_active:
        yield f"{_ACTIVITY} IS NULL", []


def _behind(order: Order, place: Place) -> tuple[str, list[Any]]:
    """Return the condition that a learner comes after *place*."""
    value, user_id = place.value, place.user_id
    match order:
        case Order.ID:
            return "e.user_id > %s", [user_id]
        case Order.PERCENT:
            return f"({_PERCENT} > %s OR ({_PERCENT} = %s AND e.user_id > %s))", [value, value, user_id]
        case Order.PERCENT_DOWN:
            return f"({_PERCENT} < %s OR ({_PERCENT} = %s AND e.user_id > %s))", [value, value, user_id]
        case Order.ACTIVITY if value is None:
            return f"({_ACTIVITY} IS NOT NULL OR e.user_id > %s)", [user_id]
        case Order.ACTIVITY:
            return f"({_ACTIVITY} > %s OR ({_ACTIVITY} = %s AND e.user_id > %s))", [value, value, user_id]
        case Order.ACTIVITY_DOWN if value is None:
            return f"({_ACTIVITY} IS NULL AND e.user_id > %s)", [user_id]
        case Order.ACTIVITY_DOWN:
            smaller = f"{_ACTIVITY} IS NULL OR {_ACTIVITY} < %s"
            return f"({smaller} OR ({_ACTIVITY} = %s AND e.user_id > %s))", [value, value, user_id]


def _parameter(value: Any) -> Any:
    """Return *value* as the driver takes it."""
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def _row(values: Sequence[Any]) -> _Row:
    user_id, as_of, earned, possible, share, optional_earned, optional_possible, modified, activity = values
    return _Row(
        user_id, _moment(as_of), earned or 0.0, possible or 0.0, share or 0.0,
        optional_earned or 0.0, optional_possible or 0.0, _moment(modified), _moment(activity),
    )  # fmt: skip


def _moment(value: datetime | None) -> datetime | None:
    """Return what Django's fields make of a time that the driver returns."""
    return timezone.make_aware(value, connection.timezone) if value is not None and value.tzinfo is None else value


def _entries(course: KnownCourse, rows: Sequence[_Row], *, blocks: bool) -> tuple[RosterEntry, ...]:
    """Return the entries of these learners, without those whose account is gone."""
    user_ids = [row.user_id for row in rows]
    names = usernames(user_ids)
    now = timezone.now()
    new = [row.user_id for row in rows if row.as_of is None]
    live = live_standings(course.key, new) if new else {}
    built = [row.user_id for row in rows if row.as_of is not None] if blocks else []
    standings = stored_standings(course, built) if built else {}
    return tuple(
        _stored(row, row.as_of, names[row.user_id], standings.get(row.user_id))
        if row.as_of is not None
        else _new(live[row.user_id], now, names[row.user_id])
        for row in rows
        if row.user_id in names
    )


def _stored(row: _Row, as_of: datetime, username: str, standing: Standing | None) -> RosterEntry:
    sums = (
        row.earned, row.possible, row.percent,
        row.optional_earned, row.optional_possible, percent(row.optional_earned, row.optional_possible),
    )  # fmt: skip
    return RosterEntry(row.user_id, username, as_of, sums, row.last_modified, row.last_activity, standing)


def _new(standing: Standing, now: datetime, username: str) -> RosterEntry:
    sums: Sequence[float] = standing.sums[0].tolist()
    modified, activity = standing.last_modified, standing.last_activity
    return RosterEntry(standing.user_id, username, now, sums, modified, activity, standing)
