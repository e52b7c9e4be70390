"""Small OLX exports for tests, and the courses that they should give."""

from collections.abc import Mapping
from pathlib import Path

from completion_aggregator.course_graph.graph import Block
from completion_aggregator.platforms.standalone.modes import KNOWN, ModeTable
from completion_aggregator.platforms.standalone.olx import read_olx
from completion_aggregator.platforms.standalone.outline import CourseContent

MODES = ModeTable(KNOWN)
POINTER = '<course url_name="R" org="O" course="C"/>'
START = 'start="2020-01-01T00:00:00Z"'


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(folder: Path, files: Mapping[str, str | bytes], modes: ModeTable = MODES) -> CourseContent:
    return read_olx(write(folder, files), modes)


def read_inline(folder: Path, inner: str, files: Mapping[str, str | bytes] | None = None) -> CourseContent:
    """Read a released course that has *inner* written in its definition."""
    course = f"<course {START}>\n{inner}\n</course>"
    return read(folder, {"course.xml": POINTER, "course/R.xml": course, **(files or {})})


def key(block_type: str, name: str, course: str = "O+C+R") -> str:
    return f"block-v1:{course}+type@{block_type}+block@{name}"


def tree(content: CourseContent) -> dict[str, list[str]]:
    """Return the children by parent, in short: ``TYPE/name``."""
    return {short(block.key): [short(child) for child in block.children] for block in content.blocks}


def short(usage_key: str) -> str:
    return usage_key.partition("+type@")[2].replace("+block@", "/")


def block(content: CourseContent, name: str) -> Block:
    return next(each for each in content.blocks if short(each.key) == name)


def problems(content: CourseContent) -> list[str]:
    return [str(problem) for problem in content.report.problems]
