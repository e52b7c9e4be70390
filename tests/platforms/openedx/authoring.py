"""Builders of the courses of an LMS: ``author(block("chapter", "week1", block("html", "text")))``.

Blocks are written as a tree. A block that is below several others is the same object in several places. What an author
does goes into the draft; ``publish`` makes it the published version, ``collect`` runs the task that the LMS would run
some time later. ``author`` does all three.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import lms_counters
from lms.djangoapps.course_blocks.api import get_course_blocks
from opaque_keys.edx.keys import CourseKey, UsageKey
from openedx.core.djangoapps.content.block_structure import transformer_registry
from openedx.core.djangoapps.content.block_structure.api import get_course_in_cache, update_course_in_cache
from xmodule.modulestore.django import SignalHandler, modulestore
from xmodule.modulestore.in_memory import Branch, Definition
from xmodule.partitions import partitions as lms_partitions
from xmodule.partitions.partitions import Group, UserPartition

from tests.platforms.openedx import people

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
KEY = CourseKey.from_string("course-v1:Org+Course+Run")
ROOT = "course"


@dataclass(frozen=True, eq=False)
class Node:
    """A block as an author writes it. Of *fields*, what is not named is not set."""

    type: str
    id: str
    children: tuple["Node", ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


def block(kind: str, block_id: str, *children: Node, **fields: Any) -> Node:
    """Write a block."""
    return Node(kind, block_id, children, fields)


def split_test(block_id: str, partition_id: int, branches: Mapping[int, Node], *others: Node, **fields: Any) -> Node:
    """Write a split test: a branch for each group, and children that are of no group."""
    of_groups = {str(group): branch for group, branch in branches.items()}
    children = (*dict.fromkeys(branches.values()), *others)
    return Node(
        "split_test", block_id, children, {"user_partition_id": partition_id, "group_id_to_child": of_groups} | fields
    )


def partition(
    partition_id: int, *groups: int, scheme: str = "cohort", active: bool = True, **parameters: Any
) -> UserPartition:
    """Write a partition with these groups."""
    made = [Group(group, f"group {group}") for group in groups]
    name = f"partition {partition_id}"
    found = UserPartition.get_scheme(scheme)
    if hasattr(found, "create_user_partition"):
        return found.create_user_partition(partition_id, name, "", made, parameters, active)
    return UserPartition(partition_id, name, "", made, found, parameters, active)


@dataclass(frozen=True)
class Course:
    """A course, to be changed by its author and brought to its learners."""

    key: CourseKey = KEY

    @property
    def root(self) -> UsageKey:
        """The key of the course block."""
        return self.usage(ROOT)

    @property
    def draft(self) -> Branch:
        """What the author works on."""
        return modulestore().draft(self.key)

    def usage(self, block_id: str) -> UsageKey:
        """Return the key of a block of the draft."""
        found: UsageKey = next(key for key in self.draft.blocks if key.block_id == block_id)
        return found

    def set(self, block_id: str, **fields: Any) -> "Course":
        """Set fields of a block."""
        self.draft.blocks[self.usage(block_id)].fields.update(self._values(fields))
        return self

    def unset(self, block_id: str, *names: str) -> "Course":
        """Set fields of a block no more."""
        for name in names:
            self.draft.blocks[self.usage(block_id)].fields.pop(name, None)
        return self

    def add(self, parent_id: str, node: Node, at: int | None = None) -> "Course":
        """Put a block below another: behind its children, or at this place."""
        key = self._write(node)
        children = self.draft.blocks[self.usage(parent_id)].children
        children.insert(len(children) if at is None else at, key)
        return self

    def reorder(self, parent_id: str, *block_ids: str) -> "Course":
        """Put the children of a block into this order; who is not named is a child no more."""
        self.draft.blocks[self.usage(parent_id)].children[:] = [self.usage(each) for each in block_ids]
        return self

    def delete(self, block_id: str) -> "Course":
        """Remove a block, from everywhere. Its children stay where else they are."""
        key = self.usage(block_id)
        del self.draft.blocks[key]
        for each in self.draft.blocks.values():
            each.children[:] = [child for child in each.children if child != key]
        return self

    def publish(self, *, as_studio: bool = False) -> str:
        """Publish the draft and return the new version; *as_studio*: and tell this process, as if it were Studio."""
        version: str = modulestore().publish(self.key)
        if as_studio:
            SignalHandler(type(modulestore())).send("course_published", course_key=self.key)
        return version

    def collect(self) -> None:
        """Have the LMS collect what is published, as its task does."""
        update_course_in_cache(self.key)

    def release(self, *, as_studio: bool = False) -> "Course":
        """Publish, and have it collected."""
        self.publish(as_studio=as_studio)
        self.collect()
        return self

    def _write(self, node: Node) -> UsageKey:
        key: UsageKey = self.key.make_usage_key(node.type, node.id)
        if key not in self.draft.blocks:
            self.draft.blocks[key] = Definition(key)  # first, for the blocks below may name it
            children = [self._write(child) for child in node.children]
            self.draft.blocks[key] = Definition(key, self._values(node.fields), children)
        return key

    def _values(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._value(value) for name, value in fields.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, Node):
            return self.key.make_usage_key(value.type, value.id)
        return {name: self._value(each) for name, each in value.items()} if isinstance(value, dict) else value


def draft(*children: Node, key: CourseKey = KEY, partitions: Sequence[UserPartition] = (), **fields: Any) -> Course:
    """Write a course in place of what has this key; it began long ago, unless ``start`` is named (None: not set)."""
    course = Course(key)
    course.draft.blocks.clear()
    fields = {"start": LONG_AGO, "display_name": "A course"} | fields
    fields = {name: value for name, value in fields.items() if value is not None}
    if partitions:
        fields["user_partitions"] = list(partitions)
    course._write(Node("course", ROOT, children, fields))
    return course


def author(*children: Node, key: CourseKey = KEY, partitions: Sequence[UserPartition] = (), **fields: Any) -> Course:
    """Write a course, publish it, and have it collected."""
    return draft(*children, key=key, partitions=partitions, **fields).release()


def seen(course: Course, user: Any, **options: Any) -> list[str]:
    """The ids of the blocks below the course that a user sees, in topological order."""
    structure = get_course_blocks(people.reloaded(user), course.root, **options)
    return [key.block_id for key in structure.topological_traversal() if key in structure][1:]


def collected(name: str, what: str) -> dict[str, Any]:
    """What a transformer has collected of each block of the course."""
    structure = get_course_in_cache(KEY)
    return {key.block_id: structure.get_transformer_block_field(key, name, what) for key in structure}


def allowed() -> dict[str, dict[int, set[int]]]:
    """The groups that get to each block, by partition."""
    return {key: each.get_allowed_groups() for key, each in collected("user_partitions", "merged_group_access").items()}


def publish_library(library_key: Any) -> None:
    """Tell that a library was published, as Studio does: by the signal of courses."""
    SignalHandler(type(modulestore())).send("course_published", course_key=library_key)


@contextmanager
def scheme(name: str, found: Any) -> Iterator[None]:
    """Install a scheme of partitions for a while."""
    lms_partitions._EXTRA_SCHEMES[name] = found
    try:
        yield
    finally:
        del lms_partitions._EXTRA_SCHEMES[name]


@contextmanager
def transformer(found: Any) -> Iterator[None]:
    """Install a transformer for a while."""
    transformer_registry._EXTRA.append(found)
    try:
        yield
    finally:
        transformer_registry._EXTRA.remove(found)


def reset() -> None:
    """Forget every course, counter and switch; what is in the database is left to the test's transaction."""
    lms_counters.reset()
