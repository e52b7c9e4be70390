"""The newest content of a course, taken over before it is worked with.

Where it cannot be read, what is kept is worked with, and the error told; where nothing is kept, it is postponed.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.courses import Course, open_course
from completion_aggregator.aggregation.models import AggregatedCourse
from completion_aggregator.exceptions import CompletionAggregatorError, storable
from completion_aggregator.ports import get_platform

log = logging.getLogger(__name__)

_LONGEST_PAUSE: Final = timedelta(hours=1)


def renew(course_key: CourseKey) -> None:
    """Take over newer content of the course, if there is any. Raises UnknownCourse or InvalidCourse."""
    platform = get_platform()
    if platform.outdated(course_key):
        platform.renew(course_key)


def renew_if_possible(course_key: CourseKey) -> CompletionAggregatorError | None:
    """Take over newer content, or return why that is not possible."""
    try:
        renew(course_key)
    except CompletionAggregatorError as error:
        log.warning("not renewed course=%s: %s", course_key, error)
        return error
    return None


def renew_all() -> dict[CourseKey, CompletionAggregatorError]:
    """Take over whatever content is newer; return the courses whose newest content cannot be read, and why."""
    platform, failed = get_platform(), dict[CourseKey, CompletionAggregatorError]()
    outdated = platform.outdated()
    waiting = postponed() if outdated else frozenset()
    for course_key in outdated:
        if str(course_key) in waiting:
            continue
        try:
            platform.renew(course_key)
            readable(course_key)
        except CompletionAggregatorError as error:
            failed[course_key] = error
            if _is_kept(course_key):
                _tell(course_key, error)
            else:
                _postpone(course_key, str(error))
    return failed


def opened(course_key: CourseKey) -> Course:
    """Return the course with its newest content; one that cannot be read is postponed.

    Where it is only the newest content that cannot be read, the one before it is worked with. Raises UnknownCourse or
    InvalidCourse.
    """
    problem = renew_if_possible(course_key)
    with postponing(course_key):
        course = open_course(course_key)
    if problem is not None:
        _tell(course_key, problem)
    elif course.row.error:
        readable(course_key)
    return course


def _is_kept(course_key: CourseKey) -> bool:
    try:
        get_platform().course_version(course_key)
    except CompletionAggregatorError:
        return False
    return True


def _tell(course_key: CourseKey, error: CompletionAggregatorError) -> None:
    """Keep the error where ``status`` finds it, of a course that is worked with all the same."""
    AggregatedCourse.objects.update_or_create(course_key=course_key, defaults={"error": storable(str(error))})


@contextmanager
def postponing(course_key: CourseKey) -> Iterator[None]:
    """Leave the course alone for a while if what is done here finds that it cannot be read."""
    try:
        yield
    except CompletionAggregatorError as error:
        error.known = _postpone(course_key, str(error))
        raise


def postponed() -> Collection[str]:
    """Return the courses that are to be left alone for now."""
    now = timezone.now()
    return frozenset(key for key, until in unreadable().items() if until is not None and until > now)


def unreadable() -> Mapping[str, datetime | None]:
    """Return the courses that could not be read the last time that was tried, and until when to leave them alone."""
    rows = AggregatedCourse.objects.filter(failures__gt=0).values_list("course_key", "retry_at")
    return {str(key): until for key, until in rows}


def readable(course_key: CourseKey) -> None:
    """Forget what was wrong with the course."""
    rows = AggregatedCourse.objects.filter(course_key=course_key).exclude(failures=0, error="")
    rows.update(failures=0, error="", retry_at=None)


def _postpone(course_key: CourseKey, error: str) -> bool:
    """Try a course that cannot be read less and less often, so that it does not hold up the others.

    Return whether the same was wrong with it before.
    """
    row, _ = AggregatedCourse.objects.get_or_create(course_key=course_key)
    pause = min(timedelta(seconds=30 * 2 ** min(row.failures, 10)), _LONGEST_PAUSE)
    AggregatedCourse.objects.filter(pk=row.pk).update(
        failures=row.failures + 1, error=storable(error), retry_at=timezone.now() + pause
    )
    return row.error == storable(error)
