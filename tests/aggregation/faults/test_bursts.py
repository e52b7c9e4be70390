"""However often a learner changes before a worker comes, it is one row; and no change is lost for it."""

from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from completion_aggregator.aggregation import api
from completion_aggregator.models import StaleCompletion
from tests.aggregation.builders import (
    KEY,
    SMALL,
    chapter,
    complete,
    course,
    html,
    learner,
    small,
    tallies,
    vertical,
    waiting,
)
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)

STAFF = (*SMALL, chapter("c3", vertical("v9", html("s")), staff_only=True))
READ = "FROM completion_blockcompletion"


def resolving(vendor: str) -> str:
    """Return what the statement that marks rows done begins with."""
    quote = "`" if vendor == "mysql" else '"'
    return f"UPDATE {quote}completion_aggregator_stalecompletion"


@pytest.mark.parametrize("together", [True, False])
def test_fifty_changes_of_one_learner_are_one_row(platform: FakePlatform, together: bool) -> None:
    small(platform)
    learner(platform, "ana")

    def burst() -> None:
        for _ in range(50):
            api.learner_changed("ana", KEY)

    if together:
        with transaction.atomic():
            burst()
    else:
        burst()

    assert StaleCompletion.objects.count() == 1
    assert api.refresh_course(KEY).resolved == 1
    api.learner_changed("ana", KEY)
    assert waiting().count() == 1


def test_changes_of_many_learners_take_two_queries_each(platform: FakePlatform) -> None:
    small(platform)
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        for number in range(20):
            api.learner_changed(f"learner{number}", KEY)
    assert len(captured) == 40
    assert waiting().count() == 20


def test_a_change_of_one_block_is_no_change_of_everything(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.learner_changed("ana", KEY)
    api.learner_changed("ana", KEY)
    assert waiting().count() == 2


def test_a_burst_that_is_rolled_back_leaves_what_waited(platform: FakePlatform) -> None:
    small(platform)
    learner(platform, "ana")
    api.learner_changed("ana", KEY)
    with transaction.atomic():
        api.learner_changed("ana", KEY)
        transaction.set_rollback(True)
    assert waiting().count() == 1
    assert api.refresh_course(KEY).resolved == 1


def test_synchronous_mode_refreshes_who_changed(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = False
    platform.publish(course(*STAFF))
    ana = learner(platform, "ana")
    complete(ana, "a")
    platform.staff.add(ana.pk)

    api.learner_changed("ana", KEY)

    assert tallies(ana)["course"] == (1.0, 6.0)
    assert waiting().count() == 0


@pytest.mark.services
def test_a_change_that_a_worker_has_not_seen_waits_on_in_the_row_that_it_has_claimed(
    platform: FakePlatform, crew: Crew, isolation: str, vendor: str
) -> None:
    # There a snapshot that the row has left behind is broken off, and the worker begins again and sees the change.
    begins_again = (vendor, isolation) == ("postgresql", "repeatable read")
    platform.publish(course(*STAFF))
    ana = learner(platform, "ana")
    api.learner_changed("ana", KEY)
    worker, stop = crew.start(lambda: api.refresh_course(KEY), stop_at=READ)  # the row and her sight are read
    stop.reached()

    def change() -> None:
        platform.staff.add(ana.pk)
        api.learner_changed("ana", KEY)

    crew.do(change)
    stop.release()

    assert worker.result(PATIENCE).resolved == (1 if begins_again else 0)
    assert waiting().count() == (0 if begins_again else 1)
    crew.do(lambda: api.refresh_course(KEY))
    assert tallies(ana)["course"] == (0.0, 6.0)


@pytest.mark.services
def test_a_change_that_is_not_committed_holds_up_no_worker_and_is_not_lost(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    platform.publish(course(*STAFF))
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    for name in ("ana", "ben"):
        api.learner_changed(name, KEY)
    changed, commit = Event(), Event()

    def change() -> None:
        with transaction.atomic():
            api.learner_changed("ana", KEY)
            changed.set()
            assert commit.wait(PATIENCE)

    request, _ = crew.start(change)
    assert changed.wait(PATIENCE)
    assert crew.do(lambda: api.refresh_course(KEY)).resolved == 1  # ben's
    platform.staff.add(ana.pk)
    commit.set()
    request.result(PATIENCE)

    assert crew.do(lambda: api.refresh_course(KEY)).resolved == 1
    assert tallies(ana)["course"] == (0.0, 6.0)
    assert tallies(ben)["course"] == (0.0, 5.0)


@pytest.mark.services
def test_a_request_waits_for_no_worker_that_resolves_the_row(
    platform: FakePlatform, crew: Crew, isolation: str, vendor: str
) -> None:
    platform.publish(course(*STAFF))
    ana = learner(platform, "ana")
    api.learner_changed("ana", KEY)
    worker, stop = crew.start(lambda: api.refresh_course(KEY), stop_at=resolving(vendor))
    stop.reached()  # the row is locked, to be marked done

    platform.staff.add(ana.pk)
    crew.do(lambda: api.learner_changed("ana", KEY))
    stop.release()

    assert worker.result(PATIENCE).resolved == 1
    assert waiting().count() == 1
    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (0.0, 6.0)


@pytest.mark.services
def test_a_row_that_was_resolved_after_a_transaction_began_is_not_taken_for_waiting(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    platform.publish(course(*STAFF))
    ana = learner(platform, "ana")
    api.learner_changed("ana", KEY)
    begun, go_on = Event(), Event()

    def change() -> None:
        with transaction.atomic():
            assert waiting().count() == 1  # what a snapshot goes on showing
            begun.set()
            assert go_on.wait(PATIENCE)
            api.learner_changed("ana", KEY)

    request, _ = crew.start(change)
    assert begun.wait(PATIENCE)
    crew.do(lambda: api.refresh_course(KEY))
    platform.staff.add(ana.pk)
    go_on.set()
    request.result(PATIENCE)

    assert waiting().count() == 1
    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (0.0, 6.0)


@pytest.mark.services
def test_a_refresh_by_older_content_is_seen_by_whoever_compares_trees(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    platform.publish(course(*STAFF))
    ana = learner(platform, "ana")
    api.mark_stale("ana", KEY)
    crew.do(lambda: api.refresh_course(KEY))
    platform.publish(course(*SMALL[:1]))
    api.mark_stale("ana", KEY)
    worker, stop = crew.start(lambda: api.refresh_course(KEY), stop_at=READ)
    stop.reached()  # it works on the second content

    platform.publish(course(*STAFF))  # and the first, which her row still speaks of, is back
    api.course_changed(KEY)
    settling, _ = crew.start(lambda: list(api.settle_changes()))
    stop.release()
    worker.result(PATIENCE)
    settling.result(PATIENCE)

    crew.do(lambda: api.refresh_course(KEY))
    assert tallies(ana)["course"] == (0.0, 5.0)
