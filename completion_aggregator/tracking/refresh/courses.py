"""Courses and their outlines, as this product knows them."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.visibility import ALWAYS, Profile, moment_of
from completion_aggregator.exceptions import InvalidCourse, UnknownCourse
from completion_aggregator.tracking.refresh.source import Row, batch_of, text
from completion_aggregator.tracking.refresh.summary import Account, RefreshSummary, now
from completion_aggregator.tracking.refresh.tables import BLOCK, COURSE
from completion_aggregator.tracking.refresh.target import Target

if TYPE_CHECKING:
    # It needs Django to be set up, which this room does not: the platform is handed in.
    from completion_aggregator.ports import Platform

_AT_ONCE: Final = 20  # graphs in memory
_LISTED: Final = 5
_UNGRADED: Final = "of {} courses the platform does not say what is graded: `graded` is NULL"


def refresh_courses(platform: "Platform", target: Target) -> RefreshSummary:
    """Write ``course`` and ``block``: every course whose content can be read; the notes name the others."""
    account = Account("courses", target)
    read: list[Row] = []
    keys = platform.course_keys()
    account.write_batches(BLOCK, _blocks(platform, keys, read, account))
    account.write(COURSE, read)
    found = {row[0] for row in read}
    if unread := [str(key) for key in keys if str(key) not in found]:
        more = ", ..." if len(unread) > _LISTED else ""
        account.notes.append(
            f"{len(unread)} courses have no content that can be read: {', '.join(unread[:_LISTED])}{more}"
        )
    return account.close()


def _blocks(
    platform: "Platform", keys: Sequence[CourseKey], read: list[Row], account: Account
) -> Iterator[pa.RecordBatch]:
    """Yield the blocks of each course, and add its own row to *read*."""
    for first in range(0, len(keys), _AT_ONCE):
        some = keys[first : first + _AT_ONCE]
        graphs = platform.course_graphs(some)
        for key in some:
            if key in graphs:
                version, graph = graphs[key]
                yield batch_of(BLOCK, list(outline(graph, _graded(platform, key, account))))
                read.append((str(key), key.org, key.course, key.run, text(graph.titles[0]), version, len(graph), now()))


def _graded(platform: "Platform", key: CourseKey, account: Account) -> Collection[str] | None:
    try:
        found = platform.graded(key)
    except (UnknownCourse, InvalidCourse):
        found = None  # what was compiled before is all there is
    if found is None:
        account.counts[_UNGRADED] += 1
    return found


def outline(graph: CourseGraph, graded: Collection[str] | None = None) -> Iterator[Row]:
    """Yield the blocks of a course in the order of their numbers: parents first, else as the course reads.

    *graded*: the keys of those that count for the grade; None: it is not known.
    """
    keys, types, titles, modes, rules = graph.keys, graph.types, graph.titles, graph.modes, graph.rules
    parents, positions, counts = _above(graph.children)
    paths, depths = [""] * len(graph), [0] * len(graph)
    view = graph.view(Profile(staff=True))
    optional = dict(zip((int(leaf) for leaf in view.leaves), view.optional.tolist(), strict=True))
    for block, parent in enumerate(parents):
        name = titles[block] or types[block]
        if parent is not None:
            paths[block] = f"{paths[parent]} / {name}" if paths[parent] else name
            depths[block] = depths[parent] + 1
        start = int(rules.start[block])
        yield (
            graph.course_key, keys[block], types[block], text(titles[block]),
            None if parent is None else keys[parent], counts[block], positions[block], depths[block],
            text(paths[block]), modes[block].value, optional.get(block), bool(rules.staff_only[block]),
            None if start == ALWAYS else moment_of(start), None if graded is None else keys[block] in graded, block,
        )  # fmt: skip


def _above(children: Sequence[Sequence[int]]) -> tuple[list[int | None], list[int | None], list[int]]:
    """Return, by block number, the first parent, the place among its children, and how many parents there are."""
    parents: list[int | None] = [None] * len(children)
    positions: list[int | None] = [None] * len(children)
    counts = [0] * len(children)
    for parent, below in enumerate(children):
        for position, child in enumerate(below, 1):
            counts[child] += 1
            if counts[child] == 1:
                parents[child], positions[child] = parent, position
    return parents, positions, counts
