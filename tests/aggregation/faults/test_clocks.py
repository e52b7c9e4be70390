"""Machines whose clocks are wrong: what is stored does not depend on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from django.utils import timezone

from completion_aggregator.aggregation import api
from completion_aggregator.api import ThresholdReached, threshold_reached
from tests.aggregation.builders import (
    KEY,
    SMALL,
    complete,
    course,
    everything,
    from_scratch,
    learner,
    small,
    tallies,
    waiting,
)
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)

HOURS = (-1, 0, 1)


@contextmanager
def clock(hours: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be on a machine whose clock is wrong by so much."""
    with monkeypatch.context() as patched:
        patched.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(hours=hours))
        yield


@pytest.mark.parametrize(("web", "worker", "author"), list(permutations(HOURS)))
def test_clocks_change_nothing_that_is_stored(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, web: int, worker: int, author: int
) -> None:
    small(platform)
    ana = learner(platform, "ana")

    def everywhere(*names: str, published: Any = None) -> None:
        with clock(web, monkeypatch):
            for name in names:
                complete(ana, name)
                api.learner_changed("ana", KEY)
        with clock(author, monkeypatch):
            if published:
                platform.publish(published)
                api.course_changed(KEY)
        with clock(worker, monkeypatch):
            list(api.settle_changes())
            api.refresh_course(KEY)

    everywhere("a", "b")
    everywhere("c", published=course(*SMALL[:1]))
    everywhere(published=course(*SMALL))
    everywhere("e")

    assert not waiting().exists()
    assert not api.status().changed
    assert tallies(ana)["course"] == (4.0, 5.0)
    assert everything() == from_scratch()


@pytest.mark.parametrize(("worker", "teller"), list(permutations(HOURS, 2)))
def test_a_threshold_is_told_at_once_by_whatever_clock_it_was_reached(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, settings: Any, worker: int, teller: int
) -> None:
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"course": [0.2]}
    told: list[int] = []

    def receiver(sender: Any, reached: ThresholdReached, **_: Any) -> None:
        told.append(reached.user_id)

    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    threshold_reached.connect(receiver)
    try:
        with clock(worker, monkeypatch):
            api.refresh_course(KEY)
        with clock(teller, monkeypatch):
            assert api.deliver() == 1
    finally:
        threshold_reached.disconnect(receiver)
    assert told == [ana.pk]
