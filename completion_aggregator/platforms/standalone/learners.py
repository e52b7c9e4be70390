"""What our tables say of the learners of a course: staff or not, early or not, and in which groups."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.blocks import Partition
from completion_aggregator.platforms.standalone.models import CohortMembership, CourseRole, Enrollment, GroupAssignment

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
    "credit": 5,
    "honor": 6,
    "masters": 7,
    "executive-education": 8,
    "unpaid-executive-education": 9,
    "paid-executive-education": 10,
    "unpaid-bootcamp": 11,
    "paid-bootcamp": 12,
}

# SQLite takes 32,766 values in one statement.
IDS_PER_QUERY: Final = 10_000


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
        group = None
        if partition.scheme == COHORT and self.cohort[0] == partition.id:
            group = self.cohort[1]
        elif partition.scheme == RANDOM:
            group = self.assigned.get(partition.id)
        return group if group in partition.groups else None


def read_learners(
    course_key: CourseKey, partitions: Iterable[Partition], user_ids: Collection[int]
) -> dict[int, Learner]:
    """Return the learners by user id: two queries, and one more for each scheme that the partitions use."""
    schemes = {partition.scheme for partition in partitions}
    ids = sorted(set(user_ids))
    learners = {user_id: Learner() for user_id in ids}
    for start in range(0, len(ids), IDS_PER_QUERY):
        _read(learners, schemes, {"course__course_key": course_key, "user_id__in": ids[start : start + IDS_PER_QUERY]})
    return learners


def _read(learners: dict[int, Learner], schemes: set[str], them: dict[str, Any]) -> None:
    people = get_user_model()._default_manager.filter(pk__in=them["user_id__in"])
    for user_id, is_staff, is_active in people.values_list("pk", "is_staff", "is_active"):
        learners[user_id].is_staff, learners[user_id].is_active = is_staff, is_active
    for user_id, role in _rows(CourseRole.objects.filter(**them), "role"):
        learners[user_id].roles.add(role)
    if COHORT in schemes:
        for user_id, partition, group in _rows(
            CohortMembership.objects.filter(**them), "cohort__partition_id", "cohort__group_id"
        ):
            learners[user_id].cohort = (partition, group)
    if RANDOM in schemes:
        for user_id, partition, group in _rows(GroupAssignment.objects.filter(**them), "partition_id", "group_id"):
            learners[user_id].assigned[partition] = group
    if ENROLLMENT_TRACK in schemes:
        for user_id, mode in _rows(Enrollment.objects.filter(**them, is_active=True), "mode"):
            learners[user_id].track = TRACKS.get(mode)


def _rows(rows: QuerySet[Model], *fields: str) -> Iterator[tuple[Any, ...]]:
    return iter(rows.values_list("user_id", *fields))
