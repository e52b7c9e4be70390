"""Where rules decide that the platform alone knows, refreshes visit it, and whoever reads sees what it showed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator.aggregation import api
from completion_aggregator.models import CourseProgress, CourseTree
from tests.aggregation.builders import (
    KEY,
    SMALL,
    chapter,
    complete,
    course,
    html,
    learner,
    node,
    problem,
    small,
    tallies,
    usage,
    vertical,
    waiting,
)
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db

A = str(usage("html", "a"))


@pytest.fixture
def strange(platform: FakePlatform) -> FakePlatform:
    """Return a platform with a rule of its own: whom it names does not see the block "a"."""
    small(platform)
    platform.one_by_one = True
    return platform


def enrolled(platform: FakePlatform, name: str) -> Any:
    user = learner(platform, name)
    if user.pk not in platform.enrolled[str(KEY)]:
        platform.enrolled[str(KEY)].append(user.pk)
    return user


def refreshed(*names: str) -> None:
    for name in names:
        api.mark_stale(name, KEY)
    api.refresh_course(KEY)


READS: dict[str, Callable[[int], float | None]] = {
    "the roster": lambda user_id: _possible(api.standings_of_class(KEY, [user_id])[user_id]),
    "her dashboard": lambda user_id: _possible(api.standings_of_learner(user_id, [KEY])[KEY]),
    "her courses": lambda user_id: _possible(api.live_courses(user_id, [KEY])[KEY]),
    "herself": lambda user_id: _possible(api.live_standing(user_id, KEY)),
    "progress": lambda user_id: api.progress_of(user_id, KEY).course.possible,
    "progress of all": lambda user_id: next(iter(api.progress_of_course(KEY, user_ids=[user_id]))).course.possible,
}


def _possible(standing: Any) -> float | None:
    return None if standing is None else float(standing.sums[0][1])


@pytest.mark.parametrize("read", READS)
def test_a_read_shows_what_a_visit_showed_and_visits_nobody(strange: FakePlatform, read: str) -> None:
    ana, ben = enrolled(strange, "ana"), enrolled(strange, "ben")
    for user in (ana, ben):
        complete(user, "a")
        complete(user, "b")
    strange.hidden[ana.pk] = {A}
    api.refresh_course(KEY)
    assert sorted(strange.visits) == [ana.pk, ben.pk]
    api.forget()

    assert [READS[read](user.pk) for user in (ana, ben)] == [4.0, 5.0]
    assert sorted(strange.visits) == [ana.pk, ben.pk]
    assert [tallies(user)["course"] for user in (ana, ben)] == [(1.0, 4.0), (2.0, 5.0)]


def test_the_class_is_counted_as_it_was_shown(strange: FakePlatform) -> None:
    ana, ben = enrolled(strange, "ana"), enrolled(strange, "ben")
    for user in (ana, ben):
        complete(user, "a")
    strange.hidden[ana.pk] = {A}
    api.refresh_course(KEY)

    summary = api.course_summary(KEY)

    assert (summary.learners, summary.started) == (2, 1)
    assert summary.mean == pytest.approx(0.1)
    assert len(strange.visits) == 2


def test_before_her_first_refresh_a_learner_sees_what_the_known_rules_show_her(strange: FakePlatform) -> None:
    ana = enrolled(strange, "ana")
    strange.hidden[ana.pk] = {A}

    assert api.progress_of(ana.pk, KEY).course.possible == 5.0
    assert strange.visits == []


def test_what_was_shown_of_other_content_shows_nothing_of_this(strange: FakePlatform) -> None:
    ana = enrolled(strange, "ana")
    strange.hidden[ana.pk] = {A}
    refreshed("ana")
    strange.publish(course(*SMALL, chapter("c3", vertical("v9", html("s")))))
    api.course_changed(KEY)

    assert api.progress_of(ana.pk, KEY).course.possible == 6.0
    list(api.settle_changes())
    api.refresh_course(KEY)
    assert api.progress_of(ana.pk, KEY).course.possible == 5.0
    assert strange.visits == [ana.pk] * 2


def test_draws_are_read_as_they_are_stored_now(platform: FakePlatform) -> None:
    bank = node("library_content", "bank", problem("p1"), problem("p2"), bank_size=1)
    platform.publish(course(chapter("c1", vertical("v1", html("a"), bank))))
    platform.one_by_one = True
    ana = enrolled(platform, "ana")
    platform.hidden[ana.pk] = {A}
    platform.draws[ana.pk] = {str(usage("library_content", "bank")): (str(usage("problem", "p2")),)}
    complete(ana, "p2", kind="problem")
    api.refresh_course(KEY)

    assert tallies(ana)["course"] == (1.0, 1.0)
    assert api.progress_of(ana.pk, KEY).course.percent == 1.0


def test_all_who_see_the_same_share_a_tree(strange: FakePlatform) -> None:
    names = [f"learner{number}" for number in range(50)]
    for number, name in enumerate(names):
        strange.hidden[enrolled(strange, name).pk] = {A} if number % 2 else set()

    refreshed(*names)
    refreshed(*names)

    assert CourseTree.objects.count() == 2
    assert len(strange.visits) == 100


@pytest.mark.parametrize("learners", [2, 40])
def test_reading_takes_two_queries_more_however_many_learners_there_are(strange: FakePlatform, learners: int) -> None:
    users = [enrolled(strange, f"learner{number}") for number in range(learners)]
    refreshed(*[user.username for user in users])
    ids = [user.pk for user in users]

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            api.standings_of_class(KEY, ids)
        return len(captured)

    queries()
    more = queries()
    strange.one_by_one = False
    assert more - queries() == 2


def test_the_cleanup_forgets_trees_that_nobody_sees_any_more(strange: FakePlatform, capsys: Any) -> None:
    ana = enrolled(strange, "ana")
    refreshed("ana")
    strange.hidden[ana.pk] = {A}
    refreshed("ana")
    assert CourseTree.objects.count() == 2
    call_command("run_aggregator_cleanup")
    assert CourseTree.objects.count() == 2  # a refresh may be at work with either

    CourseTree.objects.update(kept_at=timezone.now() - timedelta(days=2))
    call_command("run_aggregator_cleanup")

    assert "1 trees deleted that nobody sees any more." in capsys.readouterr().out
    assert CourseTree.objects.get().profile == CourseProgress.objects.get().profile
    assert api.progress_of(ana.pk, KEY).course.possible == 4.0


def test_the_reconcile_compares_with_what_was_shown_and_visits_nobody(strange: FakePlatform) -> None:
    ana, ben = enrolled(strange, "ana"), enrolled(strange, "ben")
    for user in (ana, ben):
        complete(user, "a")
    strange.hidden[ana.pk] = {A}
    api.refresh_course(KEY)

    assert [each.found.differing for each in api.reconcile_due(100)][:1] == [0]
    CourseProgress.objects.filter(user_id=ana.pk).update(earned=3.0)
    assert [each.found.differing for each in api.reconcile_course(KEY)][:1] == [1]
    assert len(strange.visits) == 2
    api.refresh_course(KEY)
    assert CourseProgress.objects.get(user_id=ana.pk).earned == 0.0


@pytest.mark.django_db(transaction=True)
def test_visits_hold_no_lock_and_what_changes_meanwhile_waits_on(strange: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    ana = enrolled(strange, "ana")
    complete(ana, "b")

    def meanwhile() -> None:
        assert not connection.in_atomic_block
        strange.when_visited = None
        strange.hidden[ana.pk] = {A}  # the visit did not see it
        api.learner_changed("ana", KEY)
        complete(ana, "a")

    strange.when_visited = meanwhile
    api.refresh_course(KEY)
    assert tallies(ana)["course"][1] == 5.0
    assert waiting().count() > 0

    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (1.0, 4.0)
    assert waiting().count() == 0


def test_a_visit_that_fails_sets_one_learner_back_and_no_other(strange: FakePlatform) -> None:
    ana, ben = enrolled(strange, "ana"), enrolled(strange, "ben")
    for user in (ana, ben):
        complete(user, "a")
    strange.failing.add(ana.pk)

    summary = api.refresh_course(KEY)

    assert (summary.failed, summary.resolved) == (1, 1)
    assert tallies(ben)["course"] == (1.0, 5.0)
