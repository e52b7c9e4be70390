"""Content-type gating: who audits a course may be kept from its graded content.

The group in partition 51 is 1, limited, or 2, full. What is denied to the limited stays in place with a message for as
long as the course can be upgraded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from time import monotonic
from typing import Final

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.platforms.openedx import lms
from completion_aggregator.platforms.openedx.inquiry import Division, Enrolled, Found, Inquiry, by_course
from completion_aggregator.platforms.openedx.tables import Row, rows

SCHEME: Final = "content_type_gate"
LIMITED: Final = 1
FULL: Final = 2
AUDIT: Final = "audit"
VERIFIED: Final = "verified"
#: Roles in a course's forum that open all of its content.
FORUM_ROLES: Final = ("Administrator", "Community TA", "Group Moderator", "Moderator")
REMEMBERED_SECONDS: Final = 60
REMEMBERED_COURSES: Final = 1024


@dataclass(frozen=True, slots=True)
class Offer:
    """The course can be upgraded *until* then, or for ever."""

    until: datetime | None


def groups(divisions: Sequence[Division], inquiry: Inquiry) -> Found:
    """Yield everybody's group: three queries, and those that the LMS needs for the settings of each course."""
    limited = {division.course: _audits(division, inquiry) for division in divisions}
    suspects = {user_id for each in limited.values() for user_id in each}
    if suspects:
        keys = [key for key in by_course(divisions) if limited[str(key)]]
        for course, user_id in (*_of_forum(keys, suspects), *_held_back(keys, suspects)):
            limited[course].discard(user_id)
    for division in divisions:
        for user_id in inquiry.user_ids:
            yield division, user_id, LIMITED if user_id in limited[division.course] else FULL


def offer(course: str, inquiry: Inquiry) -> Offer | None:
    """Return the offer that comes with the message on what is denied; None: there is none, nor a message."""
    modes = inquiry.modes[course]
    until = modes.get(VERIFIED)
    return Offer(until) if VERIFIED in modes and (until is None or inquiry.now <= until) else None


def forget() -> None:
    """Drop what this process remembers of settings: for tests."""
    _within.cache_clear()


def _audits(division: Division, inquiry: Inquiry) -> set[int]:
    """Return the learners who are limited, for all that their enrollments and access roles tell."""
    course = division.course
    since = None
    if {AUDIT, VERIFIED} <= inquiry.modes[course].keys():
        since = (_remembered if inquiry.may_remember else _enabled_since)(division.course_key)
    if since is None:
        return set()
    privileged = inquiry.privileged[course]
    exempt = privileged.staff | privileged.beta
    return {
        user_id
        for user_id in inquiry.user_ids
        if user_id not in exempt and _limited(inquiry.enrolled.get((course, user_id)), since, inquiry.now)
    }


def _limited(enrolled: Enrolled | None, since: datetime, now: datetime) -> bool:
    # Who is not enrolled counts as enrolled today.
    if enrolled is None:
        return since <= now
    # An enrollment without a date is older than the column, and than gating.
    return (
        enrolled.created is not None
        and since <= enrolled.created
        and (enrolled.mode == AUDIT or not enrolled.is_active)
    )


def _of_forum(course_keys: list[CourseKey], user_ids: set[int]) -> Iterator[Row]:
    model = lms.model("django_comment_common", "Role_users")
    return rows(model, course_keys, user_ids, course="role__course_id", role__name__in=FORUM_ROLES)


def _held_back(course_keys: list[CourseKey], user_ids: set[int]) -> Iterator[Row]:
    model = lms.model("student", "FBEEnrollmentExclusion")
    return rows(model, course_keys, user_ids, user="enrollment__user_id", course="enrollment__course_id")


def _enabled_since(course_key: CourseKey) -> datetime | None:
    config = lms.gating_config(course_key)
    return config.enabled_as_of if config is not None and config.enabled else None


def _remembered(course_key: CourseKey) -> datetime | None:
    return _within(course_key, int(monotonic() // REMEMBERED_SECONDS))


@lru_cache(maxsize=REMEMBERED_COURSES)
def _within(course_key: CourseKey, minute: int) -> datetime | None:
    # For one learner's list of courses only, which would ask a query or more for each. What is stored of learners is
    # worked out course by course, from the settings as they are: a change that marked them stale is not missed.
    return _enabled_since(course_key)
