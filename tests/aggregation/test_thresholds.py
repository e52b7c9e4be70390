"""Thresholds: each time a learner reaches one is recorded once, whatever happens, and nothing else is."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from completion.models import BlockCompletion
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis.stateful import invariant, run_state_machine_as_test

from completion_aggregator import conf
from completion_aggregator.aggregation import api, thresholds
from completion_aggregator.models import AggregatedCourse, CourseProgress, Crossing, Delivery
from tests.aggregation.builders import (
    KEY,
    SMALL,
    chapter,
    complete,
    course,
    everything,
    from_scratch,
    html,
    learner,
    learners,
    sequential,
    small,
    usage,
    vertical,
    waiting,
)
from tests.aggregation.processes import Child
from tests.aggregation.test_any_order import PROFILES, Site
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)

HOOK = {"url": "https://example.org/hook", "secret": "0123456789abcdef"}
#: Leaves of ``SMALL`` that count: three in the first chapter, two in the second.
LEAVES = ("a", "b", "c", "e", "f")


@pytest.fixture(autouse=True)
def watched(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    settings.COMPLETION_AGGREGATOR_RECONCILE_LEARNERS = 0  # whom it finds is refreshed by the next run
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"course": [0.5, 1.0], "chapter": [1]}


def refreshed(user: Any, *names: str, value: float = 1.0) -> None:
    for name in names:
        complete(user, name, value)
    api.refresh_course(KEY)


def crossings() -> list[tuple[Any, ...]]:
    """Return the crossings: who, which block, threshold, which time, percent, whether she is still above."""
    rows = Crossing.objects.order_by("id").select_related("user")
    return [
        (
            row.user.username,
            str(row.block_key).rpartition("@")[2],
            row.threshold,
            row.number,
            row.percent,
            row.left_at is None,
        )
        for row in rows
    ]


def queries(work: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as caught:
        work()
    return [each["sql"] for each in caught.captured_queries]


def test_a_threshold_that_is_reached_is_recorded_whole(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    before = timezone.now()
    refreshed(ana, "e")
    assert crossings() == []

    refreshed(ana, "f")
    row: dict[str, Any] = dict(Crossing.objects.values().get())
    assert before < row.pop("reached_at") < timezone.now()
    assert UUID(row.pop("event_id")).version == 4
    assert row.pop("id") > 0
    assert row == {
        "course_id": AggregatedCourse.objects.get().pk, "user_id": ana.pk, "block_key": usage("chapter", "c2"),
        "block_type": "chapter", "threshold": 1.0, "number": 1, "percent": 1.0, "left_at": None,
    }  # fmt: skip


def test_each_threshold_is_reached_for_itself_and_several_at_once(platform: FakePlatform) -> None:
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    refreshed(ana, "a", "b", "c")
    refreshed(ben, "a", "e")
    refreshed(ben, "b", "c", "f")

    assert sorted(crossings()) == [
        ("ana", "c1", 1.0, 1, 1.0, True),
        ("ana", "course", 0.5, 1, 0.6, True),
        ("ben", "c1", 1.0, 1, 1.0, True),
        ("ben", "c2", 1.0, 1, 1.0, True),
        ("ben", "course", 0.5, 1, 1.0, True),
        ("ben", "course", 1.0, 1, 1.0, True),
    ]
    assert Crossing.objects.values("event_id").distinct().count() == 6


def test_what_was_recorded_is_not_recorded_again(platform: FakePlatform) -> None:
    small(platform)
    refreshed(learner(platform, "ana"), *LEAVES)
    rows = list(Crossing.objects.order_by("id").values())
    assert len(rows) == 4

    api.mark_course_stale(KEY, force=True)
    api.refresh_course(KEY)
    from_scratch()
    platform.publish(course(*SMALL, title="Another title"))
    api.mark_content_changed(KEY)
    api.refresh_course(KEY)

    assert list(Crossing.objects.order_by("id").values()) == rows


def test_who_falls_below_and_comes_back_crosses_again(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    refreshed(ana, "e", "f")

    more = (*SMALL[:1], chapter("c2", sequential("s2", vertical("v3", html("e"), html("f"), html("new")))))
    platform.publish(course(*more))
    api.mark_content_changed(KEY)
    api.refresh_course(KEY)
    assert crossings() == [("ana", "c2", 1.0, 1, 1.0, False)]

    refreshed(ana, "new")
    assert crossings()[:2] == [("ana", "c2", 1.0, 1, 1.0, False), ("ana", "c2", 1.0, 2, 1.0, True)]
    refreshed(ana, "e", value=0.25)
    refreshed(ana, "e")
    assert [row for row in crossings() if row[1] == "c2"] == [
        ("ana", "c2", 1.0, 1, 1.0, False), ("ana", "c2", 1.0, 2, 1.0, False), ("ana", "c2", 1.0, 3, 1.0, True),
    ]  # fmt: skip


def test_a_completion_that_is_deleted_leaves_the_threshold(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    refreshed(ana, "e", "f")
    BlockCompletion.objects.get(block_key=usage("html", "f")).delete()
    api.refresh_course(KEY)
    assert crossings() == [("ana", "c2", 1.0, 1, 1.0, False)]
    assert Crossing.objects.get().left_at == CourseProgress.objects.get().as_of


def test_where_nothing_counts_nothing_is_reached_though_it_is_100_percent(platform: FakePlatform) -> None:
    platform.publish(course(chapter("c1", sequential("s1", vertical("v1", html("a", optional=True))))))
    ana = learner(platform, "ana")
    refreshed(ana, "a")
    assert CourseProgress.objects.get().percent == 1.0
    assert crossings() == []


@pytest.mark.parametrize("how", ["hidden", "emptied", "removed"])
def test_a_chapter_that_goes_and_comes_back_is_not_reached_again(platform: FakePlatform, how: str) -> None:
    small(platform)
    ana = learner(platform, "ana")
    refreshed(ana, "e", "f")
    gone = {
        "hidden": (chapter("c2", *SMALL[1].children, staff_only=True),),
        "emptied": (chapter("c2"),),
        "removed": (),
    }[how]
    for content in ((*SMALL[:1], *gone), SMALL):
        platform.publish(course(*content))
        api.mark_content_changed(KEY)
        api.refresh_course(KEY)
    assert crossings() == [("ana", "c2", 1.0, 1, 1.0, True)]


def test_keys_that_differ_in_case_are_two_blocks(platform: FakePlatform) -> None:
    def unit(name: str, leaf: str) -> Any:
        return chapter(name, sequential(f"s{leaf}", vertical(f"v{leaf}", html(leaf))))

    platform.publish(course(unit("week", "a"), unit("Week", "b"), unit("other", "c")))
    refreshed(learner(platform, "ana"), "a", "b")
    assert sorted(crossings()) == [
        ("ana", "Week", 1.0, 1, 1.0, True),
        ("ana", "course", 0.5, 1, 2 / 3, True),
        ("ana", "week", 1.0, 1, 1.0, True),
    ]


def test_other_thresholds_are_kept_apart_and_old_ones_left_alone(platform: FakePlatform, settings: Any) -> None:
    small(platform)
    ana = learner(platform, "ana")
    refreshed(ana, "a", "b", "c")
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"course": (0.5, 1 / 3), "vertical": {1.0}}
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)
    assert sorted(crossings()) == [
        ("ana", "c1", 1.0, 1, 1.0, True),
        ("ana", "course", 1 / 3, 1, 0.6, True),
        ("ana", "course", 0.5, 1, 0.6, True),
        ("ana", "v1", 1.0, 1, 1.0, True),
        ("ana", "v2", 1.0, 1, 1.0, True),
    ]


def test_a_crossing_and_its_deliveries_stand_or_fall_with_the_refresh(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [HOOK]
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "e")
    complete(ana, "f")

    def broken_off() -> None:
        with transaction.atomic():
            api.refresh_course(KEY)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert (Crossing.objects.count(), Delivery.objects.count(), waiting().count()) == (0, 0, 2)

    api.refresh_course(KEY)
    row: dict[str, Any] = dict(Delivery.objects.values().get())
    crossing = Crossing.objects.get()
    assert row.pop("id") > 0
    assert row == {
        "crossing_id": crossing.event_id, "endpoint": row["endpoint"], "attempts": 0, "delivered_at": None, "error": "",
        "due_at": crossing.reached_at - thresholds.CLOCKS_DIFFER,
    }  # fmt: skip
    assert HOOK["url"] not in str(row)


def test_the_database_takes_no_crossing_twice(platform: FakePlatform) -> None:
    small(platform)
    refreshed(learner(platform, "ana"), "e", "f")
    row = Crossing.objects.get()
    row.pk, row.event_id = None, "another"
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()


def test_a_user_who_goes_takes_the_crossings_along(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [HOOK]
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    for user in (ana, ben):
        refreshed(user, "e", "f")
    ana.delete()
    assert [row[0] for row in crossings()] == ["ben"]
    assert Delivery.objects.get().crossing_id == Crossing.objects.get().event_id


def test_a_setting_that_cannot_work_stops_the_run_and_no_learner_is_to_blame(
    platform: FakePlatform, settings: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"course": [2]}
    small(platform)
    complete(learner(platform, "ana"), "a")
    with pytest.raises(ImproperlyConfigured, match="THRESHOLDS"):
        api.refresh_course(KEY)
    assert list(CourseProgress.objects.values_list("attempts", flat=True)) == [0]
    assert waiting().count() == 1


def test_without_thresholds_a_refresh_asks_nothing_more(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {}
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [HOOK]
    small(platform)
    ana = learner(platform, "ana")
    for name in LEAVES:
        complete(ana, name)
    asked = queries(lambda: api.refresh_course(KEY))
    assert len(asked) > 5
    assert [sql for sql in asked if "crossing" in sql or "delivery" in sql] == []


def test_with_thresholds_a_refresh_asks_one_query_more_and_two_where_somebody_crosses(
    platform: FakePlatform, settings: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [HOOK, {**HOOK, "url": "https://example.org/other"}]
    small(platform)
    users = learners(platform, 30)

    def asked(name: str) -> list[str]:
        for user in users:
            complete(user, name)
        found = queries(lambda: api.refresh_course(KEY))
        return ["INSERT" if "INSERT" in sql else "SELECT" for sql in found if "crossing" in sql or "delivery" in sql]

    assert asked("e") == ["SELECT"]
    assert asked("f") == ["SELECT", "INSERT", "INSERT"]
    assert (Crossing.objects.count(), Delivery.objects.count()) == (30, 60)


def test_whom_to_tell_is_looked_up_once_for_a_batch(
    platform: FakePlatform, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [HOOK]
    small(platform)
    users = learners(platform, 30)
    looked: list[Any] = []

    def webhooks() -> Any:
        looked.append(conf.webhooks())
        return looked[-1]

    monkeypatch.setattr(thresholds, "webhooks", webhooks)
    for name, times in (("e", 0), ("f", 1)):
        for user in users:
            complete(user, name)
        api.refresh_course(KEY)
        assert len(looked) == times
    assert Delivery.objects.count() == 30


class Watched(Site):
    """The site of any order; each refresh of a learner is followed by a naive look at all that she has done."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, datetime | None] = {}
        self.expected: dict[tuple[int, str, float], list[tuple[str, float, bool]]] = {}

    def watch(self) -> None:
        """Look at everybody who was refreshed since the last time."""
        now = dict(CourseProgress.objects.filter(as_of__isnull=False).values_list("user_id", "as_of"))
        fresh = [user_id for user_id, as_of in now.items() if self.seen.get(user_id) != as_of]
        self.seen = dict(now)
        for each in api.progress_of_course(KEY, user_ids=fresh, levels={"all"}):
            for tally in each.blocks:
                if tally.possible > 0:
                    self.look(each.user_id, tally)

    def look(self, user_id: int, tally: Any) -> None:
        for threshold in WATCHED.get(tally.block_type, ()):
            past = self.expected.setdefault((user_id, tally.block_key, threshold), [])
            above = bool(past) and past[-1][2]
            if tally.percent >= threshold and not above:
                past.append((tally.block_type, tally.percent, True))
            elif tally.percent < threshold and above:
                past[-1] = (*past[-1][:2], False)

    @invariant()
    def crossings_are_those_of_the_naive_look(self) -> None:
        self.watch()
        columns = "user_id", "block_key", "threshold", "number", "block_type", "percent", "left_at"
        found = [(*row[:6], row[6] is None) for row in Crossing.objects.values_list(*columns)]
        assert sorted((row[0], str(row[1]), *row[2:]) for row in found) == sorted(
            (*place, number, *each) for place, past in self.expected.items() for number, each in enumerate(past, 1)
        )

    def teardown(self) -> None:
        super().teardown()  # which ends in a run from scratch
        self.crossings_are_those_of_the_naive_look()


WATCHED = {"course": (1 / 3, 1.0), "chapter": (0.5, 1.0), "vertical": (1.0,)}


def test_in_any_order_crossings_are_those_of_a_look_at_everything_after_each_refresh(
    platform: FakePlatform, settings: Any, vendor: str
) -> None:
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = WATCHED
    run_state_machine_as_test(
        type("Watched", (Watched,), {"platform": platform}), settings=PROFILES[vendor == "sqlite"]
    )


def test_two_workers_record_each_crossing_once(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [HOOK]
    key = small(platform)
    users = learners(platform, 6, key)
    workers = [Child("tests.aggregation.work.refresh_until_told", size, graph=course(*SMALL)) for size in (2, 3)]
    for worker in workers:
        assert worker.receive() == "ready"
        worker.say("go")
    for _ in range(3):
        for leaf in LEAVES:
            for user in users:
                complete(user, leaf)
            api.mark_course_stale(KEY, force=True)
    for worker in workers:
        worker.say("stop")
    assert sum(worker.receive() for worker in workers) > 0
    for worker in workers:
        worker.join()
    api.refresh_course(KEY)

    places = [("c1", 1.0), ("c2", 1.0), ("course", 0.5), ("course", 1.0)]
    assert sorted((row[0], row[1], row[2], row[3], row[5]) for row in crossings()) == [
        (user.username, *place, 1, True) for user in users for place in places
    ]
    told = Delivery.objects.values_list("crossing_id", flat=True)
    assert sorted(map(str, told)) == sorted(Crossing.objects.values_list("event_id", flat=True))
    assert everything() == from_scratch()


@pytest.mark.parametrize("table", ["crossing", "delivery"])
def test_a_worker_killed_while_it_records_leaves_one_crossing_to_the_next(
    platform: FakePlatform, settings: Any, table: str
) -> None:
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [HOOK]
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "e")
    complete(ana, "f")
    text = f"INSERT INTO completion_aggregator_{table}"
    child = Child("tests.aggregation.work.hang_before", text, graph=course(*SMALL))
    assert text in child.receive()
    child.kill()

    assert (Crossing.objects.count(), Delivery.objects.count()) == (0, 0)
    end = timezone.now() + timedelta(seconds=5)
    while waiting().exists() and timezone.now() < end:
        api.refresh_course(KEY)  # the server may take a moment to see that a client is gone
    assert crossings() == [("ana", "c2", 1.0, 1, 1.0, True)]
    assert Delivery.objects.count() == 1
