"""Whoever is at a learner while she is retired leaves nothing of hers behind."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from completion_aggregator.aggregation import api
from completion_aggregator.models import Aggregator, CourseProgress, Crossing, StaleCompletion
from tests.aggregation.builders import KEY, SMALL, complete, course, learner, small, waiting
from tests.aggregation.faults.test_bursts import READ
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)

MARK = "INSERT INTO completion_aggregator_stalecompletion"
ENSURE = "INSERT INTO completion_aggregator_courseprogress"
QUEUE = "completion_aggregator_stalecompletion"


def settle() -> None:
    for done in api.settle_changes():
        assert not done.error


def compare() -> None:
    for _ in api.reconcile_course(KEY):
        pass


def mark_everybody() -> None:
    api.mark_course_stale(KEY)


WALKS: dict[str, Callable[[], None]] = {"settlement": settle, "reconcile": compare, "by hand": mark_everybody}


def left(user: Any) -> list[int]:
    """Return how many rows of ours there are of a user, in each table."""
    found = [model._default_manager.filter(user_id=user.pk).count() for model in (Aggregator, CourseProgress, Crossing)]
    return [*found, StaleCompletion.objects.filter(user_id=user.pk).count()]


def retired(platform: FakePlatform, user: Any, *, within: bool = False) -> None:
    """Retire a learner whose enrollments end before, as the LMS does; *within* a transaction, again if that fails."""
    ids = platform.enrolled[str(KEY)]
    if user.pk in ids:
        ids.remove(user.pk)
    for _ in range(3 if within else 1):
        try:
            with transaction.atomic() if within else nullcontext():
                get_user_model()._default_manager.count()  # what a snapshot goes on showing
                api.retire(user)
        except OperationalError:  # PostgreSQL lets nobody write in a snapshot that others have left behind
            continue
        return
    raise AssertionError("the pipeline gives up")


def changed(platform: FakePlatform, how: str) -> Any:
    """A learner for whom every walk finds another tree: with progress, or with tallies of before an upgrade, alone."""
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    for user in (ana, ben):
        complete(user, "a")
    api.refresh_course(KEY)
    StaleCompletion.objects.all().delete()
    if how == "tallies":
        CourseProgress.objects.filter(user=ana).delete()
    if how == "set aside":
        CourseProgress.objects.filter(user=ana).update(set_aside_at="2026-01-01T00:00:00Z")
    if how != "enrolled":
        platform.enrolled[str(KEY)].remove(ana.pk)
    platform.publish(course(*SMALL[:1]))
    api.course_changed(KEY)
    return ana


@pytest.mark.services
@pytest.mark.parametrize("how", ["progress", "tallies", "set aside", "enrolled"])
@pytest.mark.parametrize("walk", WALKS)
def test_who_is_retired_after_a_walk_has_read_of_her_is_not_marked(
    platform: FakePlatform, crew: Crew, isolation: str, walk: str, how: str
) -> None:
    ana = changed(platform, how)
    # The settlement looks at the queue last; the reconcile first, too: it is stopped where it looks at completions.
    stop_at = {"settlement": QUEUE, "reconcile": READ, "by hand": "FROM completion_aggregator_courseprogress"}[walk]
    walking, stop = crew.start(WALKS[walk], stop_at=quoted(stop_at) if walk == "by hand" else stop_at)
    stop.reached()
    crew.do(lambda: retired(platform, ana))
    stop.release()
    walking.result(PATIENCE)

    assert (left(ana), waiting().filter(username="ana").count()) == ([0, 0, 0, 0], 0)
    crew.do(lambda: api.refresh_course(KEY))
    assert left(ana) == [0, 0, 0, 0]


@pytest.mark.services
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("how", ["progress", "tallies", "set aside"])
@pytest.mark.parametrize("walk", ["settlement", "reconcile"])
def test_a_mark_that_is_made_while_she_is_retired_goes_too(
    platform: FakePlatform, crew: Crew, isolation: str, walk: str, how: str, *, within: bool
) -> None:
    ana = changed(platform, how)
    walking, stop = crew.start(WALKS[walk], stop_at=MARK)
    stop.reached()  # she is of the population until this is committed
    retiring, _ = crew.start(partial(retired, platform, ana, within=within))
    stop.release()
    walking.result(PATIENCE)
    retiring.result(PATIENCE)

    assert left(ana) == [0, 0, 0, 0]
    crew.do(lambda: api.refresh_course(KEY))
    assert left(ana) == [0, 0, 0, 0]


@pytest.mark.services
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("stop_at", [ENSURE, READ])
def test_a_refresh_that_found_her_in_the_queue_leaves_nothing(
    platform: FakePlatform, crew: Crew, isolation: str, stop_at: str, *, within: bool
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    refreshing, stop = crew.start(lambda: api.refresh_course(KEY), stop_at=stop_at)
    stop.reached()
    retiring, _ = crew.start(partial(retired, platform, ana, within=within))
    if stop_at == ENSURE:
        retiring.result(PATIENCE)
    stop.release()
    refreshing.result(PATIENCE)
    retiring.result(PATIENCE)

    assert left(ana) == [0, 0, 0, 0]


def test_a_refresh_leaves_no_row_of_whom_nothing_waits_for(platform: FakePlatform) -> None:
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    complete(ben, "a")
    api.refresh_learner("ana", KEY)
    assert left(ana) == [0, 0, 0, 0]
    api.refresh_learner("ben", KEY)
    before = CourseProgress.objects.values().get(user=ben)
    api.refresh_learner("ben", KEY)
    assert CourseProgress.objects.values().get(user=ben) == before


@pytest.mark.services
def test_whose_date_comes_while_she_is_retired_is_not_marked(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    ana = changed(platform, "progress")
    CourseProgress.objects.update(valid_until="2026-01-01T00:00:00Z")
    now = timezone.now()
    walking, stop = crew.start(lambda: api.mark_expired(now=now), stop_at="FOR UPDATE")
    stop.reached()
    crew.do(lambda: retired(platform, ana))
    stop.release()
    assert walking.result(PATIENCE) == 1
    assert left(ana) == [0, 0, 0, 0]


def quoted(statement: str) -> str:
    """Return a statement's beginning as Django writes it."""
    words, _, table = statement.rpartition(" ")
    return f"{words} {connection.ops.quote_name(table)}"
