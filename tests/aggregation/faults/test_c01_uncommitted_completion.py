"""C1: a completion whose request commits while a worker is at work was resolved unseen."""

from threading import Event

import pytest
from django.db import transaction

from completion_aggregator.aggregation import api
from tests.aggregation.builders import KEY, complete, everything, from_scratch, learner, small, tallies, waiting
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)

RESOLVE = 'UPDATE "completion_aggregator_stalecompletion"'


def resolve(vendor: str) -> str:
    return RESOLVE.replace('"', "`") if vendor == "mysql" else RESOLVE


@pytest.mark.services
def test_c1_a_completion_not_yet_committed_is_counted_by_the_next_run(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    written, commit = Event(), Event()

    def request() -> None:
        with transaction.atomic():
            complete(ana, "b")
            written.set()
            assert commit.wait(PATIENCE)

    complete(ana, "a")
    open_request, _ = crew.start(request)
    assert written.wait(PATIENCE)
    crew.do(lambda: api.refresh_course(KEY))
    before = tallies(ana)["course"]
    commit.set()
    open_request.result(PATIENCE)

    assert waiting().count() == 1
    assert crew.do(lambda: api.refresh_course(KEY)).resolved == 1
    assert (before, tallies(ana)["course"]) == ((1.0, 5.0), (2.0, 5.0))
    assert everything() == from_scratch()


@pytest.mark.services
def test_c1_a_completion_committed_while_a_worker_resolves_stays_stale_and_waits_for_nobody(
    platform: FakePlatform, crew: Crew, isolation: str, vendor: str
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    worker, stop = crew.start(lambda: api.refresh_course(KEY), stop_at=resolve(vendor))
    stop.reached()

    crew.do(lambda: complete(ana, "b"))  # the worker holds all its locks: the learner does not wait for it
    stop.release()

    assert worker.result(PATIENCE).resolved == 1
    assert waiting().count() == 1
    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (2.0, 5.0)
    assert everything() == from_scratch()


@pytest.mark.services
def test_c1_a_request_waits_for_no_worker_that_has_resolved_but_not_committed(
    platform: FakePlatform, crew: Crew, isolation: str, vendor: str
) -> None:
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    complete(ana, "a")
    committing, let_go = Event(), Event()

    def worker() -> None:
        with transaction.atomic():
            api.refresh_course(KEY)
            committing.set()
            assert let_go.wait(PATIENCE)

    held, _ = crew.start(worker)
    assert committing.wait(PATIENCE)
    crew.do(lambda: complete(ana, "b"))
    crew.do(lambda: complete(ben, "a"))
    let_go.set()
    held.result(PATIENCE)

    assert waiting().count() == 2
    api.refresh_course(KEY)
    assert (tallies(ana)["course"], tallies(ben)["course"]) == ((2.0, 5.0), (1.0, 5.0))


def test_c1_a_worker_that_starts_during_a_request_misses_nothing(platform: FakePlatform, crew: Crew) -> None:
    small(platform)
    ana = learner(platform, "ana")
    written, commit = Event(), Event()

    def request() -> None:
        with transaction.atomic():
            complete(ana, "b")
            written.set()
            assert commit.wait(PATIENCE)

    complete(ana, "a")
    open_request, _ = crew.start(request)
    assert written.wait(PATIENCE)
    worker, _ = crew.start(lambda: api.refresh_course(KEY))
    commit.set()
    open_request.result(PATIENCE)
    worker.result(PATIENCE)

    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (2.0, 5.0)
    assert waiting().count() == 0
