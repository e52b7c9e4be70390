"""What we ask of a platform: course graphs, who sees what, who is enrolled.

A platform speaks in keys and plain records, always in bulk: a method that takes learners answers for all of
them with a fixed number of queries and writes nothing.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Protocol

from django.utils.module_loading import import_string
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import setting
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


class Platform(Protocol):
    """The LMS as we see it."""

    def course_version(self, course_key: CourseKey) -> str:
        """Return the version of the course's content: cheap, one query at most.

        Raises UnknownCourse.
        """

    def course_graph(self, course_key: CourseKey) -> tuple[str, CourseGraph]:
        """Return the current content version and its graph. Raises UnknownCourse or InvalidCourse."""

    def sights(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        """Return the sight of every learner asked for, by user id."""

    def enrolled_user_ids(self, course_key: CourseKey) -> Iterator[int]:
        """Yield the ids of the learners with an active enrollment, ascending."""

    def enrolled_courses(self, user_id: int) -> list[CourseKey]:
        """Return the courses of a learner's active enrollments, by course key."""

    def course_keys(self) -> list[CourseKey]:
        """Return every course of the platform, by key."""


@cache
def _load(path: str) -> Platform:
    platform: Platform = import_string(path)()
    return platform


def get_platform() -> Platform:
    """Return the platform that ``COMPLETION_AGGREGATOR_PLATFORM`` names."""
    return _load(setting("PLATFORM"))
