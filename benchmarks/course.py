"""Generated courses and completions as our side takes them.

The course that refreshes are measured with is in memory: its structure costs nothing, as in the benchmark of the
replaced package.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, Final

from django.db import connection
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.graph import Block, CompletionMode, CourseGraph, compile_graph
from completion_aggregator.ports import Sight
from completion_aggregator.upsert import upsert
from tests.fakes.platform import FakePlatform

FACTS: Final = "completion_blockcompletion"
#: Of ours, all but the queue.
TABLES: Final = [
    f"completion_aggregator_{name}" for name in ("aggregator", "courseprogress", "courseleaf", "aggregatedcourse")
]
OF_LEARNERS: Final = [name for name in TABLES if name.endswith(("aggregator", "progress"))]
_SIZES: Final = {
    "sqlite": "SELECT SUM(pgsize) FROM dbstat s JOIN sqlite_master m USING (name) WHERE m.tbl_name IN ('{}')",
    "mysql": "SELECT SUM(data_length + index_length) FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name IN ('{}')",
    "postgresql": "SELECT SUM(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname IN ('{}')",
}


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


def store(course: Any, modes: Mapping[str, str]) -> None:
    """Make the course one of the standalone platform."""
    from completion_aggregator.platforms.standalone.content import CourseContent
    from completion_aggregator.platforms.standalone.courses import compile_content, store_version

    content = CourseContent(course_key=course.key, title=course.key, blocks=tuple(blocks_of(course, modes)))
    store_version(content, compile_content(content))


def enroll(course: Any, user_ids: Iterable[int]) -> None:
    """Enroll learners in a course of the standalone platform."""
    from completion_aggregator.platforms.standalone.models import Course, Enrollment

    course_id = Course.objects.get(course_key=CourseKey.from_string(course.key)).pk
    enrollments = (Enrollment(user_id=user_id, course_id=course_id) for user_id in user_ids)
    Enrollment.objects.bulk_create(enrollments, batch_size=2000)


def stored_bytes(tables: Sequence[str]) -> int:
    """Return the bytes that these tables and their indexes take."""
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute(f"ANALYZE TABLE {', '.join(tables)}")
            cursor.fetchall()
        cursor.execute(_SIZES[connection.vendor].format("', '".join(tables)))
        return int(cursor.fetchone()[0])


def empty_bytes(tables: Sequence[str]) -> int:
    """Return the bytes that these tables take while they are empty: on MariaDB and MySQL, a page for each index."""
    if connection.vendor != "mysql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(DISTINCT table_name, index_name) * @@innodb_page_size FROM information_schema.statistics"
            f" WHERE table_schema = DATABASE() AND table_name IN ({', '.join(['%s'] * len(tables))})",
            tables,
        )
        return int(cursor.fetchone()[0])
