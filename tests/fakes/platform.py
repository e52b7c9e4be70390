"""A platform in memory: what aggregation asks of an LMS, without one."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.exceptions import UnknownCourse
from completion_aggregator.ports import Sight


class FakePlatform:
    """Courses by key, learners by id. Everybody is enrolled where a test puts them."""

    def __init__(self) -> None:
        self.graphs: dict[str, CourseGraph] = {}
        self.enrolled: dict[str, list[int]] = {}
        self.staff: set[int] = set()
        self.groups: dict[int, dict[int, int | None]] = {}
        self.draws: dict[int, dict[str, tuple[str, ...]]] = {}
        self.failing: set[int] = set()

    def publish(self, graph: CourseGraph) -> CourseKey:
        """Make *graph* the current content of its course."""
        self.graphs[graph.course_key] = graph
        self.enrolled.setdefault(graph.course_key, [])
        return CourseKey.from_string(graph.course_key)

    def course_version(self, course_key: CourseKey) -> str:
        return self._graph(course_key).content_hash

    def course_graph(self, course_key: CourseKey) -> tuple[str, CourseGraph]:
        graph = self._graph(course_key)
        return graph.content_hash, graph

    def sights(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        return {user_id: self._sight(graph, user_id, now) for user_id in user_ids}

    def enrolled_user_ids(self, course_key: CourseKey) -> Iterator[int]:
        return iter(sorted(self.enrolled[str(course_key)]))

    def enrolled_courses(self, user_id: int) -> list[CourseKey]:
        return [CourseKey.from_string(key) for key, ids in sorted(self.enrolled.items()) if user_id in ids]

    def course_keys(self) -> list[CourseKey]:
        return [CourseKey.from_string(key) for key in sorted(self.graphs)]

    def _graph(self, course_key: CourseKey) -> CourseGraph:
        try:
            return self.graphs[str(course_key)]
        except KeyError:
            raise UnknownCourse(f"There is no course {course_key}.") from None

    def _sight(self, graph: CourseGraph, user_id: int, now: datetime) -> Sight:
        if user_id in self.failing:
            raise RuntimeError("the platform cannot tell what this learner sees")
        profile, valid_until = graph.rules.profile(
            now=now, staff=user_id in self.staff, groups=self.groups.get(user_id)
        )
        return Sight(profile, valid_until, self.draws.get(user_id, {}))
