"""What a course takes in the memory of a process, shared by all learners, and as bytes in a table or a cache."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from benchmarks.cost import Result
from benchmarks.refresh import Bench
from completion_aggregator.course_graph.coverage import Coverage
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.rollup import View
from completion_aggregator.ports import get_platform


def graph(bench: Bench) -> Result:
    """Return bytes: the stored form, and what is held for each content version, profile and course."""
    from completion_aggregator.aggregation.leaves import LeafNumbers

    _, compiled = get_platform().course_graph(bench.key)
    stored = compiled.to_bytes()
    _, graph_bytes = _held(lambda: CourseGraph.from_bytes(stored))
    (made, view), both_bytes = _held(lambda: _seen(stored))
    keys = made.completable_keys
    numbers, number_bytes = _held(lambda: LeafNumbers(0, {"".join(list(key)): at for at, key in enumerate(keys)}))
    at = numbers.of([made.keys[block] for block in view.leaves])
    _, coverage_bytes = _held(lambda: Coverage.of(view, at, len(numbers)))
    return {
        "stored_bytes": len(stored),
        "graph_bytes": graph_bytes,
        "view_bytes": both_bytes - graph_bytes,
        "coverage_bytes": coverage_bytes,
        "leaf_numbers_bytes": number_bytes,
    }


def _seen(stored: bytes) -> tuple[CourseGraph, View]:
    made = CourseGraph.from_bytes(stored)
    profile, _ = made.rules.profile(now=timezone.now())
    return made, made.view(profile)


def _held(make: Callable[[], Any]) -> tuple[Any, int]:
    """Return what is made, and the bytes it holds; it is made twice, as the first time also imports and interns."""
    make()
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return made, held
