"""A small course and its learners."""

from collections.abc import Iterable

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.course_graph.blocks import Block, CompletionMode, Partition
from completion_aggregator.platforms.standalone.content import CourseContent
from completion_aggregator.platforms.standalone.courses import compile_content, store_version
from completion_aggregator.platforms.standalone.models import Course, Enrollment

KEY = CourseKey.from_string("course-v1:Org+Small+1")

GROUPED = Partition(id=100, scheme="cohort", groups=frozenset({1, 2}), name="Cohorts")
SHUFFLED = Partition(id=200, scheme="random", groups=frozenset({1, 2}), name="Experiment")
TRACKS = Partition(id=50, scheme="enrollment_track", groups=frozenset({1, 2}), name="Tracks")
TEAMS = Partition(id=300, scheme="team", groups=frozenset({1}), name="Teams")


def usage(kind: str, name: str, course: CourseKey = KEY) -> str:
    return str(course.make_usage_key(kind, name))


def leaf(name: str, kind: str = "html", **rules) -> Block:
    return Block(key=usage(kind, name), type=kind, mode=CompletionMode.COMPLETABLE, title=name, **rules)


def content(*leaves: Block, title: str = "Small", partitions: Iterable[Partition] = ()) -> CourseContent:
    """A course with one chapter that holds the leaves."""
    leaves = leaves or (leaf("one"), leaf("two"))
    chapter = Block(
        key=usage("chapter", "c"),
        type="chapter",
        mode=CompletionMode.AGGREGATOR,
        title="Chapter",
        children=tuple(each.key for each in leaves),
    )
    root = Block(
        key=usage("course", "course"),
        type="course",
        mode=CompletionMode.AGGREGATOR,
        title=title,
        children=(chapter.key,),
    )
    return CourseContent(
        course_key=str(KEY), title=title, blocks=(root, chapter, *leaves), partitions=tuple(partitions)
    )


def course(*leaves: Block, partitions: Iterable[Partition] = ()) -> Course:
    found = content(*leaves, partitions=partitions)
    store_version(found, compile_content(found))
    return Course.objects.get(course_key=KEY)


def learner(name: str, *, mode: str = "audit", is_active: bool = True, **fields):
    """A user, enrolled in the courses that there are."""
    user = get_user_model().objects.create_user(name, **fields)
    for each in Course.objects.all():
        Enrollment.objects.create(user=user, course=each, mode=mode, is_active=is_active)
    return user


def stale_rows() -> set[tuple[str, str, str | None]]:
    rows = StaleCompletion.objects.filter(resolved=False).values_list("username", "course_key", "block_key")
    return {(name, str(key), None if block is None else str(block)) for name, key, block in rows}


def facts() -> dict[tuple[str, str], float]:
    rows = BlockCompletion.objects.values_list("user__username", "block_key", "completion")
    return {(name, str(block)): completion for name, block, completion in rows}
