"""A course as the Course Blocks API of the LMS answers it, saved as JSON.

To what the LMS says, a file may add ``completion_mode``, ``optional_completion``, ``group_access``, ``max_count`` and
``days_early_for_beta`` per block, and ``user_partitions`` beside ``blocks``.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.graph import CompletionMode
from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone import fields
from completion_aggregator.platforms.standalone.modes import BANKS, ModeTable
from completion_aggregator.platforms.standalone.outline import MAX_BLOCKS, CourseContent, Draft, Findings, Outline

T = TypeVar("T")

MAX_FILE_BYTES: Final = 512 * 1024**2  # 100,000 blocks with every field take about a tenth
MAX_VALUES: Final = 10_000_000  # a gigabyte, in memory, if all are empty lists; 100,000 blocks have about a third
MAX_WRAPPERS: Final = 3
MAX_KEY: Final = 255  # what a column of keys can hold

_USAGE_KEY: Final = re.compile(r"block-v1:(?P<course>[\w\-~.:+]+)\+type@(?P<type>[\w\-~.:]+)\+block@[\w\-~.:%]+")

_Answer = Mapping[str, Any]


def read_blocks_json(path: Path | str, modes: ModeTable | None = None) -> CourseContent:
    """Return the course in *path*. Raises InvalidCourse when there is no course to be had from it."""
    file = Path(path)
    answer = _answer(_load(file), file)
    findings = Findings()
    blocks = _blocks(answer, findings, file)
    root = _root(answer, blocks, file)
    outline = Outline(_course_key(root, file), modes or ModeTable.from_settings(), findings)
    for key, values in blocks.items():
        _add(outline, key, values, str(file))
    fields_of_course = _Values({**blocks[root], **answer}, findings, str(file), root)
    as_partitions = partial(fields.as_partitions, report=partial(findings.problem, str(file), None))
    partitions = fields_of_course.get("user_partitions", as_partitions) or []
    title = outline.drafts[root].title or outline.course_key
    content = outline.content(root, title, partitions)
    # It says so of no block unless it was asked (``requested_fields=graded``).
    return content if any("graded" in values for values in blocks.values()) else replace(content, graded=None)


def _load(file: Path) -> Any:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise InvalidCourse(f"{file} has more than {MAX_FILE_BYTES} bytes")
        data = file.read_bytes()
        if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:  # those in texts too, which does no harm
            raise InvalidCourse(f"{file} holds more than {MAX_VALUES} values; is this one course?")
        return json.loads(data)
    except OSError as error:
        raise InvalidCourse(f"{file} cannot be read: {error.strerror or error}") from error
    except json.JSONDecodeError as error:
        raise InvalidCourse(f"{file}:{error.lineno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidCourse(f"{file} is not JSON: {error}") from error


def _answer(document: Any, file: Path, wrappers: int = 0) -> _Answer:
    """Return ``{"root", "blocks"}``, out of what somebody may have wrapped around it."""
    if isinstance(document, list):
        return {"blocks": document}
    if isinstance(document, dict) and isinstance(document.get("blocks"), list | dict):
        return document
    if isinstance(document, dict) and wrappers < MAX_WRAPPERS:
        inner = [value for value in document.values() if isinstance(value, list | dict) and value]
        if len(inner) == 1:
            return _answer(inner[0], file, wrappers + 1)
    raise InvalidCourse(
        f'{file} holds no blocks; it should be the answer of /api/courses/v1/blocks/: {{"root": …, "blocks": {{…}}}}'
    )


def _blocks(answer: _Answer, findings: Findings, file: Path) -> dict[str, _Answer]:
    """Return the blocks by key; of two with the same key the first is taken."""
    listed = answer["blocks"]
    if len(listed) > MAX_BLOCKS:
        raise InvalidCourse(f"{file} holds more than {MAX_BLOCKS} blocks; is this one course?")
    pairs = listed.items() if isinstance(listed, dict) else enumerate(listed)
    blocks: dict[str, _Answer] = {}
    for place, values in pairs:
        if not isinstance(values, dict):
            findings.problem(str(file), None, f"block {place} is not an object; left out")
            continue
        key = values.get("id", place)
        if not isinstance(key, str):
            findings.problem(str(file), None, f"block {place} has no id; left out")
        elif isinstance(place, str) and key != place:
            findings.problem(str(file), None, f"block {place} says that its id is {key}; left out")
        elif key in blocks:
            findings.problem(str(file), None, f"{key} is listed twice; the first is taken")
        else:
            blocks[key] = values
    return blocks


def _root(answer: _Answer, blocks: Mapping[str, _Answer], file: Path) -> str:
    root = answer.get("root")
    if root is not None:
        if not isinstance(root, str) or root not in blocks:
            raise InvalidCourse(f"{file}: the root {fields.shown(root)} is not among the blocks")
        return root
    children = {child for values in blocks.values() for child in _children(values) or ()}
    roots = [key for key in blocks if key not in children]
    if len(roots) != 1:
        found = ", ".join(roots[:3]) or "none"
        raise InvalidCourse(f"{file} names no root, and {len(roots)} blocks are nobody's child: {found}")
    return roots[0]


def _course_key(root: str, file: Path) -> str:
    match = _USAGE_KEY.fullmatch(root)
    if not match:
        raise InvalidCourse(f"{file}: the root block {root!r} has no key of the form block-v1:…+type@…+block@…")
    if len(root) > MAX_KEY:
        raise InvalidCourse(f"{file}: the key of the root block is longer than {MAX_KEY} characters")
    key = f"course-v1:{match['course']}"
    try:
        CourseKey.from_string(key)
    except InvalidKeyError:
        raise InvalidCourse(f"{file}: the root block {root!r} belongs to {key!r}, which is no course key") from None
    return key


def _children(values: _Answer) -> list[str] | None:
    """Return the children, or None when they are not a list of keys."""
    children = values.get("children") or []
    valid = isinstance(children, list) and all(isinstance(child, str) for child in children)
    return children if valid else None


def _add(outline: Outline, key: str, answer: _Answer, file: str) -> None:
    match = _USAGE_KEY.fullmatch(key)
    if not match or f"course-v1:{match['course']}" != outline.course_key or len(key) > MAX_KEY:
        outline.findings.problem(file, None, f"{key} is no usage key of {outline.course_key}; left out")
        return
    values = _Values(answer, outline.findings, file, key)
    children = _children(answer)
    if children is None:
        outline.findings.problem(file, None, f"{key}: children is not a list of keys; taken as none")
    outline.drafts[key] = Draft(
        key=key,
        type=match["type"],
        file=file,
        title=values.get("display_name", fields.as_text) or "",
        mode=values.get("completion_mode", _as_mode),
        children=list(children or ()),
        optional=values.get("optional_completion", fields.as_flag),
        start=values.get("start", fields.as_date),
        staff_only=values.get("visible_to_staff_only", fields.as_flag),
        group_access=values.get("group_access", fields.as_group_access) or {},
        days_early_for_beta=values.get("days_early_for_beta", fields.as_days),
        graded=values.get("graded", fields.as_flag),
        bank_size=_bank_size(outline, match["type"], values),
    )


def _bank_size(outline: Outline, block_type: str, values: "_Values") -> int | None:
    if block_type not in BANKS:
        return None
    size = values.get("max_count", fields.as_count)
    if size is None:
        # The answer for one learner holds the children that she drew, the answer for all of them holds every child.
        outline.findings.warn("item banks without max_count: all their children are counted")
    return size


def _as_mode(value: Any) -> CompletionMode:
    modes = {mode.value: mode for mode in CompletionMode}
    if not isinstance(value, str) or value not in modes:
        raise ValueError(f"none of {', '.join(modes)}")
    return modes[value]


class _Values:
    """The fields of one block."""

    def __init__(self, answer: _Answer, findings: Findings, file: str, key: str) -> None:
        self._answer = answer
        self._findings = findings
        self._file = file
        self._key = key

    def get(self, name: str, read: Callable[[Any], T]) -> T | None:
        """Return the value, or None if there is none or it cannot be understood."""
        value = self._answer.get(name)
        if value is None:
            return None
        try:
            return read(value)
        except ValueError as error:
            message = f"{self._key}: {name}={fields.shown(value)}: {error}; taken as not set"
            self._findings.problem(self._file, None, message)
            return None
