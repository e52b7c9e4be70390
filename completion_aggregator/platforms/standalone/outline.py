"""From the blocks as read to the blocks of a course: one root, no loops, nothing missing."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from completion_aggregator.course_graph.graph import Block, CompletionMode, Partition
from completion_aggregator.platforms.standalone.fields import clean
from completion_aggregator.platforms.standalone.modes import ModeTable

MAX_BLOCKS: Final = 500_000  # five times the largest course that is told of
MAX_NESTING: Final = 100  # of blocks; Open edX itself has about eight levels
# More than anybody reads. A report is stored with its course, and a few bytes of a file can be wrong a million times.
MAX_LISTED: Final = 10_000
MAX_MESSAGE: Final = 500
MAX_WARNINGS: Final = 1_000

# The LMS makes these for every course, so an export does not list them.
DYNAMIC_PARTITIONS: Final[Mapping[int, Partition]] = {
    50: Partition(50, "enrollment_track", frozenset(range(1, 8)), "Enrollment Track Groups"),
    51: Partition(51, "content_type_gate", frozenset({1, 2}), "Feature-based Enrollments"),
}


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
    """One version of a course's content. ``blocks``: in document order, the root first, each key once.

    ``graded``: the keys of those that count for the grade; None where the file does not say.
    """

    course_key: str
    title: str
    blocks: tuple[Block, ...]
    partitions: tuple[Partition, ...] = ()
    report: ImportReport = field(default_factory=ImportReport)
    graded: frozenset[str] | None = None


@dataclass(slots=True, kw_only=True)
class Draft:
    """A block as read; None where its author said nothing."""

    key: str
    type: str
    file: str
    line: int | None = None
    title: str = ""
    mode: CompletionMode | None = None
    children: list[str] = field(default_factory=list)
    optional: bool | None = None
    start: datetime | None = None
    staff_only: bool | None = None
    group_access: dict[int, frozenset[int]] = field(default_factory=dict)
    days_early_for_beta: float | None = None
    bank_size: int | None = None
    graded: bool | None = None


@dataclass(slots=True)
class Findings:
    """What there is to report, as it turns up."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    unlisted: int = 0

    def problem(self, file: str, line: int | None, message: str) -> None:
        """Note what was wrong in one place."""
        if len(self.problems) < MAX_LISTED:
            self.problems.append(Problem(_short(file), line, _short(message)))
        else:
            self.unlisted += 1

    def all_problems(self) -> tuple[Problem, ...]:
        """Return what was noted, and how much was not, in the place of the last."""
        if not self.unlisted:
            return tuple(self.problems)
        return (*self.problems, Problem(self.problems[-1].file, None, f"{self.unlisted:,} more problems, not listed"))

    def warn(self, message: str) -> None:
        """Note, once, what concerns the whole course."""
        cleaned = _short(message)
        if len(self.warnings) < MAX_WARNINGS and cleaned not in self.warnings:
            self.warnings.append(cleaned)


class Outline:
    """The drafts of a course, by key."""

    def __init__(self, course_key: str, modes: ModeTable, findings: Findings) -> None:
        self.course_key = course_key
        self.drafts: dict[str, Draft] = {}
        self.findings = findings
        self._modes = modes

    def content(self, root: str, title: str, partitions: list[Partition]) -> CourseContent:
        """Return the course below *root*; what does not fit is left out and reported."""
        ways_down = self._walk(root)
        drafts = [self.drafts[key] for key, _ in ways_down]
        self._report_unreached(root, ways_down)
        present = self._partitions(partitions, drafts)
        self._inherit(ways_down)
        blocks = tuple(self._block(draft, present) for draft in drafts)
        return CourseContent(
            course_key=self.course_key,
            title=title,
            blocks=blocks,
            partitions=tuple(present.values()),
            report=self._report(blocks),
            graded=frozenset(draft.key for draft in drafts if draft.graded),
        )

    def _walk(self, root: str) -> list[tuple[str, str | None]]:
        """Return the keys in document order, each with its first parent; unfit children are cut on the way."""
        found: dict[str, str | None] = {root: None}
        above = [root]
        pending = [self._fitting_children(root, above)]
        while pending:
            child = next(pending[-1], None)
            if child is None:
                pending.pop()
                above.pop()
            elif child not in found:
                found[child] = above[-1]
                above.append(child)
                pending.append(self._fitting_children(child, above))
        return list(found.items())

    def _fitting_children(self, key: str, above: list[str]) -> Iterator[str]:
        draft = self.drafts[key]
        if draft.children and len(above) > MAX_NESTING:
            self._cut(draft, f"its children are nested more than {MAX_NESTING} deep; left out")
            draft.children = []
        ancestors = set(above)
        fitting: dict[str, None] = {}
        for child in draft.children:
            if child not in self.drafts:
                self._cut(draft, f"the child {child} is not in the course; left out")
            elif child in ancestors:
                self._cut(draft, f"the child {child} holds this block itself; left out here")
            elif child in fitting:
                self._cut(draft, f"the child {child} is listed twice; counted once")
            else:
                fitting[child] = None
        draft.children = list(fitting)
        return iter(draft.children)

    def _cut(self, draft: Draft, message: str) -> None:
        self.findings.problem(draft.file, draft.line, f"{draft.key}: {message}")

    def _report_unreached(self, root: str, ways_down: list[tuple[str, str | None]]) -> None:
        unreached = sorted(self.drafts.keys() - dict(ways_down).keys())
        if unreached:
            some = ", ".join(unreached[:3]) + (", …" if len(unreached) > 3 else "")
            message = f"{len(unreached)} blocks cannot be reached from the root; left out: {some}"
            self.findings.problem(self.drafts[root].file, None, message)

    def _inherit(self, ways_down: list[tuple[str, str | None]]) -> None:
        """Hand down what the LMS hands down from the first parent; the rules for dates and groups are the graph's."""
        for key, parent in ways_down:
            draft, above = self.drafts[key], self.drafts[parent] if parent else None
            if above and draft.optional is None:
                draft.optional = above.optional
            if above and draft.days_early_for_beta is None:
                draft.days_early_for_beta = above.days_early_for_beta
            if above and draft.graded is None:
                draft.graded = above.graded

    def _partitions(self, listed: list[Partition], drafts: list[Draft]) -> dict[int, Partition]:
        present: dict[int, Partition] = {}
        for partition in listed:
            if present.setdefault(partition.id, partition) != partition:
                self.findings.warn(f"partition {partition.id} is listed twice; the first is taken")
        named: dict[int, set[int]] = {}
        for draft in drafts:
            for partition_id, groups in draft.group_access.items():
                named.setdefault(partition_id, set()).update(groups)
        for partition_id, named_groups in sorted(named.items()):
            if partition_id in DYNAMIC_PARTITIONS and partition_id not in present:
                dynamic = DYNAMIC_PARTITIONS[partition_id]
                present[partition_id] = replace(dynamic, groups=dynamic.groups | named_groups)
            elif partition_id not in present:
                self.findings.warn(
                    f"group_access names partition {partition_id}, which is no active partition of the course: ignored"
                )
        return present

    def _block(self, draft: Draft, partitions: Mapping[int, Partition]) -> Block:
        return Block(
            key=draft.key,
            type=draft.type,
            mode=draft.mode or self._modes.mode(draft.type),
            children=tuple(draft.children),
            title=draft.title,
            optional=bool(draft.optional),
            start=draft.start,
            staff_only=bool(draft.staff_only),
            group_access={number: groups for number, groups in draft.group_access.items() if number in partitions},
            days_early_for_beta=draft.days_early_for_beta,
            bank_size=draft.bank_size,
        )

    def _report(self, blocks: tuple[Block, ...]) -> ImportReport:
        counts = Counter(block.type for block in blocks)
        # A type whose every block says its mode itself is not a mystery.
        undecided = Counter(block.type for block in blocks if self.drafts[block.key].mode is None)
        unknown = {block_type: undecided[block_type] for block_type in self._modes.unknown(undecided)}
        return ImportReport(
            block_counts=dict(counts.most_common()),
            unknown_types=unknown,
            skipped=_some(self.findings.skipped),
            problems=self.findings.all_problems(),
            warnings=tuple(self.findings.warnings),
        )


def _short(text: str) -> str:
    """Return *text* as every database can store it, however long somebody made a name in it."""
    cleaned = clean(text[: 2 * MAX_MESSAGE])
    return cleaned if len(cleaned) <= MAX_MESSAGE else f"{cleaned[:MAX_MESSAGE]}…"


def _some(skipped: Mapping[str, str]) -> dict[str, str]:
    named = sorted(skipped.items())
    some = {_short(name): reason for name, reason in named[:MAX_LISTED]}
    return some | ({f"{len(named) - MAX_LISTED:,} more": "not listed"} if len(named) > MAX_LISTED else {})
