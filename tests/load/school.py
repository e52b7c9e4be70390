"""The school of a load test, by seed: courses that have many versions, learners, cohorts, and who may read."""

from collections.abc import Iterator
from random import Random
from typing import Final

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.blocks import Block, CompletionMode, Partition
from completion_aggregator.platforms.standalone.content import CourseContent

#: Contents that an author goes between.
VERSIONS: Final = 8
PARTITION: Final = Partition(7, "cohort", frozenset({1, 2}), "Cohorts")
COHORTS: Final = (("red", 7, 1), ("blue", 7, 2), ("plain", None, None))
STAFF: Final = "staff"
_LEVELS: Final = ("course", "chapter", "sequential", "vertical")


def course_key(number: int) -> CourseKey:
    return CourseKey.from_string(f"course-v1:Load+C{number}+1")


def content(seed: int, number: int, version: int) -> CourseContent:
    """Return a version of a course: most of it is in each, some leaves come and go, or are shown to some."""
    key = course_key(number)
    shape, now = Random(f"{seed} {number}"), Random(f"{seed} {number} {version}")
    blocks = tuple(_walk(key, 0, "course", (shape, now)))
    return CourseContent(
        course_key=str(key), title=f"Course {number}, {version}", blocks=blocks, partitions=(PARTITION,)
    )


def username(number: int) -> str:
    return f"learner{number:05}"


def _walk(key: CourseKey, level: int, name: str, dice: tuple[Random, Random]) -> Iterator[Block]:
    shape, now = dice
    children: list[Block] = []
    below: list[Block] = []
    if level + 1 < len(_LEVELS):
        for place in range(shape.randint(2, 3)):
            found = list(_walk(key, level + 1, f"{name}-{place}", dice))
            children.append(found[0])
            below += found
    else:
        children = below = list(_leaves(key, name, dice))
    yield Block(
        key=str(key.make_usage_key(_LEVELS[level], name)),
        type=_LEVELS[level],
        mode=CompletionMode.AGGREGATOR,
        children=tuple(child.key for child in children),
        title=name,
        group_access=_access(now) if level > 1 else {},
        staff_only=level > 1 and now.random() < 0.03,
    )
    yield from below


def _leaves(key: CourseKey, name: str, dice: tuple[Random, Random]) -> Iterator[Block]:
    shape, now = dice
    for place in range(shape.randint(1, 4)):
        optional = shape.random() < 0.1
        if now.random() < 0.85:
            yield Block(
                key=str(key.make_usage_key("html", f"{name}-{place}")),
                type="html",
                mode=CompletionMode.COMPLETABLE,
                title=f"{name}-{place}",
                optional=optional,
                group_access=_access(now),
            )


def _access(dice: Random) -> dict[int, frozenset[int]]:
    return {PARTITION.id: frozenset({dice.choice((1, 2))})} if dice.random() < 0.1 else {}
