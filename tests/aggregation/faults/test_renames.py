"""Work is a learner's, whatever she is called when it is marked and when it is done."""

from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from completion_aggregator.aggregation import api
from completion_aggregator.models import Aggregator, CourseProgress, StaleCompletion
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
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)


def renamed(user: Any, name: str) -> None:
    """Rename a user elsewhere: whoever has loaded her goes on with the old name."""
    found = get_user_model()._default_manager.get(pk=user.pk)
    found.username = name
    found.save()


def queue() -> set[tuple[str, int | None]]:
    """Return for whom something waits."""
    return set(waiting().values_list("username", "user_id"))


def late(platform: FakePlatform) -> Any:
    """A learner who completed something in a request that still knew her by her old name."""
    small(platform)
    ana = learner(platform, "ana")
    renamed(ana, "anna")
    complete(ana, "a")
    assert queue() == {("ana", ana.pk)}
    return ana


@pytest.mark.services
def test_a_completion_of_a_request_that_began_before_a_rename_is_not_lost(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")

    def request() -> None:
        with transaction.atomic():
            complete(ana, "b")

    completing, stop = crew.start(request, stop_at="completion_blockcompletion")
    stop.reached()
    crew.do(lambda: renamed(ana, "anna"))
    assert crew.do(lambda: api.refresh_course(KEY)).learners == 1
    stop.release()
    completing.result(PATIENCE)

    assert queue() == {("ana", ana.pk)}
    assert crew.do(lambda: api.refresh_course(KEY)).unknown_users == 0
    assert queue() == {("anna", ana.pk)}
    crew.do(lambda: api.refresh_course(KEY))
    assert (queue(), tallies(ana)["course"]) == (set(), (2.0, 5.0))


@pytest.mark.services
def test_a_rename_waits_for_no_worker_and_what_the_worker_leaves_follows_it(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")

    def resolve_and_die() -> None:
        with transaction.atomic():
            waiting().update(resolved=True)
            Session.objects.exists()
            transaction.set_rollback(True)

    # The worker and a rename that comes upon its rows would each have what the other one needs next.
    dying, stop = crew.start(resolve_and_die, stop_at=Session._meta.db_table)
    stop.reached()
    crew.do(lambda: renamed(ana, "anna"))
    stop.release()
    dying.result(PATIENCE)

    assert queue() == {("ana", ana.pk)}
    for _ in range(2):
        crew.do(lambda: api.refresh_course(KEY))
    assert (queue(), tallies(ana)["course"]) == (set(), (1.0, 5.0))
    assert everything() == from_scratch()


def test_a_late_mark_waits_for_the_name_that_the_learner_has(platform: FakePlatform) -> None:
    ana = late(platform)
    assert (api.refresh_course(KEY).unknown_users, queue()) == (0, {("anna", ana.pk)})
    assert api.refresh_course(KEY).resolved == 1
    assert everything() == from_scratch()


def test_synchronous_mode_leaves_a_late_mark_to_the_service(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = False
    small(platform)
    ana = learner(platform, "ana")
    renamed(ana, "anna")
    complete(ana, "a")
    assert queue() == {("anna", ana.pk)}
    assert api.refresh_course(KEY).resolved == 1


def test_whoever_has_taken_the_name_has_nothing_of_the_other(platform: FakePlatform) -> None:
    ana = late(platform)
    other = get_user_model()._default_manager.create(username="ana")  # no learner of this course

    assert api.refresh_course(KEY).learners == 0

    assert queue() == {("anna", ana.pk)}
    api.refresh_course(KEY)
    assert (queue(), tallies(ana)["course"]) == (set(), (1.0, 5.0))
    assert not CourseProgress.objects.filter(user=other).exists()
    assert not Aggregator.objects.filter(user=other).exists()


def test_both_are_refreshed_where_the_name_was_taken_by_a_learner_who_waits_too(platform: FakePlatform) -> None:
    ana = late(platform)
    other = learner(platform, "ana")
    for name in ("a", "b"):
        complete(other, name)

    assert api.refresh_course(KEY).resolved == 2
    assert queue() == {("anna", ana.pk)}
    assert api.refresh_course(KEY).resolved == 1
    assert [tallies(user)["course"] for user in (ana, other)] == [(1.0, 5.0), (2.0, 5.0)]
    assert everything() == from_scratch()


def test_who_waits_under_a_name_does_not_wait_for_who_has_taken_it(platform: FakePlatform) -> None:
    ana = late(platform)
    other = learner(platform, "ana")
    api.sights_changed(KEY, [ana.pk, other.pk], learning=[ana.pk, other.pk])
    api.sights_changed(KEY, [ana.pk, other.pk], learning=[ana.pk, other.pk])
    marks = [(row.username, row.user_id) for row in waiting() if row.block_key is None]
    assert sorted(marks) == [("ana", other.pk), ("anna", ana.pk)]
    StaleCompletion.objects.filter(user_id=other.pk).delete()
    api.course_changed(KEY)
    assert [(each.compared, each.marked) for each in api.settle_changes()] == [(2, 1)]
    assert queue() == {("ana", ana.pk), ("anna", ana.pk), ("ana", other.pk)}


def test_a_burst_is_one_row_of_its_learner(platform: FakePlatform) -> None:
    ana = late(platform)
    other = learner(platform, "ana")
    waiting().update(block_key=None)
    for _ in range(3):
        api.sights_changed(KEY, [other.pk], learning=[other.pk])
    assert list(waiting().order_by("user_id").values_list("user_id", flat=True)) == [ana.pk, other.pk]


def test_a_rename_takes_only_rows_of_its_learner_along(platform: FakePlatform) -> None:
    ana = late(platform)
    other = learner(platform, "ana")
    complete(other, "a")
    api.mark_stale("ana", KEY)  # by software that knows names only
    renamed(other, "cem")
    assert queue() == {("ana", ana.pk), ("cem", other.pk), ("cem", None)}


def test_who_is_deleted_takes_only_rows_of_hers_along(platform: FakePlatform) -> None:
    ana = late(platform)
    other = learner(platform, "ana")
    complete(other, "a")
    api.mark_stale("ana", KEY)
    other.delete()
    assert queue() == {("ana", ana.pk)}


def test_rows_without_an_id_are_of_who_has_the_name(platform: FakePlatform) -> None:
    ana = late(platform)
    waiting().update(user_id=None)
    assert (api.refresh_course(KEY).unknown_users, queue()) == (1, set())
    api.mark_stale("anna", KEY)
    assert api.refresh_course(KEY).resolved == 1
    assert tallies(ana)["course"] == (1.0, 5.0)


def test_rows_of_a_user_who_is_gone_are_nobodys_whoever_has_the_name(platform: FakePlatform) -> None:
    ana = late(platform)
    learner(platform, "ana")
    BlockCompletion.objects.filter(user=ana).delete()
    StaleCompletion.objects.all().delete()
    StaleCompletion.objects.create(username="ana", user_id=ana.pk, course_key=KEY)
    get_user_model()._default_manager.filter(pk=ana.pk)._raw_delete(connection.alias)
    assert (api.refresh_course(KEY).learners, queue()) == (0, set())


def test_who_was_retired_and_renamed_does_not_come_back_by_a_late_mark(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.refresh_course(KEY)
    platform.enrolled[str(KEY)].remove(ana.pk)
    api.retire(ana)
    renamed(ana, "retired")
    complete(ana, "b")

    for _ in range(2):
        api.refresh_course(KEY)

    assert (queue(), CourseProgress.objects.count(), Aggregator.objects.count()) == (set(), 0, 0)


def test_who_is_retired_leaves_nothing_that_waits_under_another_name(platform: FakePlatform) -> None:
    ana = late(platform)
    other = learner(platform, "ana")
    complete(other, "a")
    ana.refresh_from_db()
    assert api.retire(ana).stale == 1
    assert queue() == {("ana", other.pk)}


def test_what_waits_under_another_name_is_handed_over_too(platform: FakePlatform) -> None:
    ana = late(platform)
    other, heir = learner(platform, "ana"), learner(platform, "heir")
    complete(other, "a")
    platform.enrolled[str(KEY)].remove(ana.pk)
    _, courses = api.reassign("anna", heir)
    assert courses == [KEY]
    assert queue() == {("heir", heir.pk), ("ana", other.pk)}


def test_content_marks_say_whose_they_are(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.refresh_course(KEY)
    platform.publish(course(*SMALL[:1]))
    api.mark_content_changed(KEY)
    assert queue() == {("ana", ana.pk)}
    StaleCompletion.objects.all().delete()
    assert next(iter(api.reconcile_course(KEY))).found.differing == 1
    assert queue() == {("ana", ana.pk)}
    StaleCompletion.objects.all().delete()
    api.mark_course_stale(KEY)
    assert queue() == {("ana", ana.pk)}


def test_a_signal_is_one_insert_and_names_cost_a_refresh_nothing(platform: FakePlatform) -> None:
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    with CaptureQueriesContext(connection) as captured:
        complete(ana, "a")
    assert [each["sql"].split()[0] for each in captured if "stalecompletion" in each["sql"]] == ["INSERT"]
    counts = []
    for user_ids in ((None, None), (None, None), (ana.pk, ben.pk)):
        for user, user_id in zip((ana, ben), user_ids, strict=True):
            StaleCompletion.objects.create(username=user.username, user_id=user_id, course_key=KEY)
        CourseProgress.objects.all().delete()
        with CaptureQueriesContext(connection) as captured:
            api.refresh_course(KEY)
        counts.append(len(captured))
    assert counts[1] == counts[2]
