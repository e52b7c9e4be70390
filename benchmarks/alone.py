"""The works that are ours alone: how cost grows with the course, what the database allows, a heatmap, graphs."""

import argparse
from collections.abc import Callable
from typing import Any, Final

from benchmarks import sides
from benchmarks.compared import tell
from benchmarks.cost import Result
from benchmarks.figures import middle, spread

#: 240, 960 and 3,840 leaves.
CHAPTERS: Final = (3, 12, 48)
_FIGURES: Final = (
    "cpu_s", "wall_s", "queries", "memory_mb", "rows_written", "rows_per_s", "of_best", "tallies",
)  # fmt: skip


def growth(options: argparse.Namespace) -> list[Result]:
    """Return what one more completion for each learner costs in small and large courses, course level projected.

    ``first``: the first batch of a process. ``next``: those after it. ``turn``: a whole turn of the service.
    ``times_smallest``: the CPU time, in that of the smallest course.
    """
    found: dict[tuple[int, str], list[Result]] = {}
    for chapters in () if options.loaded else CHAPTERS:
        sides.ours("load", "course", options, chapters=chapters, suffix=_of(chapters))
    for run in range(options.runs):
        for chapters in CHAPTERS:
            for work in ("reset", "scratch"):
                sides.ours(work, "course", options, chapters=chapters, suffix=_of(chapters))
            measured = sides.ours("growth", "course", options, chapters=chapters, suffix=_of(chapters))
            for what, cost in measured.items():
                found.setdefault((chapters, what), []).append(cost)
        tell(f"growth: run {run + 1} of {options.runs}")
    smallest = {what: middle(costs, "cpu_s") for (chapters, what), costs in found.items() if chapters == CHAPTERS[0]}
    made = list[Result]()
    for (chapters, what), costs in found.items():
        times = (middle(costs, "cpu_s") or 0.0) / (smallest[what] or 1.0)
        made.append({"leaves": chapters * 80, "what": what, "times_smallest": round(times, 2)} | _figures(costs))
    return made


def _of(chapters: int) -> str:
    return f"_growth_{chapters}"


def bare(options: argparse.Namespace) -> list[Result]:
    """Return what the rows of all levels cost from scratch, and what they cost with nothing but their statement.

    ``of_best``: the rows per second, in those of the best statement of the same run.
    """
    found: dict[str, list[Result]] = {}
    if not options.loaded:
        sides.ours("load", "all", options, suffix="_bare")
    for run in range(options.runs):
        sides.ours("reset", "all", options, suffix="_bare")
        ours = {"scratch": sides.ours("scratch", "all", options, suffix="_bare")}
        costs = ours | sides.ours("bare", "all", options, suffix="_bare")
        rates = {way: cost["rows_written"] / cost["wall_s"] for way, cost in costs.items()}
        best = max(rate for way, rate in rates.items() if way != "scratch")
        for way, cost in costs.items():
            found.setdefault(way, []).append(cost | {"rows_per_s": rates[way], "of_best": rates[way] / best})
        tell(f"bare upserts: run {run + 1} of {options.runs}")
    return [{"way": way} | _figures(costs) for way, costs in found.items()]


def heatmap(options: argparse.Namespace) -> list[Result]:
    """Return what it costs to read all tallies of a large class, who were refreshed before."""
    found: dict[str, list[Result]] = {}
    if not options.loaded:
        for work in ("load", "scratch"):
            sides.ours(work, "course", options, learners=options.crowd, suffix="_crowd")
    for run in range(options.runs):
        for way, cost in sides.ours("heatmap", "course", options, learners=options.crowd, suffix="_crowd").items():
            found.setdefault(way, []).append(cost)
        tell(f"heatmap: run {run + 1} of {options.runs}")
    return [{"way": way, "learners": options.crowd} | _figures(costs) for way, costs in found.items()]


def graph(options: argparse.Namespace) -> list[Result]:
    """Return what a course takes in memory, and stored."""
    return [{"leaves": chapters * 80} | sides.ours("graph", "all", options, chapters=chapters) for chapters in CHAPTERS]


def _figures(costs: list[Result]) -> Result:
    figures: Result = {name: middle(costs, name) for name in _FIGURES if middle(costs, name) is not None}
    spreads = {name: spread(costs, name) for name in ("cpu_s", "wall_s")}
    return figures | ({"spread": spreads} if len(costs) > 1 else {})


ALONE: Final[dict[str, Callable[[argparse.Namespace], list[Result]]]] = {
    each.__name__: each for each in (growth, bare, heatmap, graph)
}


def lines(name: str, found: list[Result]) -> str:
    """Return the figures for a reader, a line for each."""
    return "\n".join(
        f"{name:8} " + ", ".join(f"{key} {_shown(value)}" for key, value in each.items()) for each in found
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {low:.4g}-{high:.4g}" for key, (low, high) in value.items())
    return value if isinstance(value, str) else f"{value:,.10g}"[:10]
