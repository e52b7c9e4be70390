"""The platform port, answered from our own tables."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import setting
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.exceptions import UnknownCourse
from completion_aggregator.platforms.standalone.learners import Learner, read_learners
from completion_aggregator.platforms.standalone.models import Course, Enrollment
from completion_aggregator.ports import Sight

ROWS_PER_READ = 10_000


class StandalonePlatform:
    """Courses that were imported, and the learners enrolled in them."""

    def course_version(self, course_key: CourseKey) -> str:
        """Return the content hash of the current version, in one query."""
        (version,) = _of_current(course_key, "current__content_hash")
        return str(version)

    def course_graph(self, course_key: CourseKey) -> tuple[str, CourseGraph]:
        """Return the current version and its graph, in one query."""
        version, graph = _of_current(course_key, "current__content_hash", "current__graph")
        return version, CourseGraph.from_bytes(bytes(graph))

    def sights(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        """Return the sight of every learner asked for: two queries, and one for each scheme of groups in use."""
        learners = read_learners(course_key, graph.partitions.values(), user_ids)
        return {user_id: _sight(graph, learner, now) for user_id, learner in learners.items()}

    def enrolled_user_ids(self, course_key: CourseKey) -> Iterator[int]:
        """Yield the ids of the learners with an active enrollment, ascending."""
        active = Enrollment.objects.filter(course__course_key=course_key, is_active=True)
        yield from active.order_by("user_id").values_list("user_id", flat=True).iterator(chunk_size=ROWS_PER_READ)

    def enrolled_courses(self, user_id: int) -> list[CourseKey]:
        """Return the courses of a learner's active enrollments, by course key."""
        active = Enrollment.objects.filter(user_id=user_id, is_active=True)
        return list(active.order_by("course__course_key").values_list("course__course_key", flat=True))

    def course_keys(self) -> list[CourseKey]:
        """Return every course that has content, by key."""
        courses = Course.objects.filter(current__isnull=False)
        return list(courses.order_by("course_key").values_list("course_key", flat=True))


def _of_current(course_key: CourseKey, *fields: str) -> tuple[Any, ...]:
    row = Course.objects.filter(course_key=course_key, current__isnull=False).values_list(*fields).first()
    if row is None:
        raise UnknownCourse(f"There is no course {course_key}.")
    return row


def _sight(graph: CourseGraph, learner: Learner, now: datetime) -> Sight:
    profile, valid_until = graph.profile(
        staff=learner.sees_all,
        beta=learner.sees_early,
        groups={partition.id: learner.group(partition) for partition in graph.partitions.values()},
        now=now,
        unreleased=setting("AGGREGATE_UNRELEASED_BLOCKS"),
    )
    return Sight(profile=profile, valid_until=valid_until)
