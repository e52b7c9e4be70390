"""Graphs of small courses, compiled by hand, whose keys are those of an LMS."""

from collections.abc import Iterable

from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.course_graph.blocks import Partition
from completion_aggregator.course_graph.graph import CourseGraph
from tests.course_graph.builders import COURSE, Subtree, bank, course, leaf

KEY = CourseKey.from_string(COURSE)
ORG = "Org"
OTHER = CourseKey.from_string("course-v1:Org+Other+Run")

COHORTS = Partition(id=100, scheme="cohort", groups=frozenset({1, 2}))
SHUFFLED = Partition(id=200, scheme="random", groups=frozenset({1, 2}))
TRACKS = Partition(id=50, scheme="enrollment_track", groups=frozenset({1, 2, 3}))
GATE = Partition(id=51, scheme="content_type_gate", groups=frozenset({1, 2}))
VERIFICATION = Partition(id=300, scheme="verification", groups=frozenset({0, 1}))


def teams(*ids: int) -> Partition:
    return Partition(id=400, scheme="team", groups=frozenset(ids))


def divided(*partitions: Partition, others: Iterable[Subtree] = ()) -> CourseGraph:
    """A course with a block for each group of these partitions; of the gate, for those with full access."""
    blocks = [
        leaf(f"p{each.id}-{group}", group_access={each.id: frozenset({group})})
        for each in partitions
        for group in sorted(each.groups - ({1} if each.id == GATE.id else set()))
    ]
    return course(leaf("open"), *others, *blocks, partitions=partitions)


def problems(count: int, course_key: CourseKey = KEY) -> list[UsageKey]:
    return [course_key.make_usage_key("problem", f"p{number}") for number in range(count)]


def bank_key(name: str = "bank", course_key: CourseKey = KEY) -> UsageKey:
    return course_key.make_usage_key("library_content", name)


def banked(size: int, count: int, course_key: CourseKey = KEY) -> CourseGraph:
    """A course with one bank that draws *size* of *count* problems."""
    children = [leaf(str(each)) for each in problems(count, course_key)]
    return course(bank(str(bank_key(course_key=course_key)), size, *children))
