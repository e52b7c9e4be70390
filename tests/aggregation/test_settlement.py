"""A course that changed costs those of its learners whose tree changed, and nobody else anything."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api, changes, settlement
from completion_aggregator.course_graph.graph import CompletionMode, Partition
from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.models import AggregatedCourse, Aggregator, CourseProgress, StaleCompletion
from tests.aggregation.builders import (
    KEY,
    SMALL,
    Node,
    chapter,
    complete,
    course,
    everything,
    from_scratch,
    html,
    learner,
    learners,
    node,
    sequential,
    small,
    tallies,
    usage,
    vertical,
    waiting,
)
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db

OTHER = CourseKey.from_string("course-v1:Test+Other+1")
COHORTS = Partition(id=7, scheme="cohort", groups=frozenset({1, 2}))


@pytest.fixture(autouse=True)
def asynchronous(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    settings.COMPLETION_AGGREGATOR_RECONCILE_LEARNERS = 0


def settle() -> tuple[int, int]:
    """Return how many learners were compared, and marked."""
    done = list(api.settle_changes())
    assert [each.error for each in done if each.error] == []
    return sum(each.compared for each in done), sum(each.marked for each in done)


def marked() -> list[str]:
    return sorted(waiting().values_list("username", flat=True))


def refreshed(platform: FakePlatform, *names: str) -> list[Any]:
    users = [learner(platform, name) for name in names]
    for user in users:
        complete(user, "a")
    api.refresh_course(KEY)
    return users


def coming(platform: FakePlatform, *chapters: Node, **rules: Any) -> None:
    """Publish content that is not taken over yet."""
    platform.coming[str(KEY)] = course(*chapters, **rules)


def second(**rules: Any) -> Node:
    """The second chapter of the small course, with rules."""
    return chapter("c2", *SMALL[1].children, **rules)


def test_another_title_costs_no_learner_a_write(platform: FakePlatform) -> None:
    small(platform)
    refreshed(platform, "ana", "ben")
    before = list(CourseProgress.objects.order_by("pk").values()), StaleCompletion.objects.count()
    coming(platform, *SMALL, title="Another")

    with CaptureQueriesContext(connection) as captured:
        assert settle() == (2, 0)

    written = [sql["sql"] for sql in captured if sql["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}]
    assert [sql for sql in written if "aggregatedcourse" not in sql] == []
    assert (list(CourseProgress.objects.order_by("pk").values()), StaleCompletion.objects.count()) == before
    assert changes.noted() == {}


def test_a_new_block_marks_those_who_see_it_and_no_others(platform: FakePlatform) -> None:
    platform.publish(course(*SMALL, partitions=[COHORTS]))
    ana, _ = refreshed(platform, "ana", "ben")
    platform.groups = {ana.pk: {7: 1}}
    api.mark_stale("ana", KEY)
    api.refresh_course(KEY)
    coming(
        platform, *SMALL, chapter("c3", vertical("v9", html("new")), group_access={7: frozenset({1})}),
        partitions=[COHORTS],
    )  # fmt: skip

    assert settle() == (2, 1)

    assert marked() == ["ana"]
    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (1.0, 6.0)
    stored = everything()[0]
    assert stored == from_scratch()[0]


def units(*chapters: Node) -> tuple[Node, ...]:
    """Return chapters beside the first of the small course."""
    return SMALL[0], *chapters


def last_unit(*leaves: Node, **rules: Any) -> Node:
    return chapter("c2", sequential("s2", vertical("v3", *leaves, **rules)))


EXCLUDED, COUNTS = {"mode": CompletionMode.EXCLUDED}, {"mode": CompletionMode.COMPLETABLE}
E, F = html("e"), html("f")
#: The small course, changed in one way that changes numbers.
CHANGED = {
    "leaf added": units(last_unit(E, F, html("g"))),
    "leaf removed": units(last_unit(E)),
    "leaf optional": units(last_unit(html("e", optional=True), F)),
    "leaf excluded": units(last_unit(html("e", **EXCLUDED), F)),
    "aggregator excluded": units(last_unit(E, F, **EXCLUDED)),
    "aggregator counts as a leaf": units(last_unit(**COUNTS)),
    "excluded block counts": units(last_unit(E, F, node("discussion", "y", **COUNTS))),
    "leaf moved": (chapter("c1", *SMALL[0].children, E), last_unit(F)),
    "order of leaves": units(last_unit(F, E)),
    "second parent": (chapter("c1", *SMALL[0].children, last_unit(E, F).children[0].children[0]), SMALL[1]),
    "chapter removed": SMALL[:1],
    "chapter without blocks": (*SMALL, chapter("c3")),
    "staff only": units(second(staff_only=True)),
    "not yet": units(second(start=datetime(2100, 1, 1, tzinfo=UTC))),
}


@pytest.mark.parametrize("how", CHANGED)
def test_whatever_changes_numbers_marks_and_ends_as_from_scratch(platform: FakePlatform, how: str) -> None:
    small(platform)
    ana = learner(platform, "ana")
    for name in ("a", "c", "e"):
        complete(ana, name, 0.5)
    complete(ana, "y", kind="discussion")
    api.refresh_course(KEY)
    coming(platform, *CHANGED[how])

    assert settle() == (1, 1)

    api.refresh_course(KEY)
    assert everything() == from_scratch()


def test_a_completion_from_before_its_block_counted_is_found_when_the_learner_comes_to_see_it(
    platform: FakePlatform,
) -> None:
    platform.publish(course(*SMALL, partitions=[COHORTS]))
    ana = learner(platform, "ana")
    complete(ana, "later")
    api.refresh_course(KEY)
    coming(
        platform, *SMALL, chapter("c3", vertical("v9", html("later")), group_access={7: frozenset({1})}),
        partitions=[COHORTS],
    )  # fmt: skip
    assert settle() == (1, 0)  # nothing that she sees

    platform.groups = {ana.pk: {7: 1}}
    api.learner_changed("ana", KEY)
    api.refresh_course(KEY)

    assert tallies(ana)["course"] == (1.0, 6.0)
    assert everything() == from_scratch()


def test_a_date_that_moves_changes_nothing_until_its_day(platform: FakePlatform) -> None:
    far, soon = timezone.now() + timedelta(days=300), timezone.now() + timedelta(days=1)
    platform.publish(course(SMALL[0], second(start=far)))
    (ana,) = refreshed(platform, "ana")
    coming(platform, SMALL[0], second(start=soon))

    assert settle() == (1, 0)

    assert CourseProgress.objects.get(user=ana).valid_until == soon
    assert api.mark_expired(now=soon + timedelta(seconds=1)) == 1


def test_more_dates_than_are_stored_at_once_mark_the_rest(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "_MOST_DATES", 0)
    platform.publish(course(SMALL[0], second(start=timezone.now() + timedelta(days=300))))
    refreshed(platform, "ana")
    coming(platform, SMALL[0], second(start=timezone.now() + timedelta(days=1)))
    assert settle() == (1, 1)


def test_those_never_computed_are_marked_those_of_before_an_upgrade_too(platform: FakePlatform) -> None:
    small(platform)
    refreshed(platform, "ana")
    learner(platform, "new")
    old = learner(platform, "old")
    platform.enrolled[str(KEY)].remove(old.pk)
    Aggregator.objects.submit_completion(
        user=old, course_key=KEY, block_key=usage("course", "course"), aggregation_name="course", earned=1, possible=9
    )
    api.course_changed(KEY)

    assert settle() == (3, 2)
    assert marked() == ["new", "old"]


def test_who_waits_already_is_not_marked_again(platform: FakePlatform) -> None:
    small(platform)
    ana, _ = refreshed(platform, "ana", "ben")
    complete(ana, "b")
    coming(platform, *SMALL[:1])

    assert settle() == (2, 1)
    api.course_changed(KEY)
    assert settle() == (2, 0)

    assert marked() == ["ana", "ben"]
    api.refresh_course(KEY)
    assert everything() == from_scratch()


def test_who_has_left_is_looked_at_too(platform: FakePlatform) -> None:
    small(platform)
    (ana,) = refreshed(platform, "ana")
    platform.enrolled[str(KEY)].remove(ana.pk)
    coming(platform, *SMALL[:1])
    assert settle() == (1, 1)


def test_a_change_during_the_comparison_stays_noted(platform: FakePlatform) -> None:
    small(platform)
    refreshed(platform, "ana")
    api.course_changed(KEY)

    for _ in api.settle_changes():
        api.course_changed(KEY)

    assert list(changes.noted()) == [KEY]


def test_who_has_left_without_a_trace_since_the_walk_began_is_not_marked(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(platform)
    (ana, _) = refreshed(platform, "ana", "ben")
    coming(platform, *SMALL[:1])
    sights = platform.sights

    def meanwhile(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(platform, "sights", sights)
        platform.enrolled[str(KEY)].remove(ana.pk)
        api.retire(ana)
        return sights(*args, **options)

    monkeypatch.setattr(platform, "sights", meanwhile)
    assert settle() == (2, 1)
    assert marked() == ["ben"]


def test_who_stops_in_the_middle_begins_the_course_again(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BATCH_SIZE = 2
    small(platform)
    refreshed(platform, "ana", "ben", "cem")
    coming(platform, *SMALL[:1])

    steps = api.settle_changes()
    assert next(steps).marked == 2
    steps.close()

    assert list(changes.noted()) == [KEY]
    assert settle() == (3, 1)
    assert marked() == ["ana", "ben", "cem"]
    assert changes.noted() == {}


def test_one_learner_of_whom_nothing_can_be_told_stops_nobody(platform: FakePlatform) -> None:
    small(platform)
    _, ben, _ = refreshed(platform, "ana", "ben", "cem")
    platform.failing = {ben.pk}
    api.course_changed(KEY)

    assert settle() == (3, 1)
    assert marked() == ["ben"]  # her refresh counts the failure
    assert changes.noted() == {}


def test_newer_content_that_cannot_be_read_is_told_of_and_holds_nobody_up(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(platform)
    platform.publish(course(*SMALL, key=OTHER))
    refreshed(platform, "ana")
    platform.coming = {str(key): course(*SMALL[:1], key=key) for key in (OTHER, KEY)}
    renew = platform.renew

    def broken(course_key: CourseKey) -> None:
        if course_key == OTHER:
            raise InvalidCourse("it has two roots")
        renew(course_key)

    monkeypatch.setattr(platform, "renew", broken)
    done = list(api.settle_changes())

    assert [(each.course_key, each.marked, each.error) for each in done] == [
        (OTHER, 0, "it has two roots"), (KEY, 1, ""),
    ]  # fmt: skip
    (told,) = [each for each in api.status().courses if each.error]
    assert (told.course_key, told.error, told.retry_at) == (OTHER, "it has two roots", None)
    api.mark_stale("ana", OTHER)
    with pytest.raises(CommandError, match="1 courses could not be refreshed"):
        call_command("run_aggregator_service", stdout=StringIO(), stderr=StringIO())
    # By the content that there is, which is no worse than it was.
    assert not StaleCompletion.objects.filter(course_key=OTHER, resolved=False).exists()
    monkeypatch.setattr(platform, "renew", renew)
    assert [each.error for each in api.settle_changes() if each.error] == []
    assert [each for each in api.status().courses if each.error] == []


def run() -> str:
    """Run the service, later than courses are postponed; return what it complains of."""
    AggregatedCourse.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now())
    errors = StringIO()
    call_command("run_aggregator_service", stdout=StringIO(), stderr=errors)
    return errors.getvalue()


def status() -> str:
    out = StringIO()
    call_command("aggregator_status", stdout=out)
    return re.sub(r"\d+ (seconds|minutes)", "N", out.getvalue())


def test_a_course_that_is_gone_is_told_of_once_and_shown(platform: FakePlatform) -> None:
    small(platform)
    refreshed(platform, "ana")
    api.course_changed(OTHER)

    assert run() == f"{OTHER}: There is no course {OTHER}.\n"
    assert (run(), changes.noted()) == ("", {})
    assert status().splitlines()[:3] == [
        "Everything is current.",
        f"  {OTHER}  0 waiting, oldest never",
        f"    cannot be read: There is no course {OTHER}.",
    ]
    api.course_changed(OTHER)
    assert (run(), changes.noted()) == ("", {})


def test_what_waits_in_a_course_that_is_gone_waits_on_and_ends_no_run(platform: FakePlatform) -> None:
    small(platform)
    refreshed(platform, "ana")
    api.mark_stale("ana", OTHER)

    assert run() == f"{OTHER}: There is no course {OTHER}.\n"
    assert run() == ""

    assert f"    cannot be read: There is no course {OTHER}. Tried again in N.\n" in status()
    assert marked() == ["ana"]


def test_a_course_that_comes_back_is_worked_on_and_shown_no_more(platform: FakePlatform) -> None:
    small(platform)
    (ana,) = refreshed(platform, "ana")
    gone = platform.graphs.pop(str(KEY))
    api.course_changed(KEY)
    assert run() == f"{KEY}: There is no course {KEY}.\n"
    platform.publish(gone)
    api.course_changed(KEY)

    assert run() == ""
    assert status().splitlines()[1] == ""
    assert tallies(ana)["course"] == (1.0, 5.0)
    platform.graphs.clear()
    api.course_changed(KEY)
    assert run() == f"{KEY}: There is no course {KEY}.\n"


@pytest.mark.parametrize("mark", [api.course_changed, lambda key: api.mark_stale("ana", key)])
def test_a_course_whose_content_is_broken_ends_each_run_in_an_error(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, mark: Any
) -> None:
    small(platform)
    refreshed(platform, "ana")

    def broken(course_key: CourseKey) -> None:
        raise InvalidCourse("it has two roots")

    monkeypatch.setattr(platform, "course_graph", broken)
    api.forget()
    mark(KEY)
    for _ in range(3):
        with pytest.raises(CommandError, match="1 courses could not be refreshed"):
            run()
    assert "    cannot be read: it has two roots Tried again in N.\n" in status()


@pytest.mark.django_db(transaction=True)
def test_a_batch_takes_the_same_queries_whatever_its_size_and_outcome(platform: FakePlatform) -> None:
    small(platform)
    users = learners(platform, 40)
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)

    def queries(count: int, *chapters: Node) -> int:
        StaleCompletion.objects.all().delete()
        platform.enrolled[str(KEY)] = [user.pk for user in users[:count]]
        CourseProgress.objects.exclude(user_id__in=platform.enrolled[str(KEY)]).delete()
        Aggregator.objects.exclude(user_id__in=platform.enrolled[str(KEY)]).delete()
        coming(platform, *chapters, title=f"For {count}")
        with CaptureQueriesContext(connection) as captured:
            assert settle()[0] == count
        return len(captured)

    assert queries(40, *SMALL[:1]) == queries(10, *SMALL[1:]) <= 21
    assert queries(8, *SMALL) == queries(4, *SMALL) <= 15  # nobody to mark


def test_the_service_looks_at_changed_courses_before_it_refreshes(platform: FakePlatform) -> None:
    small(platform)
    (ana,) = refreshed(platform, "ana")
    coming(platform, *SMALL[:1])
    out = StringIO()

    call_command("run_aggregator_service", stdout=out, stderr=StringIO())

    assert "1 learners refreshed" in out.getvalue()
    assert "1 learners of changed courses looked at" in out.getvalue()
    assert tallies(ana)["course"] == (1.0, 3.0)
    assert everything() == from_scratch()


@pytest.mark.django_db(transaction=True)
def test_a_refresh_in_a_request_works_on_the_newest_content(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = False
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    coming(platform, *SMALL[:1])

    complete(ana, "b")

    assert tallies(ana)["course"] == (2.0, 3.0)
    assert list(changes.noted()) == [KEY]  # the others are the service's


@pytest.mark.django_db(transaction=True)
def test_an_import_marks_in_its_own_transaction(platform: FakePlatform) -> None:
    small(platform)
    refreshed(platform, "ana")
    with transaction.atomic():
        platform.publish(course(*SMALL[:1]))
        assert api.mark_content_changed(KEY) == 1
        transaction.set_rollback(True)
    assert marked() == []
