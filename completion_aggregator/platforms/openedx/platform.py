"""The platform port, answered from the LMS that we are installed in."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.platforms.openedx import content, enrollments, exact, sights, signals
from completion_aggregator.ports import ListedEnrollment, Sight


class OpenEdxPlatform:
    """The courses of an LMS, and who learns in them."""

    def listen(self) -> None:
        """Connect to the signals of the LMS and of Studio, whichever this process is."""
        signals.connect()

    def outdated(self, course_key: CourseKey | None = None) -> Collection[CourseKey]:
        """Return the courses, or the one, of which newer content has been collected than we have compiled."""
        return content.outdated(course_key)

    def renew(self, course_key: CourseKey) -> None:
        """Compile the newest content of the course. Raises UnknownCourse or InvalidCourse."""
        content.renew(course_key)

    def course_version(self, course_key: CourseKey) -> str:
        """Return the content hash of the graph that we answer with, in one query."""
        return content.version(course_key)

    def course_versions(self, course_keys: Collection[CourseKey]) -> Mapping[CourseKey, str]:
        """Return the same of each of these courses that exists, in one query."""
        return content.versions(course_keys)

    def course_graph(self, course_key: CourseKey) -> tuple[str, CourseGraph]:
        """Return the current version and its graph, in one query."""
        return content.graph(course_key)

    def course_graphs(self, course_keys: Collection[CourseKey]) -> Mapping[CourseKey, tuple[str, CourseGraph]]:
        """Return the same of each of these courses whose content can be read, in one query."""
        return content.graphs(course_keys)

    def graded(self, course_key: CourseKey) -> Collection[str] | None:
        """Return what the LMS has collected of it; None where it has collected nothing."""
        return content.graded(course_key)

    def sights(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        """Return the sight of every learner asked for, with a fixed number of queries."""
        return sights.of_learners(course_key, graph, user_ids, now=now)

    def sights_of(
        self, user_id: int, graphs: Mapping[CourseKey, CourseGraph], *, now: datetime
    ) -> Mapping[CourseKey, Sight]:
        """Return the sight that one learner has of each of these courses, with a fixed number of queries."""
        return sights.of_learner(user_id, graphs, now=now)

    def asks_one_by_one(self, course_key: CourseKey, graph: CourseGraph) -> bool:
        """Return whether there are rules in this course that we do not know."""
        return bool(exact.unknown_rules(course_key, graph))

    def visit(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        """Return the sights of learners by the real call, one by one."""
        return {user_id: exact.sight(course_key, graph, user_id, now=now) for user_id in user_ids}

    def enrolled_user_ids(self, course_key: CourseKey) -> Iterator[int]:
        """Yield the ids of the learners with an active enrollment, ascending."""
        return enrollments.user_ids(course_key)

    def enrolled_courses(self, user_id: int, *, mobile_only: bool = False) -> list[CourseKey]:
        """Return the courses of a learner's active enrollments, by course key."""
        return enrollments.courses(user_id, mobile_only=mobile_only)

    def is_enrolled(self, course_key: CourseKey, user_id: int) -> bool:
        """Return whether the learner's enrollment in the course is active."""
        return enrollments.is_enrolled(course_key, user_id)

    def enrollments(
        self, course_key: CourseKey, *, mode: str | None = None, cohort_id: int | None = None
    ) -> QuerySet[Any, Any]:
        """Return a query of the ids of the users with an active enrollment: of this mode, in this cohort."""
        return enrollments.query(course_key, mode=mode, cohort_id=cohort_id)

    def listed_enrollments(self) -> Iterator[ListedEnrollment]:
        """Yield every enrollment there is, with two queries for each 5,000."""
        return enrollments.listed()

    def role_holders(self, course_key: CourseKey, roles: Collection[str] | None = None) -> QuerySet[Any, Any]:
        """Return a query of the ids of the users who have one of these access roles in the course, or any at all."""
        return enrollments.role_holders(course_key, roles)

    def may_read(self, user: AbstractBaseUser | AnonymousUser, course_key: CourseKey) -> bool:
        """Return whether the user has staff access to the course."""
        return enrollments.may_read(user, course_key)

    def course_keys(self) -> list[CourseKey]:
        """Return every course that the LMS has an overview of, by key."""
        return enrollments.course_keys()

    def aggregator_types(self) -> frozenset[str]:
        """Return every installed block type whose completion is that of its children."""
        return content.aggregator_types()
