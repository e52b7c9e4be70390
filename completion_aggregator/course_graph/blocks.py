"""The blocks of a course as a platform hands them over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

SPLIT_TEST = "split_test"


class CompletionMode(StrEnum):
    """How a block takes part in completion."""

    COMPLETABLE = "completable"
    AGGREGATOR = "aggregator"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Partition:
    """A user partition of the course: a way to divide its learners into groups."""

    id: int
    scheme: str
    groups: frozenset[int]
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block as its author left it; what it inherits by the merge rules is worked out by ``compile_graph``.

    ``start``: None means no date of its own. ``group_access``: partition id to the groups allowed; an absent partition
    is unrestricted, an empty set lets nobody in. ``bank_size``: how many children an item bank draws, negative for all,
    None for a block that is no bank. A block of type ``split_test`` never shows: its children take its place.
    """

    key: str
    type: str
    mode: CompletionMode
    children: tuple[str, ...] = ()
    title: str = ""
    optional: bool = False
    start: datetime | None = None
    staff_only: bool = False
    group_access: Mapping[int, frozenset[int]] = field(default_factory=dict)
    days_early_for_beta: float | None = None
    bank_size: int | None = None
