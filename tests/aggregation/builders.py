"""A small course, its learners and their completions; and every row that aggregation left, whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.aggregation import api
from completion_aggregator.course_graph.graph import Block, CompletionMode, CourseGraph, Partition, compile_graph
from completion_aggregator.models import AggregatedCourse, Aggregator, CourseLeaf, CourseProgress, StaleCompletion
from completion_aggregator.upsert import upsert
from tests.fakes.platform import FakePlatform

KEY = CourseKey.from_string("course-v1:Test+Course+1")

#: Texts of errors that databases refuse, and what is stored of them.
UNSTORABLE = [("half \ud83d a pair", "half \\ud83d a pair"), ("a\0b", "a\\0b")]

_MODES = {
    **dict.fromkeys(("course", "chapter", "sequential", "vertical", "library_content"), CompletionMode.AGGREGATOR),
    "discussion": CompletionMode.EXCLUDED,
}


@dataclass(frozen=True)
class Node:
    """A block with its children, before it is compiled."""

    kind: str
    name: str
    children: tuple["Node", ...] = ()
    rules: dict[str, Any] = field(default_factory=dict)

    def walk(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.walk()


def node(kind: str, name: str, *children: Node, **rules: Any) -> Node:
    return Node(kind, name, children, rules)


chapter = partial(node, "chapter")
sequential = partial(node, "sequential")
vertical = partial(node, "vertical")
html = partial(node, "html")
problem = partial(node, "problem")


def usage(kind: str, name: str, course_key: CourseKey = KEY) -> UsageKey:
    return course_key.make_usage_key(kind, name)


def course(
    *chapters: Node, title: str = "Course", partitions: Iterable[Partition] = (), key: CourseKey = KEY
) -> CourseGraph:
    """Compile a course; a node that is named twice is one block under two parents."""
    root = Node("course", "course", chapters)
    nodes = {(each.kind, each.name): each for each in root.walk()}
    blocks = [
        Block(
            key=str(usage(each.kind, each.name, key)),
            type=each.kind,
            title=title if each is root else each.name,
            children=tuple(str(usage(child.kind, child.name, key)) for child in each.children),
            **{"mode": _MODES.get(each.kind, CompletionMode.COMPLETABLE), **each.rules},
        )
        for each in nodes.values()
    ]
    return compile_graph(str(key), blocks, partitions)


#: Two chapters, five leaves that count, one optional, one excluded.
SMALL = (
    chapter(
        "c1",
        sequential(
            "s1",
            vertical("v1", html("a"), html("b")),
            vertical("v2", html("c"), problem("d", optional=True), node("discussion", "x")),
        ),
    ),
    chapter("c2", sequential("s2", vertical("v3", html("e"), html("f")))),
)
#: Rows of one learner in it: the course, two chapters, two sequentials, three verticals.
SMALL_ROWS = 8


def small(platform: FakePlatform) -> CourseKey:
    return platform.publish(course(*SMALL))


def learner(platform: FakePlatform, name: str, key: CourseKey = KEY) -> Any:
    """A user who is enrolled."""
    user = get_user_model()._default_manager.create(username=name)
    platform.enrolled.setdefault(str(key), []).append(user.pk)
    return user


def learners(platform: FakePlatform, count: int, key: CourseKey = KEY) -> list[Any]:
    model = get_user_model()
    model._default_manager.bulk_create([model(username=f"learner{n:05}") for n in range(count)])
    users = list(model._default_manager.order_by("pk"))
    platform.enrolled[str(key)] = [user.pk for user in users]
    return users


def complete(user: Any, name: str, value: float = 1.0, *, kind: str = "html", key: CourseKey = KEY) -> None:
    """Complete a block as the LMS does."""
    BlockCompletion.objects.submit_completion(user, usage(kind, name, key), value)


def imported(user: AbstractBaseUser, values: dict[str, tuple[float, datetime]], *, kind: str = "html") -> None:
    """Complete blocks as an import does: in bulk, with times of its own, and marked by hand."""
    upsert(
        BlockCompletion._meta.db_table,
        ("user_id", "course_key", "block_key", "block_type", "completion", "created", "modified"),
        ("course_key", "block_key", "user_id"),
        [
            (user.pk, str(KEY), str(usage(kind, name)), kind, value, moment, moment)
            for name, (value, moment) in values.items()
        ],
        update=("completion", "modified"),
    )
    api.mark_stale_many(KEY, {user.get_username(): {str(usage(kind, name)) for name in values}})


def moment(minute: int) -> datetime:
    """Return a moment of one day long ago."""
    return datetime(2025, 3, 1, minute // 60, minute % 60, 0, 123456, tzinfo=UTC)


def rows(*columns: str) -> set[tuple[Any, ...]]:
    """Return the Aggregator rows, without what differs from write to write."""
    columns = columns or (
        "user_id", "course_key", "aggregation_name", "block_key", "earned", "possible", "percent",
        "optional_earned", "optional_possible", "optional_percent", "last_modified",
    )  # fmt: skip
    return {tuple(map(_plain, row)) for row in Aggregator.objects.values_list(*columns)}


def states() -> set[tuple[Any, ...]]:
    """Return the CourseProgress rows, without what tells how they came to be."""
    return {tuple(map(_plain, row)) for row in CourseProgress.objects.values_list(*state_columns())}


def state_columns() -> list[str]:
    """Return the columns that ``states`` shows."""
    history = ("id", "as_of", "error", "begun")
    return [f.attname for f in CourseProgress._meta.concrete_fields if f.attname not in history]


def everything() -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    return rows(), states()


def from_scratch(*keys: CourseKey) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """Drop what is stored, aggregate anew, and return every row. Leaf numbers stay: vectors speak of them."""
    Aggregator.objects.all().delete()
    CourseProgress.objects.all().delete()
    for key in keys or (KEY,):
        api.mark_course_stale(key, force=True)
        api.refresh_course(key)
    return everything()


def tallies(user: Any) -> dict[str, tuple[float, float]]:
    """Return earned and possible by block name, as stored."""
    found = Aggregator.objects.filter(user=user).values_list("block_key", "earned", "possible")
    return {key.block_id: (earned, possible) for key, earned, possible in found if key is not None}


def waiting() -> QuerySet[StaleCompletion]:
    return StaleCompletion.objects.filter(resolved=False)


def wipe() -> None:
    """Forget all that aggregation ever did."""
    for model in (Aggregator, CourseProgress, CourseLeaf, AggregatedCourse, StaleCompletion):
        model._default_manager.all().delete()
    api.forget()


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return value
