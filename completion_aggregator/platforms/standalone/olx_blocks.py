"""The blocks of an OLX course: pointers followed, names made into keys, fields read."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from completion_aggregator.course_graph.graph import SPLIT_TEST, Partition
from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone import fields
from completion_aggregator.platforms.standalone.archive import CourseFiles
from completion_aggregator.platforms.standalone.elements import BrokenXml, Element, parse
from completion_aggregator.platforms.standalone.modes import BANKS, CONTAINERS, ModeTable
from completion_aggregator.platforms.standalone.outline import MAX_BLOCKS, MAX_NESTING, Draft, Outline

T = TypeVar("T")

MAX_LINKS: Final = 2 * MAX_BLOCKS  # from parents to children
MAX_UNUSED_NAMED: Final = 20

# The classes of these types keep their definition in a file of its own; a bare element of any other type is the
# whole block.
_IN_FILES: Final = CONTAINERS | {
    "annotatable",
    "customtag",
    "discussion",
    "html",
    "lti",
    "poll_question",
    "problem",
    "video",
    "videoalpha",
    "word_cloud",
}

_NO_BLOCKS: Final[Mapping[str, str]] = {
    "wiki": "where the course's wiki is, not a block",
    "textbook": "a textbook, not a block",
    "meta": "a note of the editor, not a block",
    "include": "an include of 2012, no longer followed by the LMS",
}
_CUSTOM_TAGS: Final = frozenset({"book", "discuss", "image", "slides", "videodev"})  # customtag by another name

_BLOCK_KEY: Final = re.compile(r"block-v1:.+\+type@(?P<type>[^@+]+)\+block@(?P<name>.+)")
_LOCATION: Final = re.compile(r"i4x://[^/]+/[^/]+/(?P<type>[^/]+)/(?P<name>[^/@]+)(?:@.*)?")
_TYPE_AND_NAME: Final = re.compile(r"(?P<type>[^/]+)/(?P<name>[^/]+)")

_BAD_IN_KEY: Final = re.compile(r"[^\w\-~.:%]")
_BAD_IN_NAME: Final = re.compile(r"[^\w.%-]")
_TYPE: Final = re.compile(r"[\w\-~.]+")


def clean_name(text: str) -> str:
    """Return *text* as the LMS makes a url_name of it."""
    return re.sub("_+", "_", _BAD_IN_NAME.sub("_", text))


class BlockReader:
    """Reads elements into the drafts of an outline. A block is read where it is first met, then only pointed to."""

    def __init__(
        self, files: CourseFiles, modes: ModeTable, outline: Outline, policy: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._files = files
        self._modes = modes
        self._outline = outline
        self._findings = outline.findings
        self._policy = policy
        self._key_start = f"block-v1:{outline.course_key.removeprefix('course-v1:')}"
        self._digests: dict[str, str] = {}
        self._read: set[str] = {"course.xml"}
        self._unnamed: list[str] = []
        self._shared: dict[str, Element | None] = {}
        self._links = 0
        self._splits: list[tuple[Draft, int, dict[int, str]]] = []
        self._course_fields: _Fields

    def add_course(self, element: Element, file: str, run: str) -> str:
        """Read the whole course; its root has the same name in every course."""
        self._read.add(file)
        key = self._key("course", "course")
        self._course_fields = self._fields(element, file, f"course/{run}")
        self._add_draft(key, "course", element, self._course_fields, 0)
        return key

    def course_field(self, name: str, read: Callable[[Any], T]) -> T | None:
        """Return a field of the course block."""
        return self._course_fields.get(name, read)

    def finish(self, partitions: list[Partition]) -> None:
        """Do what needs all blocks: look up references, assign the children of split tests to groups."""
        by_name: dict[str, list[str]] = {}
        for key in self._outline.drafts:
            by_name.setdefault(key.rpartition("+block@")[2], []).append(key)
        for draft in self._outline.drafts.values():
            draft.children = [self._looked_up(child, by_name, draft) for child in draft.children]
        present = {partition.id: partition for partition in partitions}
        for draft, partition_id, assigned in self._splits:
            self._assign(draft, present.get(partition_id), assigned, by_name)
        self._report_leftovers()

    def _add(self, element: Element, file: str, depth: int) -> str | None:
        """Return the key of the block that *element* is or points to, or None if there is none to be had."""
        if element.tag == "section":
            element = _without_section(element)
        elif element.tag in _CUSTOM_TAGS:
            element.tag = "customtag"
        if self._is_no_block(element, file):
            return None
        if depth > MAX_NESTING:
            self._findings.problem(file, element.line, f"blocks are nested more than {MAX_NESTING} deep; left out")
            return None
        name = self._name(element, file)
        key = self._key(element.tag, name)
        if len(key) > 255:
            self._findings.problem(file, element.line, f"{key} is longer than 255 characters; left out")
            return None
        if _is_pointer(element):
            return self._add_pointed(element, file, key, depth)
        return self._add_inline(element, file, key, depth)

    def _add_pointed(self, element: Element, file: str, key: str, depth: int) -> str | None:
        if key in self._outline.drafts:
            return key
        name = element.attributes.get("url_name") or element.attributes["slug"]
        path = f"{element.tag}/{name.replace(':', '/')}.xml"
        if self._files.get(path) is None and element.tag not in _IN_FILES:
            return self._add_inline(element, file, key, depth)
        definition = self._definition(path, element, file)
        if definition is None:
            return None
        self._add_draft(key, element.tag, definition, self._fields(definition, path, f"{element.tag}/{name}"), depth)
        return key

    def _add_inline(self, element: Element, file: str, key: str, depth: int) -> str | None:
        if key in self._outline.drafts:
            if self._digests[key] != element.digest:
                first = self._outline.drafts[key]
                where = f"{first.file}:{first.line}"
                self._findings.problem(file, element.line, f"{key} is defined otherwise in {where}, which is taken")
            return key
        definition = element
        filename = element.attributes.get("filename")
        if filename and element.tag in CONTAINERS:
            # Before pointers, a container kept its children, but not its fields, in a file of another name.
            path = f"{element.tag}/{filename.replace(':', '/')}.xml"
            if path not in self._shared:  # any number of containers may name it
                self._shared[path] = self._definition(path, element, file)
            there = self._shared[path]
            if there is None:
                return None
            definition = Element(element.tag, element.attributes, element.line, there.children, digest=there.digest)
        name = key.rpartition("+block@")[2]
        self._add_draft(key, element.tag, definition, self._fields(definition, file, f"{element.tag}/{name}"), depth)
        return key

    def _definition(self, path: str, pointer: Element, file: str) -> Element | None:
        data = self._files.get(path)
        if data is None:
            self._findings.problem(file, pointer.line, f"points to {path}, which is not there; left out")
            return None
        self._read.add(path)
        try:
            definition = parse(data, self._modes.containers)
        except BrokenXml as error:
            self._findings.problem(path, error.line, f"{error}; the block is left out")
            return None
        if definition.tag != pointer.tag:
            message = f"holds <{definition.tag}> where <{pointer.tag}> is expected; read as <{pointer.tag}>"
            self._findings.problem(path, definition.line, message)
        return definition

    def _add_draft(self, key: str, block_type: str, element: Element, values: "_Fields", depth: int) -> None:
        draft = Draft(
            key=key,
            type=block_type,
            file=values.file,
            line=element.line,
            title=values.get("display_name", fields.as_text) or "",
            optional=values.get("optional_completion", fields.as_flag),
            start=values.get("start", fields.as_date),
            staff_only=values.get("visible_to_staff_only", fields.as_flag),
            group_access=values.get("group_access", fields.as_group_access) or {},
            days_early_for_beta=values.get("days_early_for_beta", fields.as_days),
            graded=values.get("graded", fields.as_flag),
        )
        if len(self._outline.drafts) >= MAX_BLOCKS:
            raise InvalidCourse(f"{values.file}:{element.line}: more than {MAX_BLOCKS} blocks; is this one course?")
        # Before its children: a child that points back must find it.
        self._outline.drafts[key] = draft
        self._digests[key] = element.digest
        if block_type in BANKS:
            size = values.get("max_count", fields.as_count)
            draft.bank_size = 1 if size is None else size
        if block_type in self._modes.containers:
            self._add_children(draft, element, values.file, depth)
        if block_type == SPLIT_TEST:
            self._remember_split(draft, values)

    def _add_children(self, draft: Draft, element: Element, file: str, depth: int) -> None:
        for child in element.children:
            if child.tag == "show" and draft.type == "conditional":
                sources = child.attributes.get("sources", "").split(";")
                draft.children += [self._reference(source.strip()) for source in sources if source.strip()]
            elif key := self._add(child, file, depth + 1):
                draft.children.append(key)
        self._links += len(draft.children)
        if self._links > MAX_LINKS:
            raise InvalidCourse(f"{file}:{draft.line}: more than {MAX_LINKS} links to children; is this one course?")

    def _is_no_block(self, element: Element, file: str) -> bool:
        tag = element.tag
        if tag in _NO_BLOCKS:
            self._findings.skipped[f"<{tag}>"] = _NO_BLOCKS[tag]
        elif element.attributes.get("xblock-family", "").startswith("xblock_asides"):
            self._findings.skipped[f"<{tag}>"] = "an aside of the block around it"
        elif not _TYPE.fullmatch(tag):
            self._findings.problem(file, element.line, f"<{tag}> cannot be a block type; left out")
        else:
            return False
        return True

    def _name(self, element: Element, file: str) -> str:
        """Return the url_name, made up where the author gave none, in the order in which the LMS tries."""
        given = element.attributes.get("url_name") or element.attributes.get("slug")
        if given:
            if not _BAD_IN_KEY.search(given):
                return given
            cleaned = re.sub("_+", "_", _BAD_IN_KEY.sub("_", given))
            self._findings.problem(
                file, element.line, f"url_name {given!r} has characters that no key may have; {cleaned!r} is taken"
            )
            return cleaned
        self._unnamed.append(f"{file}:{element.line}")
        title = clean_name(element.attributes.get("name") or element.attributes.get("display_name") or "")
        name = title or f"{element.tag}_{element.digest[:12]}"
        taken = self._digests.get(self._key(element.tag, name))
        return name if taken in (None, element.digest) else f"{element.tag}_{title}_{element.digest[:12]}"

    def _fields(self, element: Element, file: str, policy_key: str) -> "_Fields":
        return _Fields(element, file, self._policy.get(policy_key, {}), self._outline)

    def _key(self, block_type: str, name: str) -> str:
        return f"{self._key_start}+type@{block_type}+block@{name}"

    def _reference(self, text: str) -> str:
        """Return the key that *text* stands for, or *text* if only a name, to be looked up when all are known."""
        match = _BLOCK_KEY.fullmatch(text) or _LOCATION.fullmatch(text) or _TYPE_AND_NAME.fullmatch(text)
        return self._key(match["type"], match["name"]) if match else text

    def _looked_up(self, child: str, by_name: Mapping[str, list[str]], draft: Draft) -> str:
        if child in self._outline.drafts:
            return child
        keys = by_name.get(child, [])
        if len(keys) > 1:
            some = ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
            message = f"{child!r} may be any of {some}; the first is taken"
            self._findings.problem(draft.file, draft.line, message)
        return keys[0] if keys else child

    def _remember_split(self, draft: Draft, values: "_Fields") -> None:
        partition_id = values.get("user_partition_id", fields.as_count)
        assigned = values.get("group_id_to_child", fields.as_assignments) or {}
        if partition_id is not None:
            self._splits.append((draft, partition_id, assigned))

    def _assign(
        self, draft: Draft, partition: Partition | None, assigned: Mapping[int, str], by_name: Mapping[str, list[str]]
    ) -> None:
        if partition is None:
            self._findings.warn(f"{draft.key} has no active partition: all its branches are shown to everybody")
            return
        group_of = {
            self._looked_up(self._reference(child), by_name, draft): group
            for group, child in assigned.items()
            if group in partition.groups
        }
        for child in draft.children:
            if child in self._outline.drafts:
                access = self._outline.drafts[child].group_access
                # A branch that belongs to no group is open to all: what it said of this partition goes.
                access.pop(partition.id, None)
                if child in group_of:
                    access[partition.id] = frozenset({group_of[child]})

    def _report_leftovers(self) -> None:
        if self._unnamed:
            self._findings.warn(
                f"{len(self._unnamed)} elements have no url_name, the first in {self._unnamed[0]}: "
                "their keys come from their content, and change with it"
            )
        unused = sorted(path for path in self._files.contents if path.endswith(".xml") and path not in self._read)
        for path in unused[:MAX_UNUSED_NAMED]:
            folder = path.partition("/")[0]
            self._findings.skipped[path] = "nothing points to it" if folder in _IN_FILES else "no definition of a block"
        if len(unused) > MAX_UNUSED_NAMED:
            self._findings.skipped[f"{len(unused) - MAX_UNUSED_NAMED} more files"] = "nothing points to them"


class _Fields:
    """The fields of one block: its attributes, and over them those of the policy file."""

    def __init__(self, element: Element, file: str, policy: Mapping[str, Any], outline: Outline) -> None:
        self.file = file
        self._line = element.line
        self._attributes = element.attributes
        self._policy = policy
        self._findings = outline.findings

    def get(self, name: str, read: Callable[[Any], T]) -> T | None:
        """Return the value, or None if there is none or it cannot be understood."""
        if name in self._policy:
            value = self._policy[name]
        elif name in self._attributes:
            value = fields.decode(self._attributes[name])
            if read is fields.as_text and not isinstance(value, str):
                value = self._attributes[name]
        else:
            return None
        try:
            return read(value)
        except ValueError as error:
            self._findings.problem(self.file, self._line, f"{name}={fields.shown(value)}: {error}; taken as not set")
            return None


def _is_pointer(element: Element) -> bool:
    return (
        element.is_empty and element.attributes.keys() in ({"url_name"}, {"slug"}) and any(element.attributes.values())
    )


def _without_section(section: Element) -> Element:
    """Return what the LMS made of the old <section>: its only child, or a sequential."""
    if len(section.children) == 1:
        child = section.children[0]
        child.attributes.update(section.attributes)
        return child
    section.tag = "sequential"
    return section
