"""The commands that run aggregation, as cron, a service manager and people use them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from celery import Celery, current_app
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import tasks
from completion_aggregator.aggregation import api
from completion_aggregator.exceptions import InvalidCourse, UnknownCourse
from completion_aggregator.models import AggregatedCourse, Aggregator, CourseLeaf, CourseProgress, StaleCompletion
from completion_aggregator.platforms.standalone.celery import app as site
from tests.aggregation.builders import (
    KEY,
    SMALL,
    UNSTORABLE,
    complete,
    course,
    everything,
    from_scratch,
    learner,
    learners,
    small,
    tallies,
    waiting,
)
from tests.aggregation.processes import Child
from tests.fakes.platform import FakePlatform

REPOSITORY = Path(__file__).resolve().parent.parent.parent
OTHER = CourseKey.from_string("course-v1:Test+Other+1")


@pytest.fixture(autouse=True)
def asynchronous(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


def output(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


# run_aggregator_service


@pytest.mark.django_db
def test_the_service_brings_every_course_up_to_date(platform: FakePlatform) -> None:
    small(platform)
    platform.publish(course(*SMALL[:1], key=OTHER))
    ana = learner(platform, "ana")
    platform.enrolled[str(OTHER)] = [ana.pk]
    complete(ana, "a")
    complete(ana, "b", key=OTHER)

    text = output("run_aggregator_service")

    assert text.startswith("2 learners refreshed, 13 rows written, 0 removed (")
    assert waiting().count() == 0
    assert everything() == from_scratch(KEY, OTHER)


@pytest.mark.django_db
def test_the_service_tells_its_counts_to_machines(platform: FakePlatform) -> None:
    small(platform)
    complete(learner(platform, "ana"), "a")
    api.mark_stale("nobody", KEY)
    ben = learner(platform, "ben")
    complete(ben, "a")
    platform.failing.add(ben.pk)

    told = json.loads(output("run_aggregator_service", "--json"))

    assert told.pop("seconds") >= 0
    assert told == {
        "learners": 1, "resolved": 1, "written": 8, "removed": 0, "rebuilt": 0, "mended": 0, "failed": 1,
        "unknown_users": 1, "of_changed_courses": 0, "reconciled": 1, "differing": 0,
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("text", "stored"), UNSTORABLE)
def test_an_error_that_no_database_takes_is_stored_all_the_same_and_the_others_are_refreshed(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, caplog: Any, text: str, stored: str
) -> None:
    caplog.set_level("CRITICAL")  # the reports of tests cannot hold such texts either
    small(platform)
    platform.publish(course(*SMALL, key=OTHER))
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    complete(ana, "a")
    complete(ben, "a")
    complete(ben, "a", key=OTHER)
    whole, sight = platform._graph, platform._sight

    def graph(course_key: CourseKey) -> Any:
        if course_key == OTHER:
            raise InvalidCourse(text)
        return whole(course_key)

    def unless_ana(graph: Any, user_id: int, now: Any) -> Any:
        if user_id == ana.pk:
            raise RuntimeError(text)
        return sight(graph, user_id, now)

    monkeypatch.setattr(platform, "_graph", graph)
    monkeypatch.setattr(platform, "_sight", unless_ana)
    with pytest.raises(CommandError, match="1 courses could not be refreshed"):
        output("run_aggregator_service")

    assert tallies(ben)["course"] == (1.0, 5.0)
    assert CourseProgress.objects.get(user=ana).error == f"RuntimeError: {stored}"
    assert AggregatedCourse.objects.get(course_key=OTHER).error == stored


@pytest.mark.django_db
def test_without_work_the_service_says_so_and_writes_nothing(platform: FakePlatform) -> None:
    small(platform)
    assert output("run_aggregator_service").startswith("0 learners refreshed, 0 rows written")
    assert CourseLeaf.objects.count() == CourseProgress.objects.count() == waiting().count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(("limit", "expected"), [("0", 0), ("3", 3), ("4", 4), ("100", 10)])
def test_the_limit_is_that_of_a_run(platform: FakePlatform, limit: str, expected: int) -> None:
    small(platform)
    for user in learners(platform, 10):
        complete(user, "a")
    output("run_aggregator_service", "--limit", limit)
    assert CourseProgress.objects.exclude(graph_version="").count() == expected


@pytest.mark.django_db
def test_a_large_course_does_not_hold_up_a_small_one(platform: FakePlatform) -> None:
    small(platform)
    platform.publish(course(*SMALL[:1], key=OTHER))
    users = learners(platform, 10)
    for user in users:
        complete(user, "a")
    complete(users[9], "a", key=OTHER)

    output("run_aggregator_service", "--batch-size", "2", "--limit", "3")

    assert not waiting().filter(course_key=OTHER).exists()
    assert waiting().filter(course_key=KEY).count() == 8


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--batch-size", "0", "must be 1 or more"),
        ("--batch-size", "ten", "must be a whole number, not 'ten'"),
        ("--limit", "-1", "must be a whole number, not '-1'"),
        ("--delay-between-batches", "nan", "must be a number of seconds"),
        ("--loop", "-3", "must be a number of seconds"),
        ("--loop", "0", "must be a number of seconds above 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(option: str, value: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("run_aggregator_service", f"{option}={value}")


@pytest.mark.django_db
def test_the_pause_is_made_after_each_batch(platform: FakePlatform) -> None:
    small(platform)
    for user in learners(platform, 3):
        complete(user, "a")
    start = timezone.now()
    output("run_aggregator_service", "--batch-size=1", "--delay-between-batches=0.1")
    assert timezone.now() - start >= timedelta(seconds=0.3)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_loop_after_the_batch_at_work(platform: FakePlatform, number: int) -> None:
    small(platform)
    for user in learners(platform, 6):
        complete(user, "a")
    resolving = f"UPDATE {connection.ops.quote_name(StaleCompletion._meta.db_table)}"
    options = {"loop": 0.05, "batch_size": 2}
    child = Child("tests.aggregation.work.serve", resolving, options, graph=course(*SMALL))
    child.receive()  # in the middle of its first batch, in its transaction
    assert child.process.pid is not None
    os.kill(child.process.pid, number)
    child.say("go on")

    assert child.receive() == "stopped"
    child.join()  # with exit status 0
    assert waiting().count() == 4
    assert Aggregator.objects.filter(aggregation_name="course", earned=1.0).count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_loop_goes_on_with_what_comes_later_also_after_its_connection_was_cut(
    platform: FakePlatform, vendor: str
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    asking = "GROUP BY"  # which courses wait
    child = Child("tests.aggregation.work.serve", asking, {"loop": 0.05}, graph=course(*SMALL))
    number = child.receive()
    complete(ana, "a")
    if vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("KILL %s" if vendor == "mysql" else "SELECT pg_terminate_backend(%s)", [number])
    child.say("go on")
    for _ in range(50):
        child.receive()
        if not waiting().exists():
            break
        child.say("go on")
    assert child.process.pid is not None
    os.kill(child.process.pid, signal.SIGTERM)
    child.say("go on")

    assert child.receive() == "stopped"
    child.join()
    assert tallies(ana)["course"] == (1.0, 5.0)


@pytest.mark.django_db
@pytest.mark.parametrize(("loop", "seconds"), [(None, 30.0), (0.0, 1.0), (1.0, 1.0), (5.0, 5.0), (60.0, 30.0)])
@pytest.mark.parametrize("routing_key", [None, "slow"])
def test_a_loop_tells_endpoints_for_no_longer_than_it_pauses(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, loop: float | None, seconds: float, routing_key: str | None
) -> None:
    given: list[tuple[float, bool]] = []

    def deliver(*, stopped: Callable[[], bool], seconds: float) -> int:
        before = stopped()
        signal.raise_signal(signal.SIGTERM)
        given.append((seconds, (before, stopped()) == (False, True)))
        return 0

    monkeypatch.setattr(api, "deliver", deliver)
    output("run_aggregator_service", loop=loop, routing_key=routing_key)
    assert given == [(seconds, True)]


@pytest.fixture
def broker() -> Iterator[Celery]:
    """A Celery app with a broker of its own, in memory, in the place of the one that does everything at once."""
    app = Celery("test", broker="memory://", set_as_current=False)
    app.set_current()
    yield app
    app.close()
    site.set_current()


@pytest.mark.django_db
def test_with_a_routing_key_the_work_is_sent_to_that_queue(platform: FakePlatform, broker: Celery) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")

    text = output("run_aggregator_service", "--routing-key", "slow", "--batch-size", "7", "--limit", "70")

    assert text == "1 courses sent to slow.\n"
    assert waiting().count() == 1
    with broker.connection() as link, link.SimpleQueue("slow") as queue:
        message = queue.get(timeout=5)
        message.ack()
        assert queue.qsize() == 0
    assert message.headers["task"] == "completion_aggregator.tasks.refresh_course"
    arguments, named, _ = message.payload
    assert (arguments, named) == ([], {"course_key": str(KEY), "batch_size": 7, "limit": 70})
    tasks.refresh_course(*arguments, **named)
    assert tallies(ana)["course"] == (1.0, 5.0)


@pytest.fixture
def no_broker() -> Iterator[Celery]:
    """A Celery app whose broker does not answer: nobody listens where it is said to be."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        app = Celery("test", broker=f"amqp://127.0.0.1:{free.getsockname()[1]}//", set_as_current=False)
        app.conf.task_publish_retry = False
        app.set_current()
        yield app
        app.close()
        site.set_current()


@pytest.mark.django_db
@pytest.mark.usefixtures("no_broker")
def test_a_run_says_that_the_broker_does_not_answer(platform: FakePlatform) -> None:
    small(platform)
    complete(learner(platform, "ana"), "a")

    errors = StringIO()
    with pytest.raises(CommandError, match="1 courses could not be refreshed"):
        call_command("run_aggregator_service", "--routing-key", "slow", stdout=StringIO(), stderr=errors)

    assert errors.getvalue().startswith("The broker does not answer: ")
    assert waiting().count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_broker")
def test_a_loop_outlives_its_broker_and_does_what_is_done_here(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_RECONCILE_LEARNERS = 1
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.refresh_course(KEY)
    CourseProgress.objects.update(earned=3)
    complete(learner(platform, "ben"), "a")
    turns: list[float] = []

    def deliver(*, stopped: Callable[[], bool], seconds: float) -> int:
        turns.append(seconds)
        if len(turns) == 2:
            signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(api, "deliver", deliver)
    errors = StringIO()
    call_command("run_aggregator_service", routing_key="slow", loop=0.0, stdout=StringIO(), stderr=errors)

    assert errors.getvalue().count("The broker does not answer: ") == 2
    assert set(waiting().values_list("username", flat=True)) == {"ana", "ben"}  # ana was found wrong


@pytest.mark.django_db
@pytest.mark.usefixtures("broker")
def test_with_a_routing_key_each_turn_compares_its_piece_here(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_RECONCILE_LEARNERS = 1
    small(platform)
    users = [learner(platform, name) for name in ("ana", "ben")]
    for user in users:
        complete(user, "a")
    api.refresh_course(KEY)
    CourseProgress.objects.update(earned=3)

    found = []
    for _ in users:
        output("run_aggregator_service", "--routing-key", "slow")
        found.append(list(waiting().order_by("username").values_list("username", flat=True)))

    assert found == [["ana"], ["ana", "ben"]]


@pytest.mark.django_db
def test_tasks_of_the_old_names_do_what_they_did(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    registered = current_app.tasks
    update = registered["completion_aggregator.tasks.aggregation_tasks.update_aggregators"]
    update("ana", str(KEY), block_keys=[str(KEY.make_usage_key("html", "a"))], force=False)
    assert tallies(ana)["course"] == (1.0, 5.0)
    assert waiting().count() == 0

    Aggregator.objects.all().delete()
    update("ana", str(KEY), force=True)
    assert tallies(ana)["course"] == (1.0, 5.0)
    registered["completion_aggregator.tasks.handler_tasks.mark_all_stale"](str(KEY))
    assert waiting().count() == 1


# run_aggregator_cleanup


@pytest.mark.django_db
def test_the_cleanup_deletes_what_is_done_in_bounded_chunks(platform: FakePlatform) -> None:
    small(platform)
    for user in learners(platform, 25):
        complete(user, "a")
    api.refresh_course(KEY)
    api.mark_stale("later", KEY)

    with CaptureQueriesContext(connection) as captured:
        text = output("run_aggregator_cleanup", "--chunk-size", "10")

    deletes = [query["sql"] for query in captured.captured_queries if query["sql"].startswith("DELETE")]
    assert len(deletes) == 3
    assert text == "25 resolved rows deleted.\n"
    assert [row.username for row in StaleCompletion.objects.all()] == ["later"]
    assert output("run_aggregator_cleanup") == "0 resolved rows deleted.\n"


# reaggregate_course


@pytest.mark.django_db
def test_reaggregating_marks_every_enrolled_learner_by_force(platform: FakePlatform) -> None:
    small(platform)
    ana, _, gone = (learner(platform, name) for name in ("ana", "ben", "gone"))
    platform.enrolled[str(KEY)].remove(gone.pk)
    complete(ana, "a")
    api.refresh_course(KEY)
    Aggregator.objects.filter(user=ana).update(earned=3.0)

    text = output("reaggregate_course", str(KEY), "--routing-key", "ignored")

    assert text == f"{KEY}: 2 learners marked.\nrun_aggregator_service does the rest.\n"
    assert {(row.username, row.force, row.block_key) for row in waiting()} == {
        ("ana", True, None),
        ("ben", True, None),
    }
    output("run_aggregator_service")
    assert everything() == from_scratch()


@pytest.mark.django_db
def test_reaggregating_takes_several_courses_or_all(platform: FakePlatform) -> None:
    small(platform)
    platform.publish(course(*SMALL, key=OTHER))
    ana = learner(platform, "ana")
    platform.enrolled[str(OTHER)] = [ana.pk]
    for arguments in ([str(KEY), str(OTHER)], ["--all"], ["-a"]):
        StaleCompletion.objects.all().delete()
        output("reaggregate_course", *arguments)
        assert {row.course_key for row in waiting()} == {KEY, OTHER}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "'nonsense' is no course key; one looks like course-v1:ORG"),
        ([str(KEY), "nonsense"], "'nonsense' is no course key"),
        ([str(KEY), "course-v1:No+Such+Course"], "There is no course course-v1:No"),
        ([], "Name the courses, or say --all"),
        ([str(KEY), "--all"], "not both"),
    ],
)
def test_reaggregating_what_is_not_there_is_refused_before_anything_is_marked(
    platform: FakePlatform, arguments: list[str], message: str
) -> None:
    small(platform)
    learner(platform, "ana")
    with pytest.raises(CommandError, match=message) as refused:
        output("reaggregate_course", *arguments)
    assert refused.value.returncode == 1
    assert waiting().count() == 0


def test_a_bad_key_ends_a_process_with_a_message_and_status_1(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "manage.py", "reaggregate_course", "nonsense"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "COMPLETION_AGGREGATOR_HOME": str(tmp_path), "TEST_DATABASE_URL": ""},
    )  # fmt: skip
    assert run.returncode == 1
    assert "'nonsense' is no course key" in run.stderr
    assert "Traceback" not in run.stderr


# aggregator_status


UNKNOWN = CourseKey.from_string("course-v1:No+Such+Course")


@pytest.fixture
def troubled(platform: FakePlatform) -> FakePlatform:
    """A course with work and a learner set aside, one that is unknown, one that is current."""
    small(platform)
    platform.publish(course(*SMALL, key=OTHER))
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    complete(ana, "a", key=OTHER)
    api.refresh_course(OTHER)
    complete(ben, "a")
    platform.failing.add(ben.pk)
    for _ in range(5):
        api.refresh_course(KEY)
    complete(ana, "b")
    waiting().filter(username="ben").update(created=timezone.now() - timedelta(hours=5))
    api.mark_stale("ana", UNKNOWN)
    with pytest.raises(UnknownCourse):
        api.refresh_course(UNKNOWN)
    return platform


@pytest.mark.django_db
def test_the_status_of_a_site_without_trouble(platform: FakePlatform) -> None:
    assert output("aggregator_status") == "Everything is current.\n"
    assert json.loads(output("aggregator_status", "--json")) == {
        "waiting": 0, "oldest": None, "oldest_age_seconds": None, "courses": [], "set_aside": [], "last_runs": [],
        "changed": [], "reconcile": {"courses": 0, "never": 0, "oldest": None, "under_way": []}, "deliveries": [],
    }  # fmt: skip


@pytest.mark.django_db
def test_the_status_tells_what_waits_where_why_and_since_when(troubled: FakePlatform) -> None:
    lines = output("aggregator_status").splitlines()

    assert lines[0] == "3 changes wait, the oldest for 5 hours."
    assert lines[2:5] == [
        f"  {KEY}  2 waiting, oldest 5 hours",
        f"  {UNKNOWN}  1 waiting, oldest 0 seconds",
        f"    cannot be read: There is no course {UNKNOWN}. Tried again in 30 seconds.",
    ]
    assert lines[6] == "1 learners are set aside (run_aggregator_service --retry-set-aside):"
    assert lines[7].endswith(f"in {KEY}: 5 attempts, RuntimeError: the platform cannot tell what this learner sees")
    assert lines[9] == "Last refreshed:"
    assert [re.sub(r"\d+ seconds", "N seconds", line) for line in lines[10:12]] == [
        f"  {KEY}  N seconds ago", f"  {OTHER}  N seconds ago",
    ]  # fmt: skip
    assert lines[12:] == ["", "Compared with completions: 0 of 3 courses."]


@pytest.mark.django_db
def test_the_status_is_there_for_machines(troubled: FakePlatform) -> None:
    told = json.loads(output("aggregator_status", "--json"))

    assert told["waiting"] == 3
    assert 17_900 < told["oldest_age_seconds"] < 18_100
    assert told["oldest"] == told["courses"][0]["oldest"]
    assert [(each["course_id"], each["waiting"], each["error"]) for each in told["courses"]] == [
        (str(KEY), 2, ""),
        (str(UNKNOWN), 1, f"There is no course {UNKNOWN}."),
    ]
    assert told["courses"][1]["retry_at"] > timezone.now().isoformat()
    (aside,) = told["set_aside"]
    assert (aside["course_id"], aside["attempts"]) == (str(KEY), 5)
    assert [each["course_id"] for each in told["last_runs"]] == [str(KEY), str(OTHER)]


@pytest.mark.django_db
def test_those_set_aside_try_again_when_told_to(troubled: FakePlatform) -> None:
    troubled.failing.clear()
    troubled.publish(course(*SMALL, key=UNKNOWN))
    output("run_aggregator_service", "--retry-set-aside")
    status = api.status()
    assert (status.waiting, status.courses, status.set_aside) == (0, (), ())
