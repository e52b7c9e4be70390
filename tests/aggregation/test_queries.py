"""How many queries things take: a fixed number, whatever the size of batch and course."""

from collections.abc import Callable
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models.signals import post_delete, post_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import signals
from completion_aggregator.aggregation import api
from completion_aggregator.models import AggregatedCourse, CourseProgress, StaleCompletion
from completion_aggregator.upsert import upsert
from tests.aggregation.builders import (
    KEY,
    SMALL,
    Node,
    chapter,
    complete,
    course,
    html,
    learner,
    learners,
    moment,
    sequential,
    small,
    usage,
    vertical,
    waiting,
)
from tests.fakes.platform import FakePlatform
from tests.platforms.standalone import builders as standalone

#: Within a transaction nothing is kept in memory, so a test that runs in one would count what no site does.
pytestmark = pytest.mark.django_db(transaction=True)

#: The limit of the specification, with transaction control.
LIMIT = 20


@pytest.fixture(autouse=True)
def asynchronous(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


def large(width: int) -> tuple[Node, ...]:
    """Four chapters with verticals of *width* leaves."""
    return tuple(
        chapter(f"c{c}", sequential(f"s{c}", vertical(f"v{c}", *(html(f"h{c}.{n}") for n in range(width)))))
        for c in range(4)
    )


def completed(users: list[Any], names: list[str], *, value: float = 1.0, minute: int = 0) -> None:
    upsert(
        BlockCompletion._meta.db_table,
        ("user_id", "course_key", "block_key", "block_type", "completion", "created", "modified"),
        ("course_key", "block_key", "user_id"),
        [
            (user.pk, str(KEY), str(usage("html", name)), "html", value, moment(minute), moment(minute))
            for user in users
            for name in names
        ],
    )
    api.mark_stale_many(KEY, {user.username: {str(usage("html", name)) for name in names} for user in users})


def queries(work: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"] for query in captured.captured_queries]


def counts(platform: FakePlatform, *, count: int, width: int) -> dict[str, int]:
    """Return the statements of a run of one batch, by what the batch has to do."""
    platform.publish(course(*large(width)))
    users = learners(platform, count)
    found: dict[str, int] = {}

    def measure(name: str) -> None:
        run = queries(lambda: api.refresh_course(KEY, batch_size=count))
        assert waiting().count() == 0
        found[name] = len(run)

    measure("nothing to do")
    api.mark_course_stale(KEY)
    measure("from scratch")
    completed(users, ["h0.0"], minute=1)
    measure("one more each")
    completed(users, ["h0.0"], value=0.5, minute=0)
    measure("an older time")
    api.mark_course_stale(KEY, force=True)
    measure("forced")
    platform.publish(course(*large(width)[:-1]))
    api.mark_course_stale(KEY)
    measure("after a publication")
    return found


def test_a_batch_takes_the_same_queries_whatever_its_size_and_that_of_the_course(platform: FakePlatform) -> None:
    few = counts(platform, count=10, width=3)
    wipe()
    many = counts(platform, count=200, width=60)

    assert few == many
    assert max(few.values()) < LIMIT, few
    assert few["one more each"] <= 15, few  # the transaction, its beginning and its end, and the run's own included


def wipe() -> None:
    get_user_model()._default_manager.all().delete()
    for model in (AggregatedCourse, StaleCompletion):
        model._default_manager.all().delete()
    api.forget()


def test_events_take_one_query_more(platform: FakePlatform, settings: Any) -> None:
    small(platform)
    users = learners(platform, 20)
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)
    completed(users, ["a"])
    without = len(queries(lambda: api.refresh_course(KEY)))
    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = ["course", "vertical"]
    completed(users, ["b"])

    assert len(queries(lambda: api.refresh_course(KEY))) == without + 1


def test_a_run_reads_the_queue_once_for_each_batch(platform: FakePlatform) -> None:
    small(platform)
    users = learners(platform, 40)
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)

    def run(batch_size: int) -> int:
        completed(users, ["a"])
        return len(queries(lambda: api.refresh_course(KEY, batch_size=batch_size)))

    run(40)
    one, two, four = run(40), run(20), run(10)
    assert two - one < LIMIT
    assert four - two == 2 * (two - one)


def test_the_progress_of_one_learner_takes_one_query_besides_those_of_the_platform(platform: FakePlatform) -> None:
    small(platform)  # this platform takes none
    ana = learner(platform, "ana")
    complete(ana, "a")

    assert len(queries(lambda: api.progress_of(ana.pk, KEY))) == 1


def test_the_progress_of_one_learner_takes_three_queries_on_the_standalone_platform() -> None:
    standalone.course()
    ana = standalone.learner("ana")
    api.progress_of(ana.pk, standalone.KEY)

    # Two of the platform: the version of the course, who the learner is in it. One of ours: her completions.
    assert len(queries(lambda: api.progress_of(ana.pk, standalone.KEY))) == 3


def test_a_completion_takes_one_insert_more_than_without_us(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")

    def request(name: str) -> list[str]:
        with transaction.atomic():
            return queries(lambda: complete(ana, name))

    with_us = request("a")
    for signal, name in ((post_save, "saved"), (post_delete, "deleted")):
        signal.disconnect(sender=BlockCompletion, dispatch_uid=f"completion_aggregator.completion_{name}")
    without_us = request("b")
    signals.connect()

    more = [sql for sql in with_us if "completion_aggregator" in sql]
    assert [sql.split()[0] for sql in more] == ["INSERT"]
    assert len(with_us) == len(without_us) + 1


def test_a_completion_that_is_saved_or_deleted_takes_one_insert(platform: FakePlatform) -> None:
    small(platform)
    complete(learner(platform, "ana"), "a")
    row = BlockCompletion.objects.get()
    for change in (row.save, row.delete):
        ours = [sql for sql in queries(change) if "completion_aggregator" in sql]
        assert [sql.split()[0] for sql in ours] == ["INSERT"]


def test_the_status_takes_few_queries_however_much_waits(platform: FakePlatform) -> None:
    def fill(courses: int) -> None:
        for n in range(courses):
            key = CourseKey.from_string(f"course-v1:Test+Status+{n}")
            platform.publish(course(*SMALL, key=key))
            platform.enrolled[str(key)] = [user.pk for user in users]
            api.mark_course_stale(key)
            api.refresh_course(key)
            api.mark_course_stale(key)
        CourseProgress.objects.update(set_aside_at=timezone.now(), error="broken")

    users = learners(platform, 10)
    fill(2)
    few = len(queries(api.status))
    fill(6)

    assert len(queries(api.status)) == few <= 4
    assert len(api.status().set_aside) == 60
