"""All tallies of everybody in a course, read: what a heatmap of the course is drawn from. No JSON is made."""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, Final

from benchmarks.cost import Result, measured
from benchmarks.refresh import Bench
from completion_aggregator.conf import setting

_TIMES: Final = 5


def heatmap(bench: Bench) -> Result:
    """Measure each way that the product offers, everybody refreshed; medians in this process, which has the graph."""
    from completion_aggregator.aggregation import api
    from completion_aggregator.ports import get_platform

    bench.enroll()
    ids = list(get_platform().enrolled_user_ids(bench.key))
    size = setting("BATCH_SIZE")

    def class_by_batches() -> int:
        return sum(_cells(api.standings_of_class(bench.key, ids[at : at + size])) for at in range(0, len(ids), size))

    ways: dict[str, Callable[[], int]] = {
        "standings_of_class": lambda: _cells(api.standings_of_class(bench.key, ids)),
        "standings_of_class by batches": class_by_batches,
        "course_summary": lambda: _cells_of_summary(api.course_summary(bench.key, levels=api.ALL_LEVELS)),
    }
    return {name: _medians(read) for name, read in ways.items()}


def _medians(read: Callable[[], int]) -> Result:
    costs = list(_costs(read))
    names = [name for name in costs[0] if costs[0][name] is not None]
    return {name: median(each[name] for each in costs) for name in names}


def _costs(read: Callable[[], int]) -> Iterator[Result]:
    tallies = read()
    for _ in range(_TIMES):
        cost = Result()
        with measured(cost):
            assert read() == tallies
        yield cost | {"tallies": tallies}


def _cells(standings: dict[int, Any]) -> int:
    assert all(standings.values()), "some were never refreshed"
    return sum(len(each.sums) for each in standings.values())


def _cells_of_summary(summary: Any) -> int:
    return int(summary.learners * len(summary.blocks))
