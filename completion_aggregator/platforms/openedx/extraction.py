"""Blocks and partitions out of a collected block structure of the LMS: no query, nothing written, nothing imported.

What the LMS's transformers collect is merged along the graph already. ``compile_graph`` merges it once more, which
changes nothing: a merged date is no earlier than that of the earliest parent, a merged group let in by some parent.
"""

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from completion_aggregator.course_graph.blocks import Block, CompletionMode, Partition
from completion_aggregator.exceptions import InvalidCourse

_MODES: Final = {mode.value: mode for mode in CompletionMode}
_ABSENT: Final = object()


class Structure(Protocol):
    """What we ask of a block structure."""

    @property
    def root_block_usage_key(self) -> Any:
        """The usage key of the course block."""

    def topological_traversal(self) -> Iterator[Any]:
        """Yield the usage keys of the tree, parents first."""

    def get_children(self, usage_key: Any) -> Collection[Any]:
        """Return the children of a block: the structure's own list, not to be changed."""

    def get_xblock_field(self, usage_key: Any, field_name: str, default: Any = None) -> Any:
        """Return a collected field."""

    def get_transformer_block_field(self, usage_key: Any, transformer: str, key: str, default: Any = None) -> Any:
        """Return what a transformer has collected of a block."""

    def get_transformer_data(self, transformer: str, key: str, default: Any = None) -> Any:
        """Return what a transformer has collected of the course."""


@dataclass(frozen=True, slots=True)
class Content:
    """What ``compile_graph`` takes. ``edition``: the LMS's name for what it collected; empty where it keeps none."""

    blocks: tuple[Block, ...]
    partitions: tuple[Partition, ...]
    edition: str


def extract(structure: Structure, *, banks: Container[str], modes: Mapping[str, CompletionMode]) -> Content:
    """Return the blocks and the partitions of the course. Raises InvalidCourse where the LMS has collected too little.

    *banks*: the block types that are item banks; *modes*: those of block types that the site wants otherwise than
    their blocks say.
    """
    partitions = _partitions(structure)
    reader = _Reader(structure, banks, modes, frozenset(each.id for each in partitions))
    # By traversal: the LMS's mapping of blocks may hold some that are in the tree no longer.
    blocks = tuple(reader.block(usage_key) for usage_key in structure.topological_traversal())
    edition = structure.get_xblock_field(structure.root_block_usage_key, "course_version")
    return Content(blocks, partitions, str(edition or ""))


def _partitions(structure: Structure) -> tuple[Partition, ...]:
    found = structure.get_transformer_data("user_partitions", "user_partitions") or ()
    return tuple(
        Partition(
            id=int(each.id),
            scheme=_scheme(each),
            groups=frozenset(int(group.id) for group in each.groups),
            name=str(getattr(each, "name", None) or ""),
        )
        for each in found
        if getattr(each, "active", True)
    )


def _scheme(partition: Any) -> str:
    # The LMS hangs its name on the class of the scheme when that is looked up: on this one, for a class that was not
    # looked up has the name of the class that it is derived from, and may have other rules.
    return str(vars(partition.scheme).get("name", partition.scheme))


@dataclass(frozen=True, slots=True)
class _Reader:
    structure: Structure
    banks: Container[str]
    modes: Mapping[str, CompletionMode]
    partitions: frozenset[int]

    def block(self, usage_key: Any) -> Block:
        """Return one block. Raises InvalidCourse."""
        kind = str(usage_key.block_type)
        mode = self._mode(usage_key, kind)
        return Block(
            key=str(usage_key),
            type=kind,
            mode=mode,
            children=tuple(dict.fromkeys(str(child) for child in self.structure.get_children(usage_key))),
            title=str(self._field(usage_key, "display_name") or ""),
            # No block of the LMS has it; it is there where a fork, or another package, collects it.
            optional=bool(self._field(usage_key, "optional_completion")),
            start=self._start(usage_key),
            staff_only=bool(self._collected(usage_key, "visibility", "merged_visible_to_staff_only")),
            group_access=self._group_access(usage_key),
            days_early_for_beta=_number(self._field(usage_key, "days_early_for_beta")),
            bank_size=self._bank_size(usage_key, kind, mode),
        )

    def _mode(self, usage_key: Any, kind: str) -> CompletionMode:
        if kind in self.modes:
            return self.modes[kind]
        # As XBlock has it: completable is what says nothing of itself, and what says something that nobody knows.
        return _MODES.get(str(self._field(usage_key, "completion_mode")), CompletionMode.COMPLETABLE)

    def _bank_size(self, usage_key: Any, kind: str, mode: CompletionMode) -> int | None:
        """Return how many children a bank draws; a bank that is completed by viewing it draws nothing that counts."""
        if kind not in self.banks or mode is not CompletionMode.AGGREGATOR:
            return None
        size = self._field(usage_key, "max_count")
        return -1 if size is None else int(size)

    def _start(self, usage_key: Any) -> datetime | None:
        found = self._collected(usage_key, "start_date", "merged_start_date")
        try:
            moment = datetime.fromisoformat(found) if isinstance(found, str) else found
        except ValueError:
            raise InvalidCourse(f"Block {usage_key} starts at {found!r}, which is no date.") from None
        if not moment:
            return None
        if not isinstance(moment, datetime):
            raise InvalidCourse(f"Block {usage_key} starts at {found!r}, which is no date.")
        # The LMS works in UTC; what it stored as text may come back without saying so.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment

    def _group_access(self, usage_key: Any) -> dict[int, frozenset[int]]:
        if not self.partitions:
            return {}  # the LMS collects no access then
        merged = self._collected(usage_key, "user_partitions", "merged_group_access")
        allowed = {} if merged is None else merged.get_allowed_groups()
        return {
            int(partition): frozenset(int(group) for group in groups)
            for partition, groups in allowed.items()
            if groups is not None and int(partition) in self.partitions
        }

    def _field(self, usage_key: Any, name: str) -> Any:
        return self.structure.get_xblock_field(usage_key, name)

    def _collected(self, usage_key: Any, transformer: str, name: str) -> Any:
        found = self.structure.get_transformer_block_field(usage_key, transformer, name, _ABSENT)
        if found is _ABSENT:
            # Without it nobody can tell who sees the block; to guess would show what is hidden.
            raise InvalidCourse(
                f"Block {usage_key} has no {name}: what the LMS has collected of the course lacks its transformer"
                f" {transformer}. Have it collected again: manage.py lms generate_course_blocks."
            )
        return found


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
