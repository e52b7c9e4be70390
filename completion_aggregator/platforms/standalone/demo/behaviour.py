"""How simulated learners work through a course: when, how far, with which gaps. Pure, and decided by the seed alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from completion_aggregator.course_graph.graph import CourseGraph

#: The first day, a Monday. Fixed, so that a seed gives the same data on every day.
TERM_START: Final = datetime(2026, 8, 24, tzinfo=UTC)
TERM_DAYS: Final = 84


@dataclass(frozen=True, slots=True)
class Temper:
    """A kind of learner. ``reach``: the shape (alpha, beta) of how much of the course they would do, given the time."""

    share: float
    reach: tuple[float, float]
    days_between: float
    blocks_at_once: float
    skips: float


TEMPERS: Final[Mapping[str, Temper]] = {
    "absent": Temper(share=0.12, reach=(0.0, 0.0), days_between=0, blocks_at_once=0, skips=0),
    "curious": Temper(share=0.26, reach=(1.1, 6.0), days_between=4.0, blocks_at_once=5, skips=0.15),
    "steady": Temper(share=0.34, reach=(3.0, 1.6), days_between=2.2, blocks_at_once=8, skips=0.06),
    "last minute": Temper(share=0.12, reach=(2.5, 1.2), days_between=0.9, blocks_at_once=14, skips=0.12),
    "thorough": Temper(share=0.16, reach=(40.0, 0.2), days_between=1.6, blocks_at_once=12, skips=0.002),
}

SKIPS_OPTIONAL: Final = 0.55
SKIPS_WEEKEND: Final = 0.6
PART_DONE: Final = 0.03
PARTS: Final = (0.25, 1 / 3, 0.5, 0.75, 0.9)


@dataclass(frozen=True, slots=True)
class Path:
    """What one kind of learner sees, in the order of the course: block numbers, and which of them are optional."""

    leaves: Sequence[int]
    optional: frozenset[int]


def learner_random(seed: int, number: int, purpose: str) -> Random:
    """Return one learner's randomness for one purpose: more learners, or purposes, leave the others as they are."""
    return Random(f"{seed}/{number}/{purpose}")  # noqa: S311  (nobody's secret)


def completions(path: Path, graph: CourseGraph, random: Random) -> Iterator[tuple[int, float, datetime]]:
    """Yield (block number, completion, time) of one learner, in the order of time."""
    name = random.choices(list(TEMPERS), [temper.share for temper in TEMPERS.values()])[0]
    temper = TEMPERS[name]
    if name == "absent" or not path.leaves:
        return
    wanted = _wanted(path, graph, temper, random)
    done = 0
    for start in _sessions(temper, random, late=name == "last minute"):
        moment = start
        count = 1 + int(random.expovariate(1 / temper.blocks_at_once))
        for block in wanted[done : done + count]:
            moment += timedelta(
                seconds=round(random.lognormvariate(5.0, 0.8)), microseconds=random.randrange(1_000_000)
            )
            yield block, _completion(random), moment
        done += count
        if done >= len(wanted):
            return


def _wanted(path: Path, graph: CourseGraph, temper: Temper, random: Random) -> list[int]:
    reach = random.betavariate(*temper.reach)
    ahead = path.leaves[: max(1, round(reach * len(path.leaves)))]
    passed_over = _undrawn(graph, random)
    skips = temper.skips * random.uniform(0.3, 1.7)
    return [
        block
        for block in ahead
        if block not in passed_over and random.random() >= (SKIPS_OPTIONAL if block in path.optional else skips)
    ]


def _undrawn(graph: CourseGraph, random: Random) -> set[int]:
    """Return the blocks below the children of item banks that this learner did not draw."""
    undrawn: set[int] = set()
    children = graph.children if graph.banks else ()
    for bank, size in graph.banks.items():
        below = list(children[bank])
        if 0 <= size < len(below):
            random.shuffle(below)
            undrawn.update(*(descendants(children, child) for child in below[size:]))
    return undrawn


def descendants(children: Sequence[Sequence[int]], block: int) -> set[int]:
    """Return a block and all below it."""
    found, waiting = {block}, [block]
    while waiting:
        below = set(children[waiting.pop()]) - found
        found |= below
        waiting += below
    return found


def _sessions(temper: Temper, random: Random, *, late: bool) -> Iterator[datetime]:
    day = TERM_DAYS * 0.7 if late else random.expovariate(1 / 6)
    while day < TERM_DAYS:
        midnight = TERM_START + timedelta(days=int(day))
        if midnight.weekday() < 5 or random.random() >= SKIPS_WEEKEND:
            hour = min(max(random.gauss(18.5, 3.0), 6.0), 23.0)
            yield midnight + timedelta(seconds=int(hour * 3600))
        # A day at least: one session must not begin before the last one ended.
        day = int(day) + 1 + random.expovariate(1 / temper.days_between)


def _completion(random: Random) -> float:
    return random.choice(PARTS) if random.random() < PART_DONE else 1.0
