"""The steps of ``benchmarks.million``: many courses are made, everybody is marked, and the service refreshes them."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import StringIO
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from numpy.random import Generator, default_rng

from benchmarks import course as courses
from benchmarks.cost import Result, measured, resident_mb
from benchmarks.places import dataset

SEED: Final = 20261121
_TOGETHER: Final = 2000
_PARTIAL: Final = 0.05  # of the completions are a half


def load(options: argparse.Namespace) -> Result:
    """Make the database anew, and all that is in it before anything is aggregated."""
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    generator, users, result, facts = dataset(), get_user_model()._default_manager, Result(), 0
    with measured(result):
        names = (generator.username(nth) for nth in range(1, options.learners + 1))
        users.bulk_create((users.model(username=name) for name in names), batch_size=_TOGETHER)
        ids = list(users.order_by("pk").values_list("pk", flat=True))
        for nth in range(options.courses):
            course = generator.build_course(generator.course_key(f"M{nth:03}"), chapters=options.chapters)
            courses.store(course, generator.MODES)
            courses.enroll(course, ids)
            chance = default_rng([SEED, nth])
            for start in range(0, len(ids), _TOGETHER):
                done = list(completions(course, ids[start : start + _TOGETHER], options.completions, chance))
                courses.insert(course, done)
                facts += len(done)
            print(f"\r{nth + 1} of {options.courses} courses", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {"learners": options.courses * options.learners, "facts": facts} | _seconds(result)


def completions(
    course: Any, user_ids: list[int], count: int, chance: Generator
) -> Iterator[tuple[int, str, float, datetime]]:
    """Yield *count* completions of each learner, (user id, usage key, value, moment), spread over the course."""
    leaves, began = course.completable(), dataset().EPOCH
    count = min(count, len(leaves))
    chosen = chance.random((len(user_ids), len(leaves))).argpartition(count - 1, axis=1)[:, :count]
    chosen.sort(axis=1)
    values = 1.0 - 0.5 * (chance.random(chosen.shape) < _PARTIAL)
    times = chance.integers(1, 3_600_000_000, chosen.shape).cumsum(axis=1)
    for user_id, *row in zip(user_ids, chosen.tolist(), values.tolist(), times.tolist(), strict=True):
        for leaf, value, micros in zip(*row, strict=True):
            yield user_id, leaves[leaf], value, began + timedelta(microseconds=micros)


def mark(options: argparse.Namespace) -> Result:
    """Mark everybody."""
    result = Result()
    with measured(result):
        call_command("reaggregate_course", all=True, stdout=StringIO())
    return {"learners": options.courses * options.learners} | _seconds(result)


def service(options: argparse.Namespace) -> Result:
    """Run the service until nothing waits; ``resident_mb`` is told at the end of each so many learners as a course has.

    ``by_course_mb``: the most that was resident when a batch of the course ended, of the course with the least and of
    the one with the most; batches of the courses come by turns.
    """
    from completion_aggregator.aggregation import api
    from completion_aggregator.aggregation.models import CourseProgress

    watch, result, turns = _Watch(options.learners), Result(), 0
    logger = logging.getLogger("completion_aggregator.aggregation.refresh")
    logger.setLevel(logging.INFO)
    logger.addHandler(watch)
    with measured(result):
        while api.status().waiting:
            before = watch.learners
            call_command("run_aggregator_service", stdout=StringIO(), stderr=StringIO())
            turns += 1
            assert watch.learners > before, "the service goes on, but nobody is refreshed"
    everybody = options.courses * options.learners
    assert CourseProgress.objects.filter(as_of__isnull=False).count() == everybody
    by_course = [round(most, 1) for most in watch.by_course.values()]
    return {
        "learners": watch.learners,
        "turns": turns,
        **_seconds(result),
        "learners_per_s": round(watch.learners / result["wall_s"], 1),
        "peak_rss_mb": result.get("peak_rss_mb"),
        "resident_mb": watch.resident,
        "by_course_mb": [min(by_course), max(by_course)] if by_course else None,
        "bytes_per_learner": courses.stored_bytes(courses.TABLES) // everybody,
    }


class _Watch(logging.Handler):
    """Reads of each batch, as it is logged, whose it was, and looks how large this process is."""

    def __init__(self, stretch: int) -> None:
        super().__init__()
        self.stretch = stretch
        self.learners = 0
        self.resident: list[float] = []
        self.by_course: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if not str(record.msg).startswith("refreshed ") or not isinstance(record.args, tuple):
            return
        course_key, learners, *_ = record.args
        assert isinstance(learners, int)
        now = resident_mb() or 0.0
        self.by_course[str(course_key)] = max(now, self.by_course.get(str(course_key), 0.0))
        self.learners += learners
        if self.learners >= self.stretch * (1 + len(self.resident)):
            self.resident.append(round(now, 1))
            print(f"\r{self.learners:,} learners, {now:.0f} MB", end="", file=sys.stderr, flush=True)


def _seconds(result: Result) -> Result:
    return {"cpu_s": round(result["cpu_s"], 2), "wall_s": round(result["wall_s"], 2)}


WORKS: Final[dict[str, Callable[[argparse.Namespace], Result]]] = {"load": load, "mark": mark, "service": service}
