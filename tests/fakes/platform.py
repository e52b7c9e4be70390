"""A platform in memory: what aggregation asks of an LMS, without one."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.exceptions import UnknownCourse
from completion_aggregator.ports import ListedEnrollment, Sight


class FakePlatform:
    """Courses by key, learners by id. Everybody is enrolled where a test puts them."""

    def __init__(self) -> None:
        self.graphs: dict[str, CourseGraph] = {}
        self.coming: dict[str, CourseGraph] = {}  # published, not taken over yet
        self.listening = False
        self.one_by_one = False
        self.visits: list[int] = []
        self.hidden: dict[int, set[str]] = {}  # blocks that a visit does not show, by a rule that nobody else knows
        self.when_visited: Callable[[], None] | None = None
        self.enrolled: dict[str, list[int]] = {}
        self.staff: set[int] = set()
        self.groups: dict[int, dict[int, int | None]] = {}
        self.draws: dict[int, dict[str, tuple[str, ...]]] = {}
        self.failing: set[int] = set()
        self.mobile: set[str] = set()
        self.modes: dict[tuple[str, int], str] = {}
        self.cohorts: dict[int, list[int]] = {}
        self.roles: dict[str, dict[str, list[int]]] = {}
        self.graded_blocks: dict[str, set[str]] = {}  # of courses whose grading is known

    def publish(self, graph: CourseGraph) -> CourseKey:
        """Make *graph* the current content of its course."""
        self.graphs[graph.course_key] = graph
        self.enrolled.setdefault(graph.course_key, [])
        return CourseKey.from_string(graph.course_key)

    def listen(self) -> None:
        self.listening = True

    def outdated(self, course_key: CourseKey | None = None) -> Collection[CourseKey]:
        coming = [CourseKey.from_string(key) for key in sorted(self.coming)]
        return [key for key in coming if course_key in (None, key)]

    def renew(self, course_key: CourseKey) -> None:
        self._graph(course_key)
        if graph := self.coming.pop(str(course_key), None):
            self.publish(graph)
            api.course_changed(course_key)

    def course_version(self, course_key: CourseKey) -> str:
        return self._graph(course_key).content_hash

    def course_versions(self, course_keys: Collection[CourseKey]) -> Mapping[CourseKey, str]:
        return {key: self.graphs[str(key)].content_hash for key in course_keys if str(key) in self.graphs}

    def course_graph(self, course_key: CourseKey) -> tuple[str, CourseGraph]:
        graph = self._graph(course_key)
        return graph.content_hash, graph

    def course_graphs(self, course_keys: Collection[CourseKey]) -> Mapping[CourseKey, tuple[str, CourseGraph]]:
        return {key: self.course_graph(key) for key in course_keys if str(key) in self.graphs}

    def graded(self, course_key: CourseKey) -> Collection[str] | None:
        self._graph(course_key)
        return self.graded_blocks.get(str(course_key))

    def sights(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        return {user_id: self._sight(graph, user_id, now) for user_id in user_ids}

    def sights_of(
        self, user_id: int, graphs: Mapping[CourseKey, CourseGraph], *, now: datetime
    ) -> Mapping[CourseKey, Sight]:
        return {key: self._sight(graph, user_id, now) for key, graph in graphs.items()}

    def asks_one_by_one(self, course_key: CourseKey, graph: CourseGraph) -> bool:
        return self.one_by_one

    def visit(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        self.visits += user_ids
        shown = {user_id: self._shown(graph, user_id, now) for user_id in user_ids}
        if self.when_visited is not None:
            self.when_visited()
        return shown

    def enrolled_user_ids(self, course_key: CourseKey) -> Iterator[int]:
        return iter(sorted(self.enrolled[str(course_key)]))

    def enrolled_courses(self, user_id: int, *, mobile_only: bool = False) -> list[CourseKey]:
        keys = [key for key, ids in sorted(self.enrolled.items()) if user_id in ids]
        return [CourseKey.from_string(key) for key in keys if not mobile_only or key in self.mobile]

    def is_enrolled(self, course_key: CourseKey, user_id: int) -> bool:
        return user_id in self.enrolled.get(str(course_key), ())

    def enrollments(
        self, course_key: CourseKey, *, mode: str | None = None, cohort_id: int | None = None
    ) -> QuerySet[Any, Any]:
        ids = set(self.enrolled.get(str(course_key), ()))
        if mode is not None:
            ids = {each for each in ids if self.modes.get((str(course_key), each), "audit") == mode}
        if cohort_id is not None:
            ids &= set(self.cohorts.get(cohort_id, ()))
        return _users(ids)

    def role_holders(self, course_key: CourseKey, roles: Collection[str] | None = None) -> QuerySet[Any, Any]:
        held = self.roles.get(str(course_key), {})
        return _users({each for role, ids in held.items() if roles is None or role in roles for each in ids})

    def may_read(self, user: AbstractBaseUser | AnonymousUser, course_key: CourseKey) -> bool:
        staff = self.roles.get(str(course_key), {}).get("staff", ())
        return user.is_active and (bool(getattr(user, "is_staff", False)) or user.pk in staff)

    def listed_enrollments(self) -> Iterator[ListedEnrollment]:
        """Learners by the numbers that they have here, with the modes and the cohorts that a test gave them."""
        names = dict(get_user_model()._default_manager.values_list("pk", "username"))
        for course_key, users in self.enrolled.items():
            for user in users:
                cohort = next((each for each, members in self.cohorts.items() if user in members), None)
                mode = self.modes.get((course_key, user), "audit")
                of_it = None if cohort is None else (cohort, f"cohort {cohort}")
                yield ListedEnrollment(user, names.get(user, ""), course_key, mode, True, None, of_it)

    def aggregator_types(self) -> frozenset[str]:
        return frozenset({"course", "chapter", "sequential", "vertical", "library_content"})

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

    def _shown(self, graph: CourseGraph, user_id: int, now: datetime) -> Sight:
        by_rules = self._sight(graph, user_id, now)
        hidden = self.hidden.get(user_id, set())
        below = graph.rules.visible_children(graph.children, by_rules.profile)
        tree = tuple(tuple(child for child in each if graph.keys[child] not in hidden) for each in below)
        return Sight(Profile(tree=tree), now + timedelta(hours=1), by_rules.selections)


def _users(ids: Collection[int]) -> QuerySet[Any, Any]:
    return get_user_model()._default_manager.filter(pk__in=ids).values_list("pk", flat=True)
