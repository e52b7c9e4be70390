"""Grades of courses and subsections as the platform keeps them, and certificates."""

from collections.abc import Iterator
from typing import Final

from completion_aggregator.tracking.refresh.source import Pseudonym, Row, Source, flag, lenient, moment, number, text
from completion_aggregator.tracking.refresh.summary import Account, RefreshSummary
from completion_aggregator.tracking.refresh.tables import GRADE
from completion_aggregator.tracking.refresh.target import Target

_COURSES: Final = "grades_persistentcoursegrade"
_SUBSECTIONS: Final = "grades_persistentsubsectiongrade"
_CERTIFICATES: Final = "certificates_generatedcertificate"
#: What is read of the platform.
SOURCES: Final = (_COURSES, _SUBSECTIONS, _CERTIFICATES)


def refresh_grades(source: Source, target: Target, *, pseudonym: Pseudonym) -> RefreshSummary:
    """Write ``grade``. Raises AbsentTable or AbsentColumn."""
    account = Account("grades", target)
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
    columns = ("user_id", "course_id", "usage_key", "earned_all", "possible_all", "earned_graded", "possible_graded")
    dates = ("first_attempted", "created", "modified")
    for rows in source.rows(_SUBSECTIONS, (*columns, *dates)):
        for user, course, block, earned_all, possible_all, earned_graded, possible_graded, first, created, last in rows:
            earned, possible = number(earned_all), number(possible_all)
            yield (
                pseudonym(user), text(course), "subsection", text(block), earned, possible, number(earned_graded),
                number(possible_graded), ratio(earned, possible), None, None, None, moment(first), None, None,
                moment(created), moment(last),
            )  # fmt: skip


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
