"""The content of a course, read from a file: the one door for every format we know."""

from pathlib import Path

from completion_aggregator.platforms.standalone.blocks_api import read_blocks_json
from completion_aggregator.platforms.standalone.olx import read_olx
from completion_aggregator.platforms.standalone.outline import CourseContent, ImportReport, Problem

__all__ = ["CourseContent", "ImportReport", "Problem", "read_course"]


def read_course(path: Path | str) -> CourseContent:
    """Return the course in *path*: an OLX export (archive or folder), or a Blocks API response (``.json``).

    Raises InvalidCourse, with a sentence for the person who gave us the file.
    """
    source = Path(path)
    if source.suffix.lower() == ".json":
        return read_blocks_json(source)
    return read_olx(source.parent if source.name == "course.xml" else source)
