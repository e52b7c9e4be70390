"""A course as Open edX exports it: OLX."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone import fields
from completion_aggregator.platforms.standalone.archive import CourseFiles, read_files
from completion_aggregator.platforms.standalone.elements import BrokenXml, Element, parse
from completion_aggregator.platforms.standalone.modes import ModeTable
from completion_aggregator.platforms.standalone.olx_blocks import BlockReader, clean_name
from completion_aggregator.platforms.standalone.outline import CourseContent, Findings, Outline

# What the LMS takes for a course that says nothing; a date so late that nothing is ever released.
DEFAULT_START: Final = datetime(2030, 1, 1, tzinfo=UTC)

_COURSE_KEY_PART: Final = re.compile(r"[\w\-~.:]+")
_POINTER: Final = frozenset({"url_name", "slug", "org", "course"})


def read_olx(path: Path | str, modes: ModeTable | None = None) -> CourseContent:
    """Return the course exported to *path*. Raises InvalidCourse when there is no course to be had from it."""
    files = read_files(Path(path))
    modes = modes or ModeTable.from_settings()
    root = _parse_or_refuse(files, "course.xml", modes)
    if root.tag != "course":
        kind = "a content library" if root.tag == "library" else f"<{root.tag}>"
        raise InvalidCourse(f"course.xml holds {kind}, not a course")
    run = root.attributes.get("url_name") or root.attributes.get("slug") or clean_name(root.attributes.get("name", ""))
    if not run:
        raise InvalidCourse(f"course.xml:{root.line}: <course> has no url_name, which names the run of the course")
    return _read_course(files, modes, root, run)


def _read_course(files: CourseFiles, modes: ModeTable, root: Element, run: str) -> CourseContent:
    findings = Findings(skipped=dict(files.skipped))
    course_key = _course_key(files, root, run, findings)
    outline = Outline(course_key, modes, findings)
    reader = BlockReader(files, modes, outline, _policy(files, run, findings))
    definition, file = _definition(files, modes, root, run)
    root_key = reader.add_course(definition, file, run)
    draft = outline.drafts[root_key]
    as_partitions = partial(fields.as_partitions, report=partial(findings.problem, file, None))
    partitions = reader.course_field("user_partitions", as_partitions) or []
    if draft.start is None:
        draft.start = DEFAULT_START
        findings.warn(
            f"the course has no start date, so the LMS default of {DEFAULT_START:%Y-%m-%d} holds: nothing is released"
        )
    reader.finish(partitions)
    return outline.content(root_key, draft.title or course_key, partitions)


def _course_key(files: CourseFiles, root: Element, run: str, findings: Findings) -> str:
    parts = []
    for name, default in (("org", "edx"), ("course", clean_name(files.name) or "course")):
        value = root.attributes.get(name)
        if not value:
            findings.problem("course.xml", root.line, f"<course> has no {name}; {default!r} is taken")
        parts.append(value or default)
    for name, value in zip(("org", "course", "url_name"), (*parts, run), strict=True):
        if not _COURSE_KEY_PART.fullmatch(value):
            raise InvalidCourse(f"course.xml:{root.line}: {name}={value!r} cannot be part of a course key")
    key = f"course-v1:{'+'.join((*parts, run))}"
    if len(key) > 255:
        raise InvalidCourse(f"course.xml:{root.line}: the course key is longer than 255 characters")
    return key


def _definition(files: CourseFiles, modes: ModeTable, root: Element, run: str) -> tuple[Element, str]:
    """Follow the pointer in course.xml; old exports have the course in it instead."""
    path = f"course/{run.replace(':', '/')}.xml"
    if root.is_empty and files.get(path) is not None:
        definition = _parse_or_refuse(files, path, modes)
        extra = {name: text for name, text in root.attributes.items() if name not in _POINTER}
        definition.attributes = {**extra, **definition.attributes}
        return definition, path
    if root.is_empty and root.attributes.keys() <= _POINTER:
        raise InvalidCourse(f"course.xml:{root.line}: points to {path}, which is not there")
    return root, "course.xml"


def _parse_or_refuse(files: CourseFiles, path: str, modes: ModeTable) -> Element:
    try:
        return parse(files.contents[path] if path in files.contents else files.get(path) or b"", modes.containers)
    except BrokenXml as error:
        raise InvalidCourse(f"{path}:{error.line or 1}: {error}") from error


def _policy(files: CourseFiles, run: str, findings: Findings) -> Mapping[str, Mapping[str, Any]]:
    """Return the fields kept apart from the XML, by ``TYPE/url_name``."""
    for path in (f"policies/{run}/policy.json", f"policies/{run}.json"):
        data = files.get(path)
        if data is not None and (policy := _read_policy(path, data, findings)):
            return policy
    return {}


def _read_policy(path: str, data: bytes, findings: Findings) -> dict[str, Mapping[str, Any]]:
    try:
        policy = json.loads(data)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        findings.problem(path, line, f"not JSON, so its fields are missing: {error}")
        return {}
    if not isinstance(policy, dict):
        findings.problem(path, None, "not a JSON object, so its fields are missing")
        return {}
    for key in [key for key, values in policy.items() if not isinstance(values, Mapping)]:
        findings.problem(path, None, f"the fields of {key!r} are not an object; ignored")
        del policy[key]
    return policy
