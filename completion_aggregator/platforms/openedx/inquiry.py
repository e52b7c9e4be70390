"""What is asked when groups are: which partitions, whose groups, when; and the rows that several rules read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.blocks import Partition
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.platforms.openedx import lms
from completion_aggregator.platforms.openedx.roles import Privileged
from completion_aggregator.platforms.openedx.tables import rows, text

#: What a rule finds: a partition of a course, a learner, her group.
Found: TypeAlias = Iterator[tuple["Division", int, int]]


@dataclass(frozen=True, slots=True)
class Division:
    """A partition that restricts blocks of a course; *course*: its key as text, *named*: the groups they let in."""

    course_key: CourseKey
    course: str
    partition: Partition
    named: frozenset[int]


class Enrolled(NamedTuple):
    """A learner's enrollment in a course, active or not."""

    mode: str
    is_active: bool
    created: datetime | None


@dataclass(frozen=True)
class Inquiry:
    """The learners asked about, and all that the rules may need to know; what no rule asks for is not read.

    Either the learners or the courses are one. ``may_remember``: settings of a course may be as of a minute ago.
    """

    divisions: Sequence[Division]
    user_ids: Sequence[int]
    privileged: Mapping[str, Privileged]
    now: datetime
    may_remember: bool = False

    @cached_property
    def enrolled(self) -> Mapping[tuple[str, int], Enrolled]:
        """The enrollments by course and learner, in one query."""
        model, keys = lms.model("student", "CourseEnrollment"), self._keys
        found = rows(model, keys, self.user_ids, "mode", "is_active", "created")
        return {(course, user_id): Enrolled(*row) for course, user_id, *row in found}

    @cached_property
    def modes(self) -> Mapping[str, Mapping[str, datetime | None]]:
        """The modes of the courses, expired ones too, and when they expire: by course and slug, in one query.

        A mode has a row for each currency; it is open as long as one of them is.
        """
        model: Any = lms.model("course_modes", "CourseMode")
        found: dict[str, dict[str, datetime | None]] = {division.course: {} for division in self.divisions}
        if model is not None:
            expires = lms.field_of(model, "expiration_datetime")
            modes = model.objects.filter(course_id__in=self._keys)
            for course, slug, expiry in modes.values_list(text("course_id"), "mode_slug", expires):
                if course in found:
                    found[course][slug] = _later(found[course].get(slug, expiry), expiry)
        return found

    @property
    def _keys(self) -> list[CourseKey]:
        return sorted({division.course_key for division in self.divisions}, key=str)


def divisions_of(graphs: Mapping[CourseKey, CourseGraph]) -> list[Division]:
    """Return the partitions that matter in these courses."""
    return [
        Division(course_key, str(course_key), graph.partitions[partition], named)
        for course_key, graph in graphs.items()
        for partition, named in graph.rules.restricting_partitions().items()
    ]


def by_course(divisions: Iterable[Division]) -> dict[CourseKey, list[Division]]:
    """Return the divisions of each course."""
    found: dict[CourseKey, list[Division]] = {}
    for division in divisions:
        found.setdefault(division.course_key, []).append(division)
    return found


def _later(expiry: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two ends; None is none at all."""
    return None if expiry is None or other is None else max(expiry, other)
