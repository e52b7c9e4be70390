"""Generated courses and completions as our side takes them.

The course that refreshes are measured with is in memory: its structure costs nothing, as in the benchmark of the
replaced package.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, Final

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.graph import Block, CompletionMode, CourseGraph, compile_graph
from completion_aggregator.ports import Sight
from completion_aggregator.upsert import upsert
from tests.fakes.platform import FakePlatform

FACTS: Final = "completion_blockcompletion"


class OneSightPlatform(FakePlatform):
    """Everybody sees the same: what that is gets worked out once a batch."""

    def sights(
        self, course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
    ) -> Mapping[int, Sight]:
        """Return one sight for all."""
        profile, valid_until = graph.rules.profile(now=now)
        return dict.fromkeys(user_ids, Sight(profile, valid_until))


@cache
def platform() -> OneSightPlatform:
    """Return the platform of this process."""
    return OneSightPlatform()


def blocks_of(course: Any, modes: Mapping[str, str]) -> list[Block]:
    """Return the blocks of a generated course."""
    return [
        Block(key=b.key, type=b.type, children=b.children, mode=CompletionMode(modes[b.type]))
        for b in course.blocks.values()
    ]


def publish(course: Any, modes: Mapping[str, str], *, one_more: bool) -> CourseKey:
    """Make the course, with *one_more* block at the end of its first vertical, the platform's content."""
    blocks = blocks_of(course, modes)
    if one_more:
        at = next(n for n, block in enumerate(blocks) if block.type == "vertical")
        key = course.root.partition("+type@")[0] + "+type@html+block@added"
        blocks[at] = replace(blocks[at], children=(*blocks[at].children, key))
        blocks.append(Block(key=key, type="html", mode=CompletionMode.COMPLETABLE))
    return platform().publish(compile_graph(course.key, blocks))


def insert(course: Any, completions: Iterable[tuple[int, str, float, datetime]]) -> None:
    """Write facts: (user id, usage key, value, moment)."""
    columns = ("user_id", "course_key", "block_key", "block_type", "completion", "created", "modified")
    rows = [
        (user_id, course.key, key, course.blocks[key].type, value, at, at) for user_id, key, value, at in completions
    ]
    upsert(FACTS, columns, ("course_key", "block_key", "user_id"), rows)
