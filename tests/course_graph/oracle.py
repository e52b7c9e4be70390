"""What learners see and have earned, straight from the definitions: slow, recursive, one learner at a time.

Shares no code with the package, only its input: blocks and partitions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from completion_aggregator.course_graph.blocks import Block, Partition


class Tally(NamedTuple):
    """The sums of one block; ``newest`` is None where nothing below was ever completed."""

    earned: float
    possible: float
    optional_earned: float
    optional_possible: float
    newest: int | None

    @property
    def percent(self) -> float:
        return self.earned / self.possible if self.possible else 1.0

    @property
    def optional_percent(self) -> float:
        return self.optional_earned / self.optional_possible if self.optional_possible else 1.0


NOTHING = Tally(0.0, 0.0, 0.0, 0.0, None)


@dataclass(frozen=True)
class Learner:
    """Who looks, when, and what she completed: key to value and microseconds."""

    now: datetime
    staff: bool = False
    beta: bool = False
    groups: Mapping[int, int | None] = field(default_factory=dict)
    messaging: frozenset[int] = frozenset()
    unreleased: bool = False
    completions: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    draws: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Course:
    """The definitions, asked of one course."""

    def __init__(self, blocks: Sequence[Block], partitions: Sequence[Partition]) -> None:
        self.blocks = {block.key: block for block in blocks}
        self.partitions = {partition.id for partition in partitions}
        self.parents: dict[str, list[str]] = {key: [] for key in self.blocks}
        for block in blocks:
            for child in block.children:
                self.parents[child].append(block.key)
        (self.root,) = [key for key, above in self.parents.items() if not above]
        # A block may be reached by very many ways: what was answered once is kept.
        self._starts: dict[str, datetime | None] = {}
        self._staff_only: dict[str, bool] = {}
        self._access: dict[str, dict[int, frozenset[int]]] = {}

    # --- what a block inherits -------------------------------------------------------------------------------------

    def start(self, key: str) -> datetime | None:
        """Return the later of its own date and the earliest of its parents; None is before every date."""
        if key not in self._starts:
            inherited = [self.start(parent) for parent in self.parents[key]]
            dates = [date for date in inherited if date is not None]
            earliest = min(dates) if dates and None not in inherited else None
            own = self.blocks[key].start
            self._starts[key] = max((d for d in (own, earliest) if d is not None), default=None)
        return self._starts[key]

    def staff_only(self, key: str) -> bool:
        """Return whether it says so itself, or all parents are."""
        if key not in self._staff_only:
            above = [self.staff_only(parent) for parent in self.parents[key]]
            self._staff_only[key] = self.blocks[key].staff_only or (above != [] and all(above))
        return self._staff_only[key]

    def access(self, key: str) -> dict[int, frozenset[int]]:
        """Return its own groups, cut by those that any parent lets in; an absent partition lets everybody in."""
        if key not in self._access:
            merged = {}
            own = self.blocks[key].group_access
            above = [self.access(parent) for parent in self.parents[key]]
            for partition in self.partitions:
                limits = [own[partition]] if partition in own else []
                if above and all(partition in access for access in above):
                    limits.append(frozenset(group for access in above for group in access[partition]))
                if limits:
                    merged[partition] = frozenset.intersection(*limits)
            self._access[key] = merged
        return self._access[key]

    # --- what a learner sees ---------------------------------------------------------------------------------------

    def hidden(self, key: str, learner: Learner) -> bool:
        """Return whether a rule takes the block itself away, whatever becomes of its parents."""
        if learner.staff:
            return False
        return (
            self.staff_only(key)
            or not (learner.unreleased or self._open(key, learner))
            or (self.blocks[key].type != "split_test" and self._denied(key, learner))
        )

    def _open(self, key: str, learner: Learner) -> bool:
        start, early = self.start(key), self.blocks[key].days_early_for_beta
        if start is None:
            return True
        if not learner.beta or early is None:
            return learner.now > start
        try:
            return learner.now > start - timedelta(days=early)
        except OverflowError:
            return early > 0

    def _denied(self, key: str, learner: Learner) -> bool:
        denying = [p for p, allowed in self.access(key).items() if learner.groups.get(p) not in allowed]
        return denying != [] and not any(partition in learner.messaging for partition in denying)

    def tree(self, learner: Learner) -> dict[str, list[str]]:
        """Return the children of each block that are not hidden, split tests having given way one by one."""
        if self.hidden(self.root, learner):
            return {key: [] for key in self.blocks}
        children = {key: list(block.children) for key, block in self.blocks.items()}
        for key in self._in_order():
            gives_way = self.blocks[key].type == "split_test" and key != self.root
            if not gives_way and not self.hidden(key, learner):
                continue
            new = [] if self.hidden(key, learner) else children[key]
            for parent in list(children):
                below = children[parent]
                children[parent] = [child for child in below if child != key] + new * below.count(key)
        return children

    def _in_order(self) -> list[str]:
        finished: list[str] = []

        def visit(key: str) -> None:
            for child in reversed(self.blocks[key].children):
                if child not in seen:
                    seen.add(child)
                    visit(child)
            finished.append(key)

        seen: set[str] = set()
        visit(self.root)
        return finished[::-1]

    # --- what she earned -------------------------------------------------------------------------------------------

    def counted_tree(self, learner: Learner) -> dict[str, list[str] | bool]:
        """Return what counts: aggregators with the children that count, leaves with whether they are optional."""
        children, counted = self.tree(learner), dict[str, list[str] | bool]()

        def visit(key: str) -> None:
            block = self.blocks[key]
            if block.mode == "completable":
                counted[key] = block.optional
            elif block.mode == "aggregator":
                below = [child for child in children[key] if self.blocks[child].mode != "excluded"]
                counted[key] = below
                for child in below:
                    if child not in counted:
                        visit(child)

        visit(self.root)
        return counted

    def tallies(self, learner: Learner) -> dict[str, Tally]:
        """Return the tally of every aggregator that counts."""
        children, tallies = self.tree(learner), dict[str, Tally]()

        def visit(key: str) -> Tally:
            block = self.blocks[key]
            if key in tallies:
                return tallies[key]
            if block.mode == "completable":
                return self._leaf(block, learner)
            if block.mode == "excluded":
                return NOTHING
            below = [(child, visit(child)) for child in children[key] if self.blocks[child].mode != "excluded"]
            if block.bank_size is not None and 0 <= block.bank_size < len(block.children):
                below = _drawn(block, block.bank_size, below, learner)
            tallies[key] = _sum([tally for _, tally in below])
            return tallies[key]

        visit(self.root)
        return tallies

    def _leaf(self, block: Block, learner: Learner) -> Tally:
        value, time = learner.completions.get(block.key, (0.0, None))
        return Tally(0.0, 0.0, value, 1.0, time) if block.optional else Tally(value, 1.0, 0.0, 0.0, time)


def _sum(tallies: Sequence[Tally]) -> Tally:
    """Return the sums in order; not by ``sum``, which since Python 3.12 is more exact than adding."""
    earned = possible = optional_earned = optional_possible = 0.0
    for tally in tallies:
        earned += tally.earned
        possible += tally.possible
        optional_earned += tally.optional_earned
        optional_possible += tally.optional_possible
    newest = max((tally.newest for tally in tallies if tally.newest is not None), default=None)
    return Tally(earned, possible, optional_earned, optional_possible, newest)


def _drawn(bank: Block, size: int, below: Sequence[tuple[str, Tally]], learner: Learner) -> list[tuple[str, Tally]]:
    """Return what counts of a bank: the children drawn, and as missing those that fill the draw up."""
    if bank.key in learner.draws:
        stored = [key for key in learner.draws[bank.key] if key in bank.children]
        drawn = sorted(set(stored), key=stored.index)[:size]
    else:
        drawn = [key for key, tally in below if tally.earned + tally.optional_earned > 0][:size]
    filling = [key for key, _ in below if key not in drawn][: size - len(drawn)]
    return [
        (key, tally if key in drawn else Tally(0.0, tally.possible, 0.0, tally.optional_possible, None))
        for key, tally in below
        if key in drawn or key in filling
    ]
