"""C9: deleted completions went on being counted."""

from threading import Event

import pytest
from completion.models import BlockCompletion
from django.db import transaction

from completion_aggregator.aggregation import api
from tests.aggregation.builders import KEY, complete, everything, from_scratch, learner, small, tallies, waiting
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.fakes.platform import FakePlatform


@pytest.mark.django_db
def test_c9_clearing_a_course_takes_every_tally_back(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    for name in ("a", "b", "e"):
        complete(ana, name)
    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (3.0, 5.0)

    assert BlockCompletion.objects.clear_learning_context_completion(ana, KEY) == 3
    api.refresh_course(KEY)

    assert {earned for earned, _ in tallies(ana).values()} == {0.0}
    assert everything() == from_scratch()
    complete(ana, "c")
    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (1.0, 5.0)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_c9_a_deletion_that_commits_while_a_worker_reads_is_seen_by_the_next_run(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    complete(ana, "b")
    api.refresh_course(KEY)
    deleted, commit = Event(), Event()

    def clear() -> None:
        with transaction.atomic():
            BlockCompletion.objects.clear_learning_context_completion(ana, KEY)
            deleted.set()
            assert commit.wait(PATIENCE)

    clearing, _ = crew.start(clear)
    assert deleted.wait(PATIENCE)
    api.mark_stale("ana", KEY)
    worker, stop = crew.start(lambda: api.refresh_course(KEY), stop_at="FROM completion_blockcompletion")
    stop.reached()
    commit.set()
    clearing.result(PATIENCE)
    stop.release()
    assert worker.result(PATIENCE).resolved == 1

    assert waiting().count() == 2
    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (0.0, 5.0)
    assert everything() == from_scratch()
