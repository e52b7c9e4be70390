"""One more completion for each learner, again and again: what a service that goes on pays, course by course."""

from statistics import median
from typing import Any, Final

from opaque_keys.edx.keys import CourseKey

from benchmarks.cost import Result, measured
from benchmarks.refresh import Bench, complete, import_all, service

#: Batches, and as many turns of the service, of which medians are taken.
_TIMES: Final = 3


def growth(bench: Bench) -> Result:
    """Measure the first batch of this process, the batches after it, and whole turns of the service.

    A turn also settles changed courses, compares some learners with their completions, and looks for deliveries.
    """
    import_all()
    steps = [bench.next_of_all(step) for step in range(1 + 2 * _TIMES)]
    first, *batches = [_batch(bench, step) for step in steps[: 1 + _TIMES]]
    turns = [_turn(bench, step) for step in steps[1 + _TIMES :]]
    return {"first": first, "next": _medians(batches), "turn": _medians(turns)}


def _batch(bench: Bench, completed: dict[str, str]) -> Result:
    from completion_aggregator.aggregation import api

    complete(bench, completed)
    result = Result()
    with measured(result):
        done = _refresh(api, bench.key)
    assert done == bench.count, f"{done} of {bench.count} learners were refreshed"
    return result


def _refresh(api: Any, course_key: CourseKey) -> int:
    return sum(done.learners for done in api.refresh_batches(course_key))


def _turn(bench: Bench, completed: dict[str, str]) -> Result:
    complete(bench, completed)
    return service(bench, reconciling=True)


def _medians(found: list[Result]) -> Result:
    return {name: median(each[name] for each in found) for name in ("cpu_s", "wall_s", "queries")}
