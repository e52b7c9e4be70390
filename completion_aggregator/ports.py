"""What we ask of a platform: course graphs, who sees what, who is enrolled.

A platform speaks in keys and plain records, always in bulk: a method that takes learners or courses answers for all of
them with a fixed number of queries and writes nothing; ``visit`` alone does neither. Sets of learners that may be large
are handed out as a query of one column, the user id, so that the database can join it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from inspect import isfunction
from typing import Any, Final, Protocol

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import PREFIX, setting
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.visibility import Profile


@dataclass(frozen=True, slots=True)
class Sight:
    """What decides a learner's tree of one course, and until when that holds.

    ``selections`` maps the key of an item bank to the keys of the children drawn for this learner, in their stored
    order; a bank that is absent has no stored draw.
    """

    profile: Profile
    valid_until: datetime | None = None
    selections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedEnrollment:
    """An enrollment as tables for analysis have it, active or not.

    ``lms_id`` is the learner's number in the LMS, whose logs know her by it; None where it was not told.
    ``username`` is empty where the LMS's name of her was not. ``cohort``: its number here and its name.
    """

    lms_id: int | None
    username: str
    course_key: str
    mode: str
    is_active: bool
    created: datetime | None
    cohort: tuple[int, str] | None = None


class Platform(Protocol):
    """The LMS as we see it."""

    def listen(self) -> None:
        """Connect to the platform's own signals, once, when Django starts: none but their modules may be imported."""

    def outdated(self, course_key: CourseKey | None = None) -> Collection[CourseKey]:
        """Return the courses whose content is newer than what is answered here, with a fixed number of queries.

        With *course_key*, of this course alone, which takes one query at most: each refresh asks for its own course.
        """

    def renew(self, course_key: CourseKey) -> None:
        """Answer with the newest content of the course from now on. Raises UnknownCourse or InvalidCourse.

        The course's learners are not marked by this: where the content turned out to be another, it says so to
        ``aggregation.api.course_changed`` in the same transaction.
        """

    def course_version(self, course_key: CourseKey) -> str:
        """Return the version of the course's content: cheap, one query at most.

        Raises UnknownCourse.
        """

    def course_versions(self, course_keys: Collection[CourseKey]) -> Mapping[CourseKey, str]:
        """Return the content version of each of these courses that exists."""

    def course_graph(self, course_key: CourseKey) -> tuple[str, CourseGraph]:
        """Return the current content version and its graph. Raises UnknownCourse or InvalidCourse."""

    def course_graphs(self, course_keys: Collection[CourseKey]) -> Mapping[CourseKey, tuple[str, CourseGraph]]:
        """Return the same of each of these courses whose content can be read."""

    def graded(self, course_key: CourseKey) -> Collection[str] | None:
        """Return the keys of the course's blocks that count for its grade; None where the platform does not say.

        It may read the whole content: for tables of it, never in a request. Raises UnknownCourse or InvalidCourse.
        """

    def sights(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        """Return the sight of every learner asked for, by user id, as far as the rules go that are known."""

    def asks_one_by_one(self, course_key: CourseKey, graph: CourseGraph) -> bool:
        """Return whether rules decide in this course that are known to the platform alone; no query."""

    def visit(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        """Return what such a course shows each of these learners.

        As slow as so many visits to the platform, and it may write what visits write: for refreshes, never for reads.
        """

    def enrolled_user_ids(self, course_key: CourseKey) -> Iterator[int]:
        """Yield the ids of the learners with an active enrollment, ascending."""

    def sights_of(
        self, user_id: int, graphs: Mapping[CourseKey, CourseGraph], *, now: datetime
    ) -> Mapping[CourseKey, Sight]:
        """Return the sight that one learner has of each of these courses."""

    def enrolled_courses(self, user_id: int, *, mobile_only: bool = False) -> list[CourseKey]:
        """Return the courses of a learner's active enrollments, by course key; *mobile_only*: those made for phones."""

    def is_enrolled(self, course_key: CourseKey, user_id: int) -> bool:
        """Return whether the learner's enrollment in the course is active."""

    def enrollments(
        self, course_key: CourseKey, *, mode: str | None = None, cohort_id: int | None = None
    ) -> QuerySet[Any, Any]:
        """Return a query of the ids of the users with an active enrollment: of this mode, in this cohort."""

    def listed_enrollments(self) -> Iterator[ListedEnrollment]:
        """Yield every enrollment there is, with a fixed number of queries for each few thousand: never in a request."""

    def role_holders(self, course_key: CourseKey, roles: Collection[str] | None = None) -> QuerySet[Any, Any]:
        """Return a query of the ids of the users who have one of these access roles in the course, or any at all."""

    def may_read(self, user: AbstractBaseUser | AnonymousUser, course_key: CourseKey) -> bool:
        """Return whether the user may read everybody's progress in the course: global staff, staff of the course."""

    def course_keys(self) -> list[CourseKey]:
        """Return every course of the platform, by key."""

    def aggregator_types(self) -> frozenset[str]:
        """Return every installed block type whose completion is that of its children."""


#: What every platform must have.
_METHODS: Final = tuple(name for name, member in vars(Platform).items() if isfunction(member) and name[0] != "_")


@cache
def _load(path: str) -> Platform:
    message = f"{PREFIX}PLATFORM names {path!r}, which is no class of platforms"
    try:
        platform: Platform = import_string(path)()
    except TypeError as error:
        raise ImproperlyConfigured(f"{message}: {error}") from error
    if missing := [name for name in _METHODS if not callable(getattr(platform, name, None))]:
        raise ImproperlyConfigured(f"{message}: it lacks {', '.join(missing)}")
    return platform


def get_platform() -> Platform:
    """Return the platform that ``COMPLETION_AGGREGATOR_PLATFORM`` names. Raises ImproperlyConfigured."""
    return _load(setting("PLATFORM"))
