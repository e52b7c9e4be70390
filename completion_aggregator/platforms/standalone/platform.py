"""The platform port, answered from our own tables."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import setting
from completion_aggregator.course_graph.blocks import CompletionMode, Partition
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.exceptions import InvalidCourse, UnknownCourse
from completion_aggregator.platforms.standalone import listing
from completion_aggregator.platforms.standalone.learners import STAFF_ROLES, Learner, read_learner, read_learners
from completion_aggregator.platforms.standalone.models import CohortMembership, Course, CourseRole, Enrollment
from completion_aggregator.platforms.standalone.modes import ModeTable
from completion_aggregator.ports import ListedEnrollment, Sight

ROWS_PER_READ = 10_000


@dataclass(frozen=True, slots=True)
class _Kind:
    """What tells one learner's sight from another's."""

    staff: bool
    beta: bool
    groups: tuple[tuple[int, int | None], ...]

    @classmethod
    def of(cls, learner: Learner, partitions: Collection[Partition]) -> Self:
        groups = tuple((partition.id, learner.group(partition)) for partition in partitions)
        return cls(learner.sees_all, learner.sees_early, groups)

    def sight(self, graph: CourseGraph, now: datetime) -> Sight:
        profile, valid_until = graph.rules.profile(
            now=now,
            staff=self.staff,
            beta=self.beta,
            groups=dict(self.groups),
            unreleased=setting("AGGREGATE_UNRELEASED_BLOCKS"),
        )
        return Sight(profile=profile, valid_until=valid_until)


class StandalonePlatform:
    """Courses that were imported, and the learners enrolled in them."""

    def listen(self) -> None:
        """Do nothing: the app of these tables connects its signals itself."""

    def outdated(self, course_key: CourseKey | None = None) -> Collection[CourseKey]:
        """Return nothing: an import is current at once."""
        return ()

    def renew(self, course_key: CourseKey) -> None:
        """Do nothing but to know the course."""
        self.course_version(course_key)

    def course_version(self, course_key: CourseKey) -> str:
        """Return the content hash of the current version, in one query."""
        (version,) = _of_current(course_key, "current__content_hash")
        return str(version)

    def course_versions(self, course_keys: Collection[CourseKey]) -> Mapping[CourseKey, str]:
        """Return the content hash of the current version of each of these courses that has content, in one query."""
        courses = Course.objects.filter(course_key__in=course_keys, current__isnull=False)
        found = courses.values_list("course_key", "current__content_hash")
        return {key: str(version) for key, version in found if key is not None}

    def course_graph(self, course_key: CourseKey) -> tuple[str, CourseGraph]:
        """Return the current version and its graph, in one query."""
        version, graph = _of_current(course_key, "current__content_hash", "current__graph")
        return version, CourseGraph.from_bytes(bytes(graph))

    def course_graphs(self, course_keys: Collection[CourseKey]) -> Mapping[CourseKey, tuple[str, CourseGraph]]:
        """Return the same of each of these courses whose content can be read, in one query."""
        courses = Course.objects.filter(course_key__in=course_keys, current__isnull=False)
        graphs: dict[CourseKey, tuple[str, CourseGraph]] = {}
        for key, version, graph in courses.values_list("course_key", "current__content_hash", "current__graph"):
            with suppress(InvalidCourse):
                if key is not None:
                    graphs[key] = str(version), CourseGraph.from_bytes(bytes(graph or b""))
        return graphs

    def graded(self, course_key: CourseKey) -> Collection[str] | None:
        """Return what the file said that the course was imported from, in one query."""
        (found,) = _of_current(course_key, "current__graded")
        return None if found is None else frozenset(found)

    def sights(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        """Return the sight of every learner asked for: one query for each 10,000 learners."""
        restricting = [graph.partitions[number] for number in graph.rules.restricting_partitions()]
        learners = read_learners(course_key, restricting, user_ids)
        kinds = {user_id: _Kind.of(learner, restricting) for user_id, learner in learners.items()}
        # Most learners of a course are alike: each kind is worked out once.
        sights = {kind: kind.sight(graph, now) for kind in set(kinds.values())}
        return {user_id: sights[kind] for user_id, kind in kinds.items()}

    def sights_of(
        self, user_id: int, graphs: Mapping[CourseKey, CourseGraph], *, now: datetime
    ) -> Mapping[CourseKey, Sight]:
        """Return the sight that one learner has of each of these courses, in one query."""
        restricting = {
            course_key: [graph.partitions[number] for number in graph.rules.restricting_partitions()]
            for course_key, graph in graphs.items()
        }
        learners = read_learner(user_id, restricting)
        return {
            course_key: _Kind.of(learners[course_key], restricting[course_key]).sight(graph, now)
            for course_key, graph in graphs.items()
        }

    def asks_one_by_one(self, course_key: CourseKey, graph: CourseGraph) -> bool:
        """Return that this is never so: all rules are our own."""
        return False

    def visit(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        """Return ``sights``: they say all there is to know."""
        return self.sights(course_key, graph, user_ids, now=now)

    def enrolled_user_ids(self, course_key: CourseKey) -> Iterator[int]:
        """Yield the ids of the learners with an active enrollment, ascending."""
        yield from (
            _active(course_key).order_by("user_id").values_list("user_id", flat=True).iterator(chunk_size=ROWS_PER_READ)
        )

    def enrolled_courses(self, user_id: int, *, mobile_only: bool = False) -> list[CourseKey]:
        """Return the courses of a learner's active enrollments, by course key."""
        active = Enrollment.objects.filter(user_id=user_id, is_active=True)
        if mobile_only:
            active = active.filter(course__mobile_available=True)
        return sorted(_keys(active.values_list("course__course_key", flat=True)), key=str)

    def is_enrolled(self, course_key: CourseKey, user_id: int) -> bool:
        """Return whether the learner's enrollment in the course is active."""
        return _active(course_key).filter(user_id=user_id).exists()

    def enrollments(
        self, course_key: CourseKey, *, mode: str | None = None, cohort_id: int | None = None
    ) -> QuerySet[Enrollment, Any]:
        """Return a query of the ids of the users with an active enrollment: of this mode, in this cohort."""
        active = _active(course_key)
        if mode is not None:
            active = active.filter(mode=mode)
        if cohort_id is not None:
            members = CohortMembership.objects.filter(cohort_id=cohort_id, course__course_key=course_key)
            active = active.filter(user_id__in=members.values("user_id"))
        return active.values_list("user_id", flat=True)

    def listed_enrollments(self) -> Iterator[ListedEnrollment]:
        """Yield every enrollment there is, with three queries for each 5,000."""
        return listing.enrollments()

    def role_holders(self, course_key: CourseKey, roles: Collection[str] | None = None) -> QuerySet[CourseRole, Any]:
        """Return a query of the ids of the users who have one of these access roles in the course, or any at all."""
        holders = CourseRole.objects.filter(course__course_key=course_key)
        if roles is not None:
            holders = holders.filter(role__in=roles)
        return holders.values_list("user_id", flat=True)

    def may_read(self, user: AbstractBaseUser | AnonymousUser, course_key: CourseKey) -> bool:
        """Return whether the user may read everybody's progress: global staff, and staff of the course."""
        if not user.is_active:
            return False
        return bool(getattr(user, "is_staff", False)) or (
            self.role_holders(course_key, STAFF_ROLES).filter(user_id=user.pk).exists()
        )

    def course_keys(self) -> list[CourseKey]:
        """Return every course that has content, by key."""
        courses = Course.objects.filter(current__isnull=False)
        return _keys(courses.order_by("course_key").values_list("course_key", flat=True))

    def aggregator_types(self) -> frozenset[str]:
        """Return the block types that the completion modes call aggregators."""
        modes = ModeTable.from_settings().modes
        return frozenset(block_type for block_type, mode in modes.items() if mode is CompletionMode.AGGREGATOR)


def _active(course_key: CourseKey) -> QuerySet[Enrollment, Enrollment]:
    return Enrollment.objects.filter(course__course_key=course_key, is_active=True)


def _keys(found: Iterable[CourseKey | None]) -> list[CourseKey]:
    # The field reads an empty text as None; no course has an empty key.
    return [key for key in found if key is not None]


def _of_current(course_key: CourseKey, *fields: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = (
        Course.objects.filter(course_key=course_key, current__isnull=False).values_list(*fields).first()
    )
    if row is None:
        raise UnknownCourse(f"There is no course {course_key}.")
    return row
