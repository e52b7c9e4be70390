"""Figures of whole courses, summed by the database from the courses' tallies as last refreshed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from django.core.cache import cache
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.models import AggregatedCourse, CourseProgress
from completion_aggregator.conf import setting
from completion_aggregator.ports import get_platform

#: MariaDB takes 64 names in WITH; each course needs one.
COURSES_AT_ONCE: Final = 50

_Statement: TypeAlias = tuple[str, list[Any]]

#: Everybody enrolled, with or without a row of progress, less those who are left out.
_ENROLLED: Final = (
    f" FROM {{enrolled}} AS e LEFT JOIN {CourseProgress._meta.db_table} AS p ON p.user_id = e.user_id AND p.course_id ="
    f" (SELECT c.id FROM {AggregatedCourse._meta.db_table} AS c WHERE c.course_key = %s)"
    " WHERE e.user_id NOT IN ({without})"
)
_MEAN: Final = "SELECT {nth}, COUNT(*), COALESCE(SUM(p.percent), 0.0)" + _ENROLLED
_FIGURES: Final = (
    "SELECT COUNT(*), COALESCE(SUM(p.earned), 0.0),"
    " COALESCE(AVG(CASE WHEN p.begun THEN p.possible END), 0.0)" + _ENROLLED
)


@dataclass(frozen=True, slots=True)
class CourseFigures:
    """A class in one course: how many are enrolled, and the mean of what they earned and what was possible.

    ``possible`` is the mean over those who have begun, ``percent`` is earned out of it; 0.0 where there are
    none.
    """

    learners: int
    earned: float
    possible: float
    percent: float


def means_of(course_keys: Collection[CourseKey]) -> dict[CourseKey, float]:
    """Return the mean percent of each of these courses: of those enrolled who have no access role in it.

    One query for each fifty of those that are not in the cache.
    """
    names = {_cache_key(course_key): course_key for course_key in course_keys}
    kept: Mapping[str, float] = cache.get_many(names)
    missing = [name for name in names if name not in kept]
    found: dict[str, float] = {}
    for start in range(0, len(missing), COURSES_AT_ONCE):
        some = missing[start : start + COURSES_AT_ONCE]
        found |= zip(some, _means([names[name] for name in some]), strict=True)
    if found:
        cache.set_many(found, timeout=setting("MEAN_CACHE_SECONDS"))
    return {course_key: kept[name] if name in kept else found[name] for name, course_key in names.items()}


def figures_of(
    course_key: CourseKey, *, cohort_id: int | None = None, without_roles: Collection[str] = ()
) -> CourseFigures:
    """Return the figures of a course, or of one cohort in it, less those who have one of these roles in the course."""
    platform = get_platform()
    enrolled = subquery(platform.enrollments(course_key, cohort_id=cohort_id))
    without = subquery(platform.role_holders(course_key, without_roles))
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH e(user_id) AS ({enrolled[0]})" + _FIGURES.format(enrolled="e", without=without[0]),
            [*enrolled[1], str(course_key), *without[1]],
        )
        learners, earned, possible = cursor.fetchone()
    possible = float(possible)
    return CourseFigures(
        learners=learners,
        earned=earned / learners if learners else 0.0,
        possible=possible,
        percent=earned / (possible * learners) if possible and learners else 0.0,
    )


def subquery(query: QuerySet[Any, Any]) -> _Statement:
    """Return the SQL of a query of one column, and its parameters, to stand inside another statement."""
    try:
        sql, parameters = query.order_by().query.sql_with_params()
    except EmptyResultSet:
        return "SELECT 0 FROM (SELECT 0) AS nobody WHERE 1 = 0", []
    return sql, list(parameters)


def _means(course_keys: Collection[CourseKey]) -> list[float]:
    platform, tables, selects = get_platform(), list[_Statement](), list[_Statement]()
    for nth, course_key in enumerate(course_keys):
        enrolled, without = subquery(platform.enrollments(course_key)), subquery(platform.role_holders(course_key))
        tables.append((f"e{nth}(user_id) AS ({enrolled[0]})", enrolled[1]))
        select = _MEAN.format(nth=nth, enrolled=f"e{nth}", without=without[0])
        selects.append((select, [str(course_key), *without[1]]))
    statement = f"WITH {', '.join(sql for sql, _ in tables)} {' UNION ALL '.join(sql for sql, _ in selects)}"
    with connection.cursor() as cursor:
        cursor.execute(statement, [value for _, values in (*tables, *selects) for value in values])
        rows = sorted(cursor.fetchall())
    return [float(total) / learners if learners else 0.0 for _, learners, total in rows]


def _cache_key(course_key: CourseKey) -> str:
    # Course keys may be longer than a key of memcached.
    return f"completion_aggregator.mean.{blake2b(str(course_key).encode(), digest_size=16).hexdigest()}"
