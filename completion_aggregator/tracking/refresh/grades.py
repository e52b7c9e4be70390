"""Grades of courses and subsections as the platform keeps them, what overrides these, and certificates."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from completion_aggregator.tracking.refresh.source import (
    Pseudonym,
    Row,
    Source,
    flag,
    integer,
    lenient,
    moment,
    number,
    text,
)
from completion_aggregator.tracking.refresh.summary import Account, RefreshSummary
from completion_aggregator.tracking.refresh.tables import GRADE
from completion_aggregator.tracking.refresh.target import Target

_COURSES: Final = "grades_persistentcoursegrade"
_SUBSECTIONS: Final = "grades_persistentsubsectiongrade"
_OVERRIDES: Final = "grades_persistentsubsectiongradeoverride"
_CERTIFICATES: Final = "certificates_generatedcertificate"
#: What is read of the platform.
SOURCES: Final = (_COURSES, _SUBSECTIONS, _OVERRIDES, _CERTIFICATES)


def refresh_grades(source: Source, target: Target, *, pseudonym: Pseudonym) -> RefreshSummary:
    """Write ``grade``; the notes say if the platform has no overrides. Raises AbsentTable or AbsentColumn."""
    account = Account("grades", target)
    if _OVERRIDES not in source.tables():
        account.notes.append(f"no grades that override others: {source.name} has no table {_OVERRIDES}")
    account.write(GRADE, _grades(source, lenient(pseudonym)))
    return account.close()


def _grades(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    yield from _of_courses(source, pseudonym)
    yield from _of_subsections(source, pseudonym)
    yield from _certificates(source, pseudonym)


def _of_courses(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    columns = ("user_id", "course_id", "percent_grade", "letter_grade", "passed_timestamp", "created", "modified")
    for rows in source.rows(_COURSES, columns):
        for user, course, percent, letter, passed, created, modified in rows:
            yield (
                pseudonym(user), text(course), "course", None, None, None, None, None, number(percent), text(letter),
                passed is not None, moment(passed), None, None, None, moment(created), moment(modified),
            )  # fmt: skip


def _of_subsections(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    """Yield the grade of each subsection as it was worked out, and behind it what the platform goes by instead."""
    overrides = _overrides(source)
    columns = (
        "id", "user_id", "course_id", "usage_key", "earned_all", "possible_all", "earned_graded", "possible_graded",
        "first_attempted", "created", "modified",
    )  # fmt: skip
    for rows in source.rows(_SUBSECTIONS, columns):
        for grade, user, course, block, *points, first, created, last in rows:
            whose = pseudonym(user), text(course)
            yield _of_subsection(
                (*whose, "subsection", text(block)), points, (moment(first), None, None), created, last
            )
            if override := overrides.get(integer(grade)):
                *instead, system, made, changed = override
                kind = (*whose, "override", text(block))
                yield _of_subsection(kind, instead, (None, None, text(system)), made, changed)


def _of_subsection(kind: Row, points: Row | list[Any], others: Row, created: Any, modified: Any) -> Row:
    earned, possible, earned_graded, possible_graded = map(number, points)
    found = earned, possible, earned_graded, possible_graded, ratio(earned, possible)
    return (*kind, *found, None, None, None, *others, moment(created), moment(modified))


def _overrides(source: Source) -> Mapping[int | None, Row]:
    """Return what overrides grades, by their numbers: as many as staff has made, and proctoring."""
    if _OVERRIDES not in source.tables():
        return {}
    points = (f"{name}_override" for name in ("earned_all", "possible_all", "earned_graded", "possible_graded"))
    columns = ("grade_id", *points, "created", "modified")
    return {
        integer(grade): (*points, system, created, modified)
        for rows in source.rows(_OVERRIDES, columns, optional=("system",))
        for grade, *points, created, modified, system in rows
    }


def _certificates(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    columns = ("user_id", "course_id", "grade", "mode", "status", "created_date", "modified_date")
    for rows in source.rows(_CERTIFICATES, columns):
        for user, course, grade, mode, status, created, modified in rows:
            yield (
                pseudonym(user), text(course), "certificate", None, None, None, None, None, number(grade), None,
                flag(status == "downloadable"), None, None, text(mode), text(status), moment(created), moment(modified),
            )  # fmt: skip


def ratio(earned: float | None, possible: float | None) -> float | None:
    """Return earned out of possible; None where nothing is possible."""
    return earned / possible if earned is not None and possible else None
