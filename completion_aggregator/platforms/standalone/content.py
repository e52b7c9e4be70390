"""The content of a course, read from a file: the one door for every format we know."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from completion_aggregator.course_graph.graph import Block, Partition


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was wrong in one place and was left out; the rest of the course was read."""

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import found, for the person who ran it.

    ``block_counts`` counts each block once, however many parents it has. ``skipped`` is what we do not read on
    purpose: a file, folder or tag, and why. ``warnings`` concern the course as a whole.
    """

    block_counts: Mapping[str, int] = field(default_factory=dict)
    unknown_types: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseContent:
    """One version of a course's content. ``blocks``: in document order, the root first, each key once."""

    course_key: str
    title: str
    blocks: tuple[Block, ...]
    partitions: tuple[Partition, ...] = ()
    report: ImportReport = field(default_factory=ImportReport)
