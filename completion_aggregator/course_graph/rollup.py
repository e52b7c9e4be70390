"""Sums of completion over a course tree, for many learners at once.

The definition, which every path here reproduces bit for bit: a completable block earns its completion out of 1; an
excluded block and all below it count nothing; an aggregator is the sum over its children in their order, a child that
is reached by two ways counting once per way; optional blocks count apart; nothing possible means 100 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import groupby
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.course_graph.blocks import CompletionMode

#: A time before every completion: nothing below this aggregator was ever completed.
NEVER: Final = int(np.iinfo(np.int64).min)

Floats = NDArray[np.float64]
#: Per learner: item-bank key to the keys of the children drawn, in stored order.
Draws = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Bank:
    """An item bank that draws fewer children than it has; numbers are rows of the view.

    ``others``: keys of children that do not count, being unseen or excluded, and yet may take the place of a draw.
    """

    row: int
    key: str
    size: int
    children: tuple[int, ...]
    child_keys: tuple[str, ...]
    others: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Step:
    """Add rows ``sources`` to rows ``start:stop``: the n-th child of every aggregator of one height."""

    start: int
    stop: int
    sources: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class View:
    """The tree that one visibility profile sees, laid out for summation. Built by ``CourseGraph.view``.

    Rows number what counts: first the ``leaves``, then the ``aggregators``, each listed as block numbers of the graph;
    an aggregator comes after everything below it. ``optional``: which leaves count apart.
    """

    leaves: NDArray[np.intp]
    aggregators: NDArray[np.intp]
    optional: NDArray[np.bool_]
    steps: tuple[tuple[_Step, ...], ...]
    banks: tuple[tuple[Bank, ...], ...]
    digest: str

    @property
    def root(self) -> int:
        """The position of the course block among the aggregators: it is above all of them."""
        return len(self.aggregators) - 1

    @cached_property
    def fixed_possible(self) -> tuple[Floats, Floats] | None:
        """Possible, and optional possible, of shape (aggregators, 1); None if they differ by learner."""
        work = np.zeros((2, len(self.leaves) + len(self.aggregators), 1))
        work[0, : len(self.leaves), 0] = ~self.optional
        work[1, : len(self.leaves), 0] = self.optional
        for steps, banks in zip(self.steps, self.banks, strict=True):
            _add(work[0], steps)
            _add(work[1], steps)
            for bank in banks:
                each = work[:, list(bank.children), 0]
                if bank.others or (each != each[:, :1]).any():
                    return None
                work[:, bank.row, 0] = each[:, 0] * bank.size
        return work[0, len(self.leaves) :], work[1, len(self.leaves) :]


@dataclass(frozen=True, eq=False)
class Tallies:
    """What learners have earned of what is possible: arrays of shape (aggregators of the view, learners).

    ``newest``: microseconds of the newest completion below, or ``NEVER``; None where no times were given.
    """

    view: View
    earned: Floats
    possible: Floats
    optional_earned: Floats
    optional_possible: Floats
    newest: NDArray[np.int64] | None = None

    @cached_property
    def percent(self) -> Floats:
        """Earned out of possible, from 0 to 1."""
        return ratio(self.earned, self.possible)

    @cached_property
    def optional_percent(self) -> Floats:
        """Earned out of possible of the optional blocks, from 0 to 1."""
        return ratio(self.optional_earned, self.optional_possible)


def ratio(earned: Floats, possible: Floats) -> Floats:
    """Return earned / possible; nothing to do counts as done."""
    whole = np.ones(np.broadcast_shapes(earned.shape, possible.shape))
    return np.divide(earned, possible, out=whole, where=possible != 0)


def roll_up(
    view: View, values: Floats, *, times: NDArray[np.int64] | None = None, draws: Sequence[Draws] | None = None
) -> Tallies:
    """Return the tallies of every aggregator of *view* for every learner.

    ``values`` and ``times`` have shape (leaves of the view, learners): completions in [0, 1], 0.0 where there is none;
    microseconds, ``NEVER`` where there is none. ``draws``, one mapping a learner, is asked for item banks only.
    """
    work = _Work.of(view, values, times)
    for steps, banks in zip(view.steps, view.banks, strict=True):
        work.add(steps)
        for bank in banks:
            work.draw(bank, draws)
    return work.tallies(view)


def lay_out(
    children: Sequence[Sequence[int]],
    modes: Sequence[CompletionMode],
    optional: Sequence[bool],
    bank_draws: Mapping[int, tuple[int, Sequence[int]]],
    keys: Sequence[str],
) -> View:
    """Lay the tree under block 0 out for summation; *children* are those that one profile sees.

    ``bank_draws``: how many each item bank draws, negative for all, out of which blocks, seen or not.
    """
    counted = _counted(children, modes)
    leaves = [b for b in counted if modes[b] is CompletionMode.COMPLETABLE]
    below = {b: [c for c in children[b] if c in counted] for b in counted if modes[b] is CompletionMode.AGGREGATOR}
    banks = {b: draw for b, draw in bank_draws.items() if below.get(b) and 0 <= draw[0] < len(draw[1])}
    heights = _heights(counted, below)
    aggregators = sorted(below, key=lambda b: (heights[b], b in banks, -len(below[b]), b))
    row = {block: number for number, block in enumerate([*leaves, *aggregators])}
    steps, bank_steps = [], []
    for _, same_height in groupby(aggregators, key=heights.__getitem__):
        level = list(same_height)
        steps.append(_steps([b for b in level if b not in banks], below, row))
        bank_steps.append(tuple(_bank(b, banks[b], below[b], row, keys) for b in level if b in banks))
    drawing = [(bank.row, bank.size, sorted(bank.others)) for each in bank_steps for bank in each]
    identity = [[keys[b] for b in row], [optional[b] for b in leaves], drawing]
    shape = [[row[c] for c in below[b]] for b in aggregators]
    return View(
        leaves=np.array(leaves, dtype=np.intp),
        aggregators=np.array(aggregators, dtype=np.intp),
        optional=np.array([optional[b] for b in leaves], dtype=np.bool_),
        steps=tuple(steps),
        banks=tuple(bank_steps),
        digest=blake2b(repr((identity, shape)).encode(), digest_size=8).hexdigest(),
    )


def _counted(children: Sequence[Sequence[int]], modes: Sequence[CompletionMode]) -> dict[int, None]:
    """Return the blocks that count, in topological order: those reached through aggregators alone."""
    reached = {0}
    for block, below in enumerate(children):
        if block in reached and modes[block] is CompletionMode.AGGREGATOR:
            reached.update(below)
    return {block: None for block in sorted(reached) if modes[block] is not CompletionMode.EXCLUDED}


def _heights(counted: Mapping[int, None], below: Mapping[int, Sequence[int]]) -> dict[int, int]:
    heights: dict[int, int] = {}
    for block in reversed(list(counted)):
        heights[block] = 1 + max((heights[c] for c in below[block]), default=0) if block in below else 0
    return heights


def _bank(
    block: int, draw: tuple[int, Sequence[int]], below: Sequence[int], row: Mapping[int, int], keys: Sequence[str]
) -> Bank:
    size, collected = draw
    others = frozenset(keys[c] for c in collected if c not in below)
    return Bank(row[block], keys[block], size, tuple(row[c] for c in below), tuple(keys[c] for c in below), others)


def _steps(aggregators: Sequence[int], below: Mapping[int, Sequence[int]], row: Mapping[int, int]) -> tuple[_Step, ...]:
    """Return the additions for aggregators of one height, sorted by falling number of children."""
    steps = []
    for nth in range(len(below[aggregators[0]]) if aggregators else 0):
        wide = [b for b in aggregators if len(below[b]) > nth]
        sources = np.array([row[below[b][nth]] for b in wide], dtype=np.intp)
        steps.append(_Step(row[wide[0]], row[wide[-1]] + 1, sources))
    return tuple(steps)


def _add(sums: Floats, steps: Sequence[_Step]) -> None:
    for step in steps:
        sums[step.start : step.stop] += sums[step.sources]


@dataclass(frozen=True, eq=False)
class _Work:
    """The sums under way, a row for each leaf and aggregator; ``apart`` and ``newest`` only where there is need.

    ``possible``: both sides' possible where item banks make it differ by learner, else nothing.
    """

    earned: Floats
    apart: Floats | None
    newest: NDArray[np.int64] | None
    possible: tuple[Floats, ...]

    @classmethod
    def of(cls, view: View, values: Floats, times: NDArray[np.int64] | None) -> Self:
        leaves, optional = len(view.leaves), view.optional
        shape = (leaves + len(view.aggregators), values.shape[1])
        earned, apart, newest = np.zeros(shape), None, None
        earned[:leaves] = values
        if optional.any():
            apart = np.zeros(shape)
            apart[:leaves][optional] = values[optional]
            earned[:leaves][optional] = 0.0
        if times is not None:
            newest = np.full(shape, NEVER, dtype=np.int64)
            newest[:leaves] = times
        possible: tuple[Floats, ...] = ()
        if view.fixed_possible is None:
            possible = np.zeros(shape), np.zeros(shape)
            possible[0][:leaves] = ~optional[:, None]
            possible[1][:leaves] = optional[:, None]
        return cls(earned, apart, newest, possible)

    def add(self, steps: Sequence[_Step]) -> None:
        """Add children to their aggregators."""
        for sums in (self.earned, self.apart, *self.possible):
            if sums is not None:
                _add(sums, steps)
        newest = self.newest
        if newest is not None:
            for step in steps:
                rows = newest[step.start : step.stop]
                np.maximum(rows, newest[step.sources], out=rows)

    def draw(self, bank: Bank, draws: Sequence[Draws] | None) -> None:
        """Add the children that each learner drew; missing draws count as possible, not as earned."""
        children = list(bank.children)
        done = self.earned[children] + (0.0 if self.apart is None else self.apart[children])
        drawn, missing = _drawn(bank, done, draws)
        filled = ~drawn & (np.cumsum(~drawn, axis=0) <= missing)
        for nth, child in enumerate(children):
            for sums in (self.earned, self.apart):
                if sums is not None:
                    sums[bank.row] += np.where(drawn[nth], sums[child], 0.0)
            for sums in self.possible:
                sums[bank.row] += np.where(drawn[nth] | filled[nth], sums[child], 0.0)
            if self.newest is not None:
                row = self.newest[bank.row]
                np.maximum(row, np.where(drawn[nth], self.newest[child], NEVER), out=row)

    def tallies(self, view: View) -> Tallies:
        """Return the sums of the aggregators."""
        leaves, whole = len(view.leaves), (len(view.aggregators), self.earned.shape[1])
        possible = view.fixed_possible or tuple(each[leaves:] for each in self.possible)
        return Tallies(
            view=view,
            earned=self.earned[leaves:],
            possible=np.broadcast_to(possible[0], whole),
            optional_earned=np.broadcast_to(0.0, whole) if self.apart is None else self.apart[leaves:],
            optional_possible=np.broadcast_to(possible[1], whole),
            newest=None if self.newest is None else self.newest[leaves:],
        )


def _drawn(bank: Bank, done: Floats, draws: Sequence[Draws] | None) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return which children count for each learner, and how many draws are missing.

    They are those of the stored draw, or else the first with anything earned.
    """
    drawn: NDArray[np.bool_] = done > 0.0
    drawn &= np.cumsum(drawn, axis=0) <= bank.size
    missing = bank.size - drawn.sum(axis=0)
    possible = bank.others.union(bank.child_keys)
    for learner, stored in enumerate(draws or ()):
        if bank.key in stored:
            kept = [key for key in dict.fromkeys(stored[bank.key]) if key in possible][: bank.size]
            drawn[:, learner] = [key in kept for key in bank.child_keys]
            missing[learner] = bank.size - len(kept)
    return drawn, missing
