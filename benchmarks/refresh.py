"""Refreshes of one course: everybody's, one completion more for each, a publication; and what that takes to store."""

import json
from collections.abc import Callable
from io import StringIO
from statistics import median
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.management import call_command, load_command_class
from django.core.management.color import no_style
from django.db import connection
from django.db.models.signals import post_save
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey, UsageKey

from benchmarks import course as courses
from benchmarks.cost import Result, measured
from benchmarks.course import FACTS
from benchmarks.places import dataset

TABLES: Final = ("aggregator", "courseprogress", "courseleaf", "aggregatedcourse", "stalecompletion")
OURS: Final = [f"completion_aggregator_{name}" for name in TABLES]
SIGNALS: Final = 60


class Bench:
    """A loaded course, and the learners in it."""

    def __init__(self, chapters: int, count: int, *, one_more: bool) -> None:
        self.count, self.generator = count, dataset()
        self.course = self.generator.build_course(self.generator.course_key(f"C{chapters * 80}"), chapters=chapters)
        self.key: CourseKey = courses.publish(self.course, self.generator.MODES, one_more=one_more)

    def learners(self) -> list[Any]:
        """Return the generated learners."""
        return list(self.generator.build_learners(self.course, self.count))

    def insert(self, completions: list[tuple[Any, ...]]) -> None:
        """Write facts: (username, usage key, value, moment)."""
        ids = _user_ids()
        courses.insert(self.course, [(ids[name], *fact) for name, *fact in completions])


def _user_ids() -> dict[str, int]:
    return dict(get_user_model()._default_manager.values_list("username", "pk"))


def load(bench: Bench) -> Result:
    """Make the database anew, as Django makes one for tests."""
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    model, learners = get_user_model(), bench.learners()
    model._default_manager.bulk_create([model(username=each.username) for each in learners])
    for some in (learners[start : start + 100] for start in range(0, len(learners), 100)):
        bench.insert([(each.username, key, *done) for each in some for key, done in each.completions.items()])
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {'TABLE ' if connection.vendor == 'mysql' else ''}{FACTS}")
    return {}


def reset(bench: Bench) -> Result:
    """Forget everything but the completions that were loaded."""
    newest = max(at for each in bench.learners() for _, at in each.completions.values())
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {FACTS} WHERE modified > %s", [newest.replace(tzinfo=None)])
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), OURS, reset_sequences=True))
    return {}


def service(bench: Bench) -> Result:
    """Measure one run of the service; it must refresh everybody."""
    out, result = StringIO(), Result()
    command = load_command_class("completion_aggregator", "run_aggregator_service")  # imports are not the service's
    with measured(result):
        call_command(command, json=True, stdout=out, stderr=StringIO())
    done = json.loads(out.getvalue())
    assert (done["learners"], done["failed"]) == (bench.count, 0), done
    return result | {"rows_written": done["written"] + done["removed"]}


def everything(bench: Bench, *, force: bool = False) -> Result:
    """Mark everybody stale, and measure the service."""
    from completion_aggregator.aggregation import api

    courses.platform().enrolled[str(bench.key)] = list(_user_ids().values())
    api.mark_course_stale(bench.key, force=force)
    return service(bench)


def incremental(bench: Bench) -> Result:
    """Let every learner complete one more block, each with its stale row, and measure the service."""
    from completion_aggregator.aggregation import api

    done = {each.username: bench.generator.next_completion(bench.course, each) for each in bench.learners()}
    bench.insert([(name, key, 1.0, timezone.now()) for name, key in done.items()])
    api.mark_stale_many(bench.key, {name: [key] for name, key in done.items()})
    return service(bench)


def signal_async(bench: Bench) -> Result:
    """Measure what our signal handler adds to one saved completion: medians with it, less medians without."""
    from completion.models import BlockCompletion

    learner, times = bench.learners()[0], list[Result]()
    user = get_user_model()._default_manager.get(username=learner.username)
    for step in range(1, 1 + 2 * SIGNALS):
        if step == 1 + SIGNALS:
            post_save.disconnect(sender=BlockCompletion, dispatch_uid="completion_aggregator.completion_saved")
        block = UsageKey.from_string(bench.generator.next_completion(bench.course, learner, step))
        times.append({})
        with measured(times[-1]):
            BlockCompletion.objects.submit_completion(user, block, 1.0)
    return {
        name: median(each[name] for each in times[:SIGNALS]) - median(each[name] for each in times[SIGNALS:])
        for name in ("cpu_s", "wall_s", "queries")
    }


def storage_bytes(bench: Bench) -> Result:
    """Return the bytes that tables and indexes, the queue left out, take per learner."""
    sizes = {
        "sqlite": "SELECT SUM(pgsize) FROM dbstat s JOIN sqlite_master m USING (name) WHERE m.tbl_name IN ('{}')",
        "mysql": "SELECT SUM(data_length + index_length) FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name IN ('{}')",
        "postgresql": "SELECT SUM(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname IN ('{}')",
    }
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute(f"ANALYZE TABLE {', '.join(OURS)}")
            cursor.fetchall()
        cursor.execute(sizes[connection.vendor].format("', '".join(OURS[:-1])))
        return {"bytes": int(cursor.fetchone()[0]) // bench.count}


WORKS: Final[dict[str, Callable[[Bench], Result]]] = {
    "load": load,
    "reset": reset,
    "scratch": everything,
    "forced": lambda bench: everything(bench, force=True),
    "storage_bytes": storage_bytes,
    "incremental": incremental,
    "republish": everything,
    "signal_async": signal_async,
}
