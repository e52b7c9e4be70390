"""The course that is measured, in memory: its structure costs nothing, as in the benchmark of the replaced package."""

import importlib
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.graph import Block, CompletionMode, CourseGraph, compile_graph
from completion_aggregator.ports import Sight
from tests.fakes.platform import FakePlatform

ROOT: Final = Path(__file__).resolve().parent.parent
SHARED: Final = Path(os.environ.get("COMPLETION_AGGREGATOR_SHARED") or ROOT.parent / "shared")


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


def shared(path: str) -> Path:
    """Return a file of the shared folder, or end with a message."""
    if not (SHARED / path).is_file():
        sys.exit(f"benchmarks need ../shared/{path} beside the project (or COMPLETION_AGGREGATOR_SHARED=folder)")
    return SHARED / path


def dataset() -> ModuleType:
    """Return the generator of courses and learners that both sides are measured with."""
    sys.path.append(str(shared("golden/dataset.py").parent))
    return importlib.import_module("dataset")


def publish(course: Any, modes: Mapping[str, str], *, one_more: bool) -> CourseKey:
    """Make the course, with *one_more* block at the end of its first vertical, the platform's content."""
    blocks = [Block(key=b.key, type=b.type, children=b.children, mode=CompletionMode(modes[b.type]))
              for b in course.blocks.values()]  # fmt: skip
    if one_more:
        at = next(n for n, block in enumerate(blocks) if block.type == "vertical")
        key = course.root.partition("+type@")[0] + "+type@html+block@added"
        blocks[at] = replace(blocks[at], children=(*blocks[at].children, key))
        blocks.append(Block(key=key, type="html", mode=CompletionMode.COMPLETABLE))
    return platform().publish(compile_graph(course.key, blocks))
