"""Courses in memory, in two branches: what authors see, and what they have published."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from opaque_keys.edx.keys import CourseKey, UsageKey
from xblock.core import XBlock
from xblock.fields import ScopeIds
from xblock.runtime import Mixologist

from xmodule.block_types import HiddenBlock
from xmodule.modulestore import ModuleStoreEnum
from xmodule.modulestore.exceptions import ItemNotFoundError
from xmodule.modulestore.inheritance import InheritanceMixin, InheritingFieldData
from xmodule.x_module import XModuleMixin

_MIXED = Mixologist([InheritanceMixin, XModuleMixin])


@dataclass
class Definition:
    """One block as its author left it: only the fields that were set."""

    key: UsageKey
    fields: dict[str, Any] = field(default_factory=dict)
    children: list[UsageKey] = field(default_factory=list)


@dataclass
class Branch:
    """One version of a course."""

    blocks: dict[UsageKey, Definition] = field(default_factory=dict)
    version: str = field(default_factory=lambda: uuid4().hex[:24])
    edited_on: datetime = field(default_factory=lambda: datetime.now(UTC))


class InMemoryModuleStore:
    """The modulestore. It keeps nothing but the index of courses in the database."""

    def __init__(self) -> None:
        self._drafts: dict[CourseKey, Branch] = {}
        self._published: dict[CourseKey, Branch] = {}
        self._branch = ModuleStoreEnum.Branch.published_only

    # --- as the LMS calls it ---

    def make_course_usage_key(self, course_key: CourseKey) -> UsageKey:
        """Return the key of the course block; no query."""
        return course_key.make_usage_key("course", "course")

    def has_course(self, course_key: CourseKey) -> bool:
        """Return whether there is such a course."""
        return course_key in self._drafts

    def get_course(self, course_key: CourseKey, depth: int = 0) -> XBlock | None:
        """Return the course block, or None."""
        try:
            return self.get_item(self.make_course_usage_key(course_key))
        except ItemNotFoundError:
            return None

    def get_courses(self) -> list[XBlock]:
        """Return the block of every course."""
        found = [self.get_course(course_key) for course_key in self._drafts]
        return [each for each in found if each is not None]

    def get_item(self, usage_key: UsageKey) -> XBlock:
        """Return a block. Raises ItemNotFoundError."""
        for key, block in self.load(usage_key.course_key, only=usage_key):
            if key == usage_key:
                return block
        raise ItemNotFoundError(usage_key)

    @contextmanager
    def branch_setting(self, branch: str, course_key: CourseKey | None = None) -> Iterator[None]:
        """Read from one of the branches for a while."""
        before, self._branch = self._branch, branch
        try:
            yield
        finally:
            self._branch = before

    @contextmanager
    def bulk_operations(self, course_key: CourseKey) -> Iterator[None]:
        """Do many things at once."""
        yield

    def get_block_original_usage(self, usage_key: UsageKey) -> tuple[UsageKey | None, str | None]:
        """Return the block of a library that this one was copied from: none was."""
        return None, None

    # --- as the fake's own parts call it ---

    def load(self, course_key: CourseKey, only: UsageKey | None = None) -> Iterator[tuple[UsageKey, XBlock]]:
        """Yield the blocks of a course with their keys, each once, parents before their first child."""
        from openedx.features.content_type_gating.field_override import enabled_providers

        branch = self._read(course_key)
        providers = enabled_providers(course_key)
        above: dict[UsageKey, list[UsageKey]] = {}
        for key, parent in _walk(branch.blocks, self.make_course_usage_key(course_key)):
            above[key] = [parent, *above[parent]] if parent else []
            if only is None or key == only:
                yield key, _block(branch, key, above[key], providers)

    def draft(self, course_key: CourseKey) -> Branch:
        """Return the draft of a course, to be changed; it is made now if there is none."""
        return self._drafts.setdefault(course_key, Branch())

    def publish(self, course_key: CourseKey) -> str:
        """Make the draft the published version, and return its id."""
        draft = self._drafts[course_key]
        branch = Branch({key: deepcopy(each) for key, each in draft.blocks.items()})
        self._published[course_key] = branch
        self._index(course_key, branch)
        return branch.version

    def delete_course(self, course_key: CourseKey) -> None:
        """Remove a course."""
        self._drafts.pop(course_key, None)
        self._published.pop(course_key, None)
        _indexes().filter(course_id=course_key).delete()

    def clear(self) -> None:
        """Forget every course; the database is left as it is."""
        self._drafts.clear()
        self._published.clear()

    def _read(self, course_key: CourseKey) -> Branch:
        draft = self._branch == ModuleStoreEnum.Branch.draft_preferred
        try:
            return (self._drafts if draft else self._published)[course_key]
        except KeyError:
            raise ItemNotFoundError(course_key) from None

    def _index(self, course_key: CourseKey, branch: Branch) -> None:
        row = {"published_version": branch.version, "edited_on": branch.edited_on, "last_update": branch.edited_on}
        made = {
            "objectid": uuid4().hex[:24], "org": course_key.org, "draft_version": uuid4().hex[:24],
            "base_store": "mongodb", "wiki_slug": "",
        }  # fmt: skip
        _indexes().update_or_create(course_id=course_key, defaults=row, create_defaults=row | made)


def _indexes():
    from common.djangoapps.split_modulestore_django.models import SplitModulestoreCourseIndex

    return SplitModulestoreCourseIndex.objects


def _walk(
    blocks: dict[UsageKey, Definition], root: UsageKey
) -> Iterable[tuple[UsageKey, UsageKey | None]]:  # key and first parent
    seen: set[UsageKey] = set()
    stack: list[tuple[UsageKey, UsageKey | None]] = [(root, None)]
    while stack:
        key, parent = stack.pop()
        if key in seen or key not in blocks:
            continue
        seen.add(key)
        yield key, parent
        stack += [(child, key) for child in reversed(blocks[key].children)]


def _block(branch: Branch, key: UsageKey, above: list[UsageKey], providers: list[type]) -> XBlock:
    from openedx.features.content_type_gating.field_override import OverridingFieldData

    definition = branch.blocks[key]
    block_class = _MIXED.mix(XBlock.load_class(key.block_type, default=HiddenBlock))
    own = dict(definition.fields)
    if getattr(block_class, "has_children", False):
        own["children"] = list(definition.children)
    data = InheritingFieldData(own, [branch.blocks[each].fields for each in above])
    runtime = _FieldDataRuntime(OverridingFieldData(data, providers) if providers else data)
    block = block_class(runtime, scope_ids=ScopeIds(None, key.block_type, key, key))
    block.above = above
    block.course_version = branch.version
    block.subtree_edited_on = branch.edited_on
    return block


class _FieldDataRuntime:
    """All that a block asks of its runtime while its fields are read."""

    def __init__(self, field_data):
        self._field_data = field_data

    def service(self, block: XBlock, name: str):
        return self._field_data if name == "field-data" else None
