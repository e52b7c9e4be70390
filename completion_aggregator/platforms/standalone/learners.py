"""What our tables say of the learners of a course: staff or not, early or not, and in which groups."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from django.contrib.auth import get_user_model
from django.db.models import CharField, IntegerField, QuerySet, Value
from django.db.models.functions import Cast
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.blocks import Partition
from completion_aggregator.platforms.standalone.models import (
    CohortMembership,
    Course,
    CourseRole,
    Enrollment,
    GroupAssignment,
)

# What a row of the one query is about: a person, a course, a role, or the scheme of a partition.
PERSON: Final = "person"
COURSE: Final = "course"
ROLE: Final = "role"
COHORT: Final = "cohort"
RANDOM: Final = "random"
ENROLLMENT_TRACK: Final = "enrollment_track"

STAFF_ROLES: Final[frozenset[str]] = frozenset(
    {CourseRole.Role.STAFF, CourseRole.Role.LIMITED_STAFF, CourseRole.Role.INSTRUCTOR}
)

# The group of each mode in the partition of enrollment tracks, as the LMS numbers them in COURSE_ENROLLMENT_MODES.
TRACKS: Final = {
    "audit": 1,
    "verified": 2,
    "professional": 3,
    "no-id-professional": 4,
    "credit": 2,  # credit is for verified learners, and has no content of its own
    "honor": 6,
    "masters": 7,
    "executive-education": 8,
    "unpaid-executive-education": 9,
    "paid-executive-education": 10,
    "unpaid-bootcamp": 11,
    "paid-bootcamp": 12,
}

DEFAULT_TRACK: Final = TRACKS["audit"]

# Everybody's group in partitions that divide nobody here: any verification, and full access to graded content.
SAME_FOR_ALL: Final = {"verification": 1, "content_type_gate": 2}

# SQLite takes 32,766 values in one statement.
IDS_PER_QUERY: Final = 10_000


_Row: TypeAlias = tuple[int, str, str, int | None, int | None]


@dataclass(slots=True)
class Learner:
    """One learner in one course."""

    is_staff: bool = False
    is_active: bool = False
    roles: set[str] = field(default_factory=set)
    track: int | None = None
    cohort: tuple[int | None, int | None] = (None, None)  # partition id, group id
    assigned: dict[int, int] = field(default_factory=dict)  # partition id -> group id

    @property
    def sees_all(self) -> bool:
        """Whether neither dates nor groups hide anything."""
        return self.is_staff or (self.is_active and not STAFF_ROLES.isdisjoint(self.roles))

    @property
    def sees_early(self) -> bool:
        """Whether the course opens earlier, as for a beta tester."""
        return self.is_active and CourseRole.Role.BETA_TESTERS in self.roles

    def group(self, partition: Partition) -> int | None:
        """Return the learner's group in a partition; None without one, or when the partition no longer has it."""
        if partition.scheme == ENROLLMENT_TRACK:
            return self.track
        if partition.scheme in SAME_FOR_ALL:
            return SAME_FOR_ALL[partition.scheme]
        group = None
        if partition.scheme == COHORT and self.cohort[0] == partition.id:
            group = self.cohort[1]
        elif partition.scheme == RANDOM:
            group = self.assigned.get(partition.id)
        return group if group in partition.groups else None


def read_learners(
    course_key: CourseKey, partitions: Iterable[Partition], user_ids: Collection[int]
) -> dict[int, Learner]:
    """Return the learners by user id, with one query for each 10,000 of them."""
    schemes = {partition.scheme for partition in partitions}
    ids = sorted(set(user_ids))
    learners = {user_id: Learner() for user_id in ids}
    for start in range(0, len(ids), IDS_PER_QUERY):
        for user_id, kind, text, first, second in _rows(course_key, schemes, ids[start : start + IDS_PER_QUERY]):
            _note(learners[user_id], kind, text, first, second)
    return learners


def read_learner(user_id: int, partitions: Mapping[CourseKey, Collection[Partition]]) -> dict[CourseKey, Learner]:
    """Return what one learner is in each of these courses, with one query; *partitions*: those that matter in each."""
    schemes = {partition.scheme for each in partitions.values() for partition in each}
    courses = Course.objects.filter(course_key__in=list(partitions))
    names = courses.values_list("pk", Value(COURSE), Cast("course_key", CharField()), _number(0), _number(0))
    people = get_user_model()._default_manager.filter(pk=user_id)
    them = {"course__in": courses.values("pk"), "user_id": user_id}
    rows = list(_parts(people, them, schemes, subject="course_id").union(names, all=True))
    keys = {subject: text for subject, kind, text, _, _ in rows if kind == COURSE}
    learners = {str(course_key): Learner() for course_key in partitions}
    for subject, kind, text, first, second in rows:
        for learner in learners.values() if kind == PERSON else [learners[keys[subject]]]:
            _note(learner, kind, text, first, second)
    return {course_key: learners[str(course_key)] for course_key in partitions}


def _rows(course_key: CourseKey, schemes: set[str], user_ids: list[int]) -> Iterable[_Row]:
    people = get_user_model()._default_manager.filter(pk__in=user_ids)
    return _parts(people, {"course__course_key": course_key, "user_id__in": user_ids}, schemes, subject="user_id")


def _parts(people: QuerySet[Any], them: Mapping[str, Any], schemes: set[str], *, subject: str) -> QuerySet[Any, Any]:
    """Return everything that may matter of these learners: one statement, a part for each table in question."""
    parts = [
        people.values_list("pk", Value(PERSON), Value(""), _number("is_staff"), _number("is_active")),
        _part(CourseRole.objects.filter(**them), ROLE, subject, text="role"),
    ]
    if COHORT in schemes:
        cohorts = CohortMembership.objects.filter(**them)
        parts.append(_part(cohorts, COHORT, subject, numbers=("cohort__partition_id", "cohort__group_id")))
    if RANDOM in schemes:
        assigned = GroupAssignment.objects.filter(**them)
        parts.append(_part(assigned, RANDOM, subject, numbers=("partition_id", "group_id")))
    if ENROLLMENT_TRACK in schemes:
        active = Enrollment.objects.filter(**them, is_active=True)
        parts.append(_part(active, ENROLLMENT_TRACK, subject, text="mode"))
    return parts[0].union(*parts[1:], all=True)


def _part(
    rows: QuerySet[Any], kind: str, subject: str, *, text: str = "", numbers: tuple[str, str] | None = None
) -> QuerySet[Any, Any]:
    first, second = (_number(name) for name in numbers) if numbers else (_number(0), _number(0))
    return rows.values_list(subject, Value(kind), Cast(text, CharField()) if text else Value(""), first, second)


def _number(name: str | int) -> Cast:
    # The same type in every part: PostgreSQL wants that of a union, and has booleans that are no numbers.
    return Cast(name if isinstance(name, str) else Value(name), IntegerField())


def _note(learner: Learner, kind: str, text: str, first: int | None, second: int | None) -> None:
    if kind == PERSON:
        learner.is_staff, learner.is_active = bool(first), bool(second)
    elif kind == ROLE:
        learner.roles.add(text)
    elif kind == COHORT:
        learner.cohort = (first, second)
    elif kind == RANDOM and first is not None and second is not None:
        learner.assigned[first] = second
    elif kind == ENROLLMENT_TRACK:
        learner.track = TRACKS.get(text, DEFAULT_TRACK)
