"""The site as it was: 4.5.0 in its own environment, driven through its own code.

``PYTHON -P old_site.py COMMAND BENCHMARK DATABASE BROKER QUEUE``. BENCHMARK is the folder of ``bench_peer.py``, which
gives 4.5.0 the tables and functions of the LMS that it needs; DATABASE is what that script calls so. Prints JSON.
"""

import argparse
import contextlib
import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[3]))  # the last place: our package has the name of theirs

from tests.acceptance.upgrade import requests


def main() -> None:
    """Run one command."""
    command, folder, database, broker, queue = sys.argv[1:]
    sys.path.insert(0, folder)
    peer = import_module("bench_peer")
    dataset = peer.ds
    with contextlib.redirect_stdout(sys.stderr):
        if command == "fill":
            peer.load(
                argparse.Namespace(
                    db=database, chapters=requests.CHAPTERS, extra_chapters=requests.CHAPTERS,
                    learners=requests.LEARNERS, enrolments=2,
                )
            )  # fmt: skip
        else:
            peer.setup(database)
        courses = requests.courses(dataset)
        _install(courses)
        commands = {"fill": fill, "ask": ask, "damage": damage, "work": work, "write": write}
        result = commands[command](peer, courses, (broker, queue))
    sys.stdout.write(result if isinstance(result, str) else json.dumps(result))


def fill(peer: Any, courses: list[Any], broker: tuple[str, str]) -> Any:
    """Aggregate everybody, then leave work of every kind behind; return how many rows there are."""
    from django.contrib.auth.models import User

    from completion_aggregator.models import Aggregator, CacheGroupInvalidation, StaleCompletion

    names = ("aggregation_tasks", "handler_tasks")
    aggregation_tasks, handler_tasks = (import_module(f"completion_aggregator.tasks.{name}") for name in names)
    settled, waiting = courses
    users = {user.username: user for user in User.objects.all()}
    others = peer.ds.build_learners(settled, requests.LEARNERS)[1:]  # the first is in it already
    peer.insert_completions(settled, others, users)
    for course in courses:
        peer.ensure_aggregated(argparse.Namespace(), course)
    StaleCompletion.objects.filter(resolved=False).update(resolved=True)

    learners = peer.ds.build_learners(waiting, requests.LEARNERS)
    for learner in learners[1:4]:
        for step in range(2):
            complete(waiting, learner, peer.ds.next_completion(waiting, learner, step))
    # Everything of the third learner, by force; and the structure of the course is no longer valid.
    handler_tasks.mark_all_stale(waiting.key, [learners[2].username])
    keys = [peer.ds.next_completion(waiting, learners[1], step) for step in range(2)]
    queue(
        broker,
        (aggregation_tasks.update_aggregators, (learners[1].username, waiting.key, keys, False), {}),
        (
            aggregation_tasks.update_aggregators,
            (),
            {"username": learners[2].username, "course_key": waiting.key, "block_keys": [], "force": True},
        ),
        (aggregation_tasks.update_aggregators, ("gone", waiting.key), {}),
        (handler_tasks.mark_all_stale, (), {"course_key": waiting.key, "users": [learners[3].username]}),
        (handler_tasks.mark_all_stale, (), {"course_key": settled.key}),
        (aggregation_tasks.migrate_batch, (1000, 0.0), {}),
    )
    unresolved = list(StaleCompletion.objects.filter(resolved=False))
    return {
        "levels": sorted(set(Aggregator.objects.values_list("aggregation_name", flat=True))),
        "rows": Aggregator.objects.count(),
        "resolved": StaleCompletion.objects.filter(resolved=True).count(),
        "waiting": sum(row.block_key is not None for row in unresolved),
        "everything": sum(row.block_key is None and row.force for row in unresolved),
        "groups": CacheGroupInvalidation.objects.count(),
    }


def damage(peer: Any, courses: list[Any], broker: tuple[str, str]) -> Any:
    """Leave what faults of 4.x leave, each of a learner of whom nothing waits; return their usernames."""
    from django.utils import timezone
    from opaque_keys.edx.keys import CourseKey

    from completion_aggregator.models import Aggregator, StaleCompletion

    course = courses[1]
    key, (one, *_, two, three) = CourseKey.from_string(course.key), peer.ds.build_learners(course, requests.LEARNERS)
    # It resolves whatever is there when it is done, and so what came while it was at work: an update is lost.
    complete(course, one, peer.ds.next_completion(course, one, 0))
    StaleCompletion.objects.filter(username=one.username).update(resolved=True)
    # Of two workers that insert a row, one fails, with all the rows that it was about to write.
    rows = Aggregator.objects.filter(course_key=key)
    rows.filter(user__username=two.username, aggregation_name__in=["sequential", "vertical"]).delete()
    # A section was removed from the course: its tally stays.
    whole = rows.get(user__username=three.username, aggregation_name="course")
    Aggregator.objects.bulk_create_or_update([
        Aggregator(
            user=whole.user, course_key=key, block_key=key.make_usage_key("chapter", "removed"),
            aggregation_name="chapter", earned=1.0, possible=2.0, percent=0.5,
            last_modified=whole.last_modified, modified=timezone.now(),
        )
    ])  # fmt: skip
    return [each.username for each in (one, two, three)]


def ask(peer: Any, courses: list[Any], broker: tuple[str, str]) -> str:
    """Return what the API answers."""
    return requests.answers(peer.ds)


def work(peer: Any, courses: list[Any], broker: tuple[str, str]) -> Any:
    """Complete a further block, and aggregate; return by how much the course's tally grew, and what waits."""
    from django.core.management import call_command

    from completion_aggregator.models import Aggregator, StaleCompletion

    course = courses[1]
    learner = peer.ds.build_learners(course, requests.LEARNERS)[1]
    tally = Aggregator.objects.filter(user__username=learner.username, block_key=_key(course.root))
    before = tally.get().earned
    complete(course, learner, peer.ds.next_completion(course, learner, 5))
    call_command("run_aggregator_service", batch_size=100000, verbosity=0)
    return {"grew": tally.get().earned - before, "waiting": StaleCompletion.objects.filter(resolved=False).count()}


def write(peer: Any, courses: list[Any], broker: tuple[str, str]) -> Any:
    """Write tallies and stale rows until told to stop; return the tallies written last, by id of the learner."""
    from django.contrib.auth.models import User
    from django.utils import timezone
    from opaque_keys.edx.keys import CourseKey

    from completion_aggregator.models import Aggregator, StaleCompletion

    key = CourseKey.from_string(courses[1].key)
    users = list(User.objects.filter(username__in=[peer.ds.username(n) for n in range(1, requests.LEARNERS + 1)]))
    stop, written, number = Path(broker[1]), {}, 0
    while not stop.exists():
        number += 1
        user = users[number % len(users)]
        block = key.make_usage_key("vertical", f"written{number // 7 % 50}")
        # ``modified`` as its updater gives it: the default of the field is the same for a whole process.
        Aggregator.objects.bulk_create_or_update([
            Aggregator(
                user=user, course_key=key, block_key=block, aggregation_name="vertical", earned=number,
                possible=10**9, percent=0, last_modified=peer.ds.EPOCH, modified=timezone.now(),
            )
        ])  # fmt: skip
        StaleCompletion.objects.create(username="writer", course_key=key, block_key=block)
        written[f"{user.pk} {block}"] = float(number)
        time.sleep(0.005)
    return {"written": written, "marked": number}


def complete(course: Any, learner: Any, key: str) -> None:
    """Complete a block as the LMS does, with what that leaves behind."""
    from completion.models import BlockCompletion
    from django.contrib.auth.models import User

    user = User.objects.get(username=learner.username)
    BlockCompletion.objects.submit_completion(user=user, block_key=_key(key), completion=1.0)


def queue(broker: tuple[str, str], *tasks: tuple[Any, tuple[Any, ...], dict[str, Any]]) -> None:
    """Put tasks where workers fetch them, instead of running them at once."""
    from celery import current_app
    from kombu import Connection

    url, name = broker
    current_app.conf.task_always_eager = False
    with Connection(url) as connection:
        for task, arguments, named in tasks:
            task.apply_async(args=arguments, kwargs=named, queue=name, connection=connection)
    current_app.conf.task_always_eager = True


def _key(text: str) -> Any:
    from opaque_keys.edx.keys import UsageKey

    return UsageKey.from_string(text)


def _install(courses: list[Any]) -> None:
    from django.conf import settings
    from django.urls import include, path
    from rest_framework.authentication import SessionAuthentication

    import_module("lms_stub.platform").install(courses)
    view = import_module("completion_aggregator.api.common").CompletionViewMixin
    view.get_authenticators = lambda view: [SessionAuthentication()]
    paginators = import_module("edx_rest_framework_extensions.paginators")
    view.pagination_class = paginators.NamespacedPageNumberPagination
    settings.ROOT_URLCONF = (path("completion-aggregator/", include("completion_aggregator.urls")),)


if __name__ == "__main__":
    main()
