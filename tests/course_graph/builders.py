"""Small courses, built by hand: ``course(chapter("week 1", leaf("a")))``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.course_graph.blocks import Block, CompletionMode, Partition
from completion_aggregator.course_graph.graph import CourseGraph, compile_graph
from completion_aggregator.course_graph.rollup import NEVER, Draws, Tallies, View, roll_up
from completion_aggregator.course_graph.visibility import Profile
from tests.course_graph.oracle import Tally

COURSE = "course-v1:Org+Course+Run"
#: A block and all below it.
Subtree: TypeAlias = tuple[Block, ...]
Completions: TypeAlias = Mapping[str, tuple[float, int]]


def block(key: str, kind: str, mode: CompletionMode, *children: Subtree, **fields: Any) -> Subtree:
    """Return a block above its children."""
    head = Block(key=key, type=kind, mode=mode, children=tuple(below[0].key for below in children), **fields)
    return head, *(each for below in children for each in below)


def leaf(key: str, *children: Subtree, **fields: Any) -> Subtree:
    """Return a completable block; children of it count nothing."""
    return block(key, "html", CompletionMode.COMPLETABLE, *children, **fields)


def vertical(key: str, *children: Subtree, **fields: Any) -> Subtree:
    """Return a unit."""
    return block(key, "vertical", CompletionMode.AGGREGATOR, *children, **fields)


def chapter(key: str, *children: Subtree, **fields: Any) -> Subtree:
    """Return a section."""
    return block(key, "chapter", CompletionMode.AGGREGATOR, *children, **fields)


def split_test(key: str, *children: Subtree, **fields: Any) -> Subtree:
    """Return a split test."""
    return block(key, "split_test", CompletionMode.AGGREGATOR, *children, **fields)


def bank(key: str, size: int, *children: Subtree, **fields: Any) -> Subtree:
    """Return an item bank that draws *size* children."""
    return block(key, "library_content", CompletionMode.AGGREGATOR, *children, bank_size=size, **fields)


def discussion(key: str, *children: Subtree, **fields: Any) -> Subtree:
    """Return an excluded block."""
    return block(key, "discussion", CompletionMode.EXCLUDED, *children, **fields)


def course(*children: Subtree, partitions: Iterable[Partition] = (), **fields: Any) -> CourseGraph:
    """Return the graph of a course whose root is ``course``; a subtree handed in twice is one, with two parents."""
    blocks = block("course", "course", CompletionMode.AGGREGATOR, *children, **fields)
    return compile_graph(COURSE, {each.key: each for each in blocks}.values(), partitions)


def leaf_keys(graph: CourseGraph, view: View) -> list[str]:
    """Return the keys of the leaves of a view, in the order in which it wants their completions."""
    return [graph.keys[number] for number in view.leaves.tolist()]


def seen(graph: CourseGraph, profile: Profile) -> set[str]:
    """Return the keys of all that counts for *profile*."""
    view = graph.view(profile)
    return {graph.keys[number] for number in (*view.leaves.tolist(), *view.aggregators.tolist())}


def completions_of(
    graph: CourseGraph, view: View, learners: Sequence[Completions]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return values and times of shape (leaves, learners)."""
    keys = leaf_keys(graph, view)
    pairs = [[each.get(key, (0.0, NEVER)) for each in learners] for key in keys]
    table = np.array(pairs, dtype=[("value", "f8"), ("time", "i8")]) if keys and learners else None
    if table is None:
        return np.zeros((len(keys), len(learners))), np.zeros((len(keys), len(learners)), dtype=np.int64)
    return table["value"].copy(), table["time"].copy()


def by_block(graph: CourseGraph, tallies: Tallies, learner: int) -> dict[str, Tally]:
    """Return the tallies of one learner by the key of the block."""
    newest = tallies.newest
    return {
        graph.keys[number]: Tally(
            float(tallies.earned[row, learner]),
            float(tallies.possible[row, learner]),
            float(tallies.optional_earned[row, learner]),
            float(tallies.optional_possible[row, learner]),
            None if newest is None or newest[row, learner] == NEVER else int(newest[row, learner]),
        )
        for row, number in enumerate(tallies.view.aggregators.tolist())
    }


def tallies_of(
    graph: CourseGraph, values: Mapping[str, float], *, profile: Profile | None = None, draws: Draws | None = None
) -> dict[str, Tally]:
    """Return the tallies of one learner with these completions, by the key of the block."""
    view = graph.view(profile or Profile(staff=True))
    table, _ = completions_of(graph, view, [{key: (value, 0) for key, value in values.items()}])
    return by_block(graph, roll_up(view, table, draws=[draws or {}]), 0)
