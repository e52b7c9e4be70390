"""Refreshes of one course: everybody's, one completion more for each, a publication; and what that takes to store."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from io import StringIO
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.management import call_command, load_command_class
from django.core.management.color import no_style
from django.db import connection
from django.test import override_settings
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from benchmarks import course as courses
from benchmarks.cost import Result, measured
from benchmarks.course import FACTS, OF_LEARNERS, TABLES
from benchmarks.places import dataset

OURS: Final = (*TABLES, "completion_aggregator_stalecompletion")
_TOGETHER: Final = 100
_NO_RECONCILE: Final = {"COMPLETION_AGGREGATOR_RECONCILE_LEARNERS": 0}


class Bench:
    """A loaded course, and the learners in it."""

    def __init__(self, chapters: int, count: int, *, one_more: bool) -> None:
        self.count, self.generator = count, dataset()
        self.course = self.generator.build_course(self.generator.course_key(f"C{chapters * 80}"), chapters=chapters)
        self.key: CourseKey = courses.publish(self.course, self.generator.MODES, one_more=one_more)

    @cached_property
    def learners(self) -> list[Any]:
        """The generated learners."""
        return list(self.generator.build_learners(self.course, self.count))

    def some(self) -> Iterator[list[Any]]:
        """Yield the generated learners by the hundred; they are not kept."""
        for first in range(1, self.count + 1, _TOGETHER):
            count = min(_TOGETHER, self.count + 1 - first)
            yield self.generator.build_learners(self.course, count, first=first)

    def next_of_all(self, step: int = 0) -> dict[str, str]:
        """Return the block that each learner completes next, or *step* blocks later, by username."""
        return {each.username: self.generator.next_completion(self.course, each, step) for each in self.learners}

    def enroll(self) -> None:
        """Enroll everybody, where courses are in memory."""
        courses.platform().enrolled[str(self.key)] = list(_user_ids().values())

    def insert(self, completions: list[tuple[Any, ...]]) -> None:
        """Write facts: (username, usage key, value, moment)."""
        ids = _user_ids({name for name, *_ in completions})
        courses.insert(self.course, [(ids[name], *fact) for name, *fact in completions])


def _user_ids(names: Collection[str] | None = None) -> dict[str, int]:
    users = get_user_model()._default_manager.all()
    return dict((users if names is None else users.filter(username__in=names)).values_list("username", "pk"))


def load(bench: Bench) -> Result:
    """Make the database anew, as Django makes one for tests."""
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    model = get_user_model()
    for some in bench.some():
        model._default_manager.bulk_create([model(username=each.username) for each in some])
        bench.insert([(each.username, key, *done) for each in some for key, done in each.completions.items()])
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {'TABLE ' if connection.vendor == 'mysql' else ''}{FACTS}")
    return {}


def reset(bench: Bench) -> Result:
    """Forget everything but the completions that were loaded."""
    newest = max(at for some in bench.some() for each in some for _, at in each.completions.values())
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {FACTS} WHERE modified > %s", [newest.replace(tzinfo=None)])
    empty(OURS)
    return {}


def empty(tables: Sequence[str]) -> None:
    """Empty tables, and on PostgreSQL those that refer to them."""
    flush = connection.ops.sql_flush(
        no_style(), tables, reset_sequences=True, allow_cascade=connection.vendor == "postgresql"
    )
    connection.ops.execute_sql_flush(flush)


def service(bench: Bench, *, reconciling: bool = False) -> Result:
    """Measure one run of the service; it must refresh everybody.

    Without its piece of reconcile, which comes once a day for each learner, whatever changed.
    """
    out, result = StringIO(), Result()
    command = load_command_class("completion_aggregator", "run_aggregator_service")  # imports are not the service's
    with override_settings(**({} if reconciling else _NO_RECONCILE)), measured(result):
        call_command(command, json=True, stdout=out, stderr=StringIO())
    done = json.loads(out.getvalue())
    assert (done["learners"], done["failed"]) == (bench.count, 0), done
    return result | {"rows_written": done["written"] + done["removed"]}


def import_all() -> None:
    """Import what a service imports late, by a run that finds nothing to do."""
    with override_settings(**_NO_RECONCILE):
        call_command("run_aggregator_service", stdout=StringIO(), stderr=StringIO())


def everything(bench: Bench, *, force: bool = False) -> Result:
    """Mark everybody stale, and measure the service."""
    from completion_aggregator.aggregation import api

    bench.enroll()
    import_all()
    api.mark_course_stale(bench.key, force=force)
    return service(bench)


def incremental(bench: Bench) -> Result:
    """Let every learner complete one more block, and measure the service."""
    import_all()
    complete(bench, bench.next_of_all())
    return service(bench)


def complete(bench: Bench, completed: dict[str, str]) -> None:
    """Let each of these learners complete a block (username to usage key), each with its stale row."""
    from completion_aggregator.aggregation import api

    bench.enroll()
    bench.insert([(name, key, 1.0, timezone.now()) for name, key in completed.items()])
    api.mark_stale_many(bench.key, {name: [key] for name, key in completed.items()})


def reconcile(bench: Bench) -> Result:
    """Measure the comparison of everybody with what is stored of them."""
    from completion_aggregator.aggregation import api

    result = Result()
    with measured(result):
        found = sum((done.found for done in api.reconcile_course(bench.key)), api.Findings())
    assert (found.compared, found.differing) == (bench.count, 0), found
    return result


def storage_bytes(bench: Bench) -> Result:
    """Return the bytes that tables and indexes, the queue left out, take per learner.

    ``bytes_each``: what each learner adds. Without what is the course's own, and without an index's first page.
    """
    everything, learners = courses.stored_bytes(TABLES), courses.stored_bytes(OF_LEARNERS)
    added = learners - courses.empty_bytes(OF_LEARNERS)
    return {"bytes": everything // bench.count, "bytes_each": added // bench.count}


WORKS: Final[dict[str, Callable[[Bench], Result]]] = {
    "load": load,
    "reset": reset,
    "scratch": everything,
    "forced": lambda bench: everything(bench, force=True),
    "reconcile": reconcile,
    "storage_bytes": storage_bytes,
    "incremental": incremental,
    "republish": everything,
}
