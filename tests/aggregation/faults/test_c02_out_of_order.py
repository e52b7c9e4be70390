"""C2: a completion with an older time stamp than the newest one counted was never counted."""

from threading import Event

import pytest
from django.db import transaction

from completion_aggregator.aggregation import api
from tests.aggregation.builders import (
    KEY,
    complete,
    everything,
    from_scratch,
    imported,
    learner,
    moment,
    small,
    tallies,
    waiting,
)
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.fakes.platform import FakePlatform


@pytest.mark.django_db
def test_c2_a_completion_with_an_older_time_is_counted(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    imported(ana, {"a": (1.0, moment(20))})
    api.refresh_course(KEY)

    imported(ana, {"b": (1.0, moment(10))})
    api.refresh_course(KEY)

    assert tallies(ana)["course"] == (2.0, 5.0)
    assert everything() == from_scratch()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_c2_a_completion_saved_first_and_committed_last_is_counted(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    saved, commit = Event(), Event()

    def slow_request() -> None:
        with transaction.atomic():
            complete(ana, "a")
            saved.set()
            assert commit.wait(PATIENCE)

    slow, _ = crew.start(slow_request)
    assert saved.wait(PATIENCE)
    crew.do(lambda: complete(ana, "b"))  # later time, earlier commit
    crew.do(lambda: api.refresh_course(KEY))
    commit.set()
    slow.result(PATIENCE)
    api.refresh_course(KEY)

    assert tallies(ana)["v1"] == (2.0, 2.0)
    assert waiting().count() == 0
    assert everything() == from_scratch()
