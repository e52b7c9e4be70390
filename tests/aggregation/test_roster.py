"""A class by pages, filtered and sorted by what the last refresh stored."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from completion_aggregator.aggregation import api, roster
from completion_aggregator.aggregation.models import AggregatedCourse, CourseProgress
from completion_aggregator.aggregation.roster import Order, Place, RosterQuery
from tests.aggregation.builders import KEY, complete, learner, learners, small, usage
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """What a test stores of a learner, and by which the naive answer is worked out."""

    user_id: int
    percent: float
    activity: datetime | None


def stored(platform: FakePlatform, count: int, seed: int) -> list[Row]:
    """Enroll learners; most have a row with a percent and an activity that many share, and some with odd ones."""
    dice = random.Random(seed)
    users = learners(platform, count)
    course, _ = AggregatedCourse.objects.get_or_create(course_key=KEY)
    rows = []
    for user in users:
        percent = dice.choice([0.0, 0.25, 1 / 3, 1.0, dice.random()])
        activity = dice.choice([None, START, START + timedelta(microseconds=dice.randrange(10**12))])
        if dice.random() < 0.2:
            rows.append(Row(user.pk, 0.0, None))  # never refreshed
        else:
            rows.append(Row(user.pk, percent, activity))
            store(course, rows[-1])
    return rows


def store(course: AggregatedCourse, row: Row) -> None:
    values = {"percent": row.percent, "earned": row.percent, "possible": 1.0, "last_activity": row.activity}
    CourseProgress.objects.update_or_create(
        course=course, user_id=row.user_id, defaults={**values, "as_of": START, "graph_version": "1"}
    )


def naive(rows: list[Row], query: RosterQuery) -> list[int]:
    """Filter and sort as the words say."""

    def wanted(row: Row) -> bool:
        never, since, before = row.activity is None, query.active_since, query.active_before
        return (
            (query.percent_min is None or row.percent >= query.percent_min)
            and (query.percent_max is None or row.percent <= query.percent_max)
            and (since is None or (row.activity is not None and row.activity >= since))
            and (before is None or (row.activity is not None and row.activity < before))
            and (not query.never_active or never)
        )

    earliest = datetime(1, 1, 1, tzinfo=UTC)
    key = {
        Order.ID: lambda row: (row.user_id,),
        Order.PERCENT: lambda row: (row.percent, row.user_id),
        Order.PERCENT_DOWN: lambda row: (-row.percent, row.user_id),
        Order.ACTIVITY: lambda row: ((row.activity or earliest) - earliest, row.user_id),
        Order.ACTIVITY_DOWN: lambda row: (earliest - (row.activity or earliest), row.user_id),
    }[query.order]
    return [row.user_id for row in sorted(filter(wanted, rows), key=key)]


def pages(query: RosterQuery, size: int) -> Iterator[list[int]]:
    after: Place | None = None
    while True:
        page = roster.page_of(query, size=size, after=after)
        entries = tuple(page.entries)
        assert len(entries) <= size
        yield [entry.user_id for entry in entries]
        if page.end is None:
            return
        after = page.end


FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"percent_min": 0.25},
    {"percent_max": 1 / 3},
    {"percent_min": 0.1, "percent_max": 0.9, "active_since": START},
    {"active_before": START + timedelta(days=3)},
    {"never_active": True},
)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("seed", range(3))
def test_pages_one_after_the_other_are_the_filtered_and_sorted_class(platform: FakePlatform, order: Order, seed: int):
    small(platform)
    rows = stored(platform, 40, seed)
    for number, conditions in enumerate(FILTERS):
        query = RosterQuery(KEY, order=order, **conditions)
        found = [user_id for page in pages(query, size=1 + (number + seed) % 7) for user_id in page]
        assert found == naive(rows, query)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("seed", range(3))
def test_who_does_not_change_is_on_one_page_whatever_others_do_between_two(
    platform: FakePlatform, order: Order, seed: int
):
    small(platform)
    rows = {row.user_id: row for row in stored(platform, 40, seed)}
    course, dice = AggregatedCourse.objects.get(course_key=KEY), random.Random(seed)
    moving = set(dice.sample(sorted(rows), 12))
    query, seen = RosterQuery(KEY, order=order), list[int]()
    for page in pages(query, size=4):
        seen += page
        for user_id in dice.sample(sorted(moving), 3):
            match dice.randrange(3):
                case 0 if user_id in platform.enrolled[str(KEY)]:
                    platform.enrolled[str(KEY)].remove(user_id)
                case 1 if user_id not in platform.enrolled[str(KEY)]:
                    platform.enrolled[str(KEY)].append(user_id)
                case _:
                    store(course, Row(user_id, dice.random(), START + timedelta(seconds=dice.randrange(10**6))))
    still = [row for user_id, row in rows.items() if user_id not in moving]
    assert [user_id for user_id in seen if user_id not in moving] == naive(still, query)
    if order is Order.ID:
        assert len(seen) == len(set(seen))


@pytest.mark.parametrize("order", Order)
def test_the_whole_class_is_the_pages_in_one(platform: FakePlatform, order: Order, monkeypatch: pytest.MonkeyPatch):
    small(platform)
    rows = stored(platform, 25, 7)
    monkeypatch.setattr(roster, "ENTRIES_AT_ONCE", 4)
    for conditions in FILTERS:
        query = RosterQuery(KEY, order=order, **conditions)
        assert [entry.user_id for entry in roster.whole_of(query).entries] == naive(rows, query)


def test_an_entry_is_what_the_last_refresh_stored(platform: FakePlatform):
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    complete(ana, "d", kind="problem")
    api.refresh_course(KEY)
    complete(ana, "b")  # not refreshed yet
    row = CourseProgress.objects.get(user=ana)
    page = roster.page_of(RosterQuery(KEY), size=10)
    (entry,) = page.entries
    assert (page.title, page.block_key, page.block_type, page.end) == (
        "Course", str(usage("course", "course")), "course", None,
    )  # fmt: skip
    assert (entry.username, entry.as_of, entry.standing) == ("ana", row.as_of, None)
    assert tuple(entry.sums) == (1.0, 5.0, 0.2, 1.0, 1.0, 1.0)
    assert (entry.last_modified, entry.last_activity) == (row.last_modified, row.last_activity)


def test_who_was_never_refreshed_has_the_numbers_of_now_and_the_place_of_nothing(platform: FakePlatform):
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    complete(ben, "a")
    api.refresh_course(KEY)
    CourseProgress.objects.filter(user=ana).delete()
    for name in ("a", "b", "c"):
        complete(ana, name)
    first, second = roster.page_of(RosterQuery(KEY, order=Order.PERCENT_DOWN), size=10, blocks=True).entries
    assert (first.username, tuple(first.sums[:3])) == ("ben", (1.0, 5.0, 0.2))
    assert (second.username, tuple(second.sums[:3])) == ("ana", (3.0, 5.0, 0.6))
    assert second.last_activity is not None
    assert second.as_of > first.as_of
    for entry in (first, second):
        assert entry.standing is not None
        assert entry.standing.sums[0].tolist() == list(entry.sums)
    assert roster.page_of(RosterQuery(KEY, percent_min=0.5), size=10).entries == ()
    assert [each.username for each in roster.page_of(RosterQuery(KEY, never_active=True), size=10).entries] == ["ana"]


def test_blocks_are_those_of_the_last_refresh(platform: FakePlatform):
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.refresh_course(KEY)
    complete(ana, "b")
    (entry,) = roster.page_of(RosterQuery(KEY), size=1, blocks=True).entries
    assert entry.standing is not None
    assert entry.standing.sums[:, 0].tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]


def test_who_was_refreshed_and_never_did_anything_has_blocks_as_well(platform: FakePlatform):
    small(platform)
    learner(platform, "ana")
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)
    (entry,) = roster.page_of(RosterQuery(KEY), size=1, blocks=True).entries
    assert entry.standing is not None
    assert entry.standing.sums[:, :2].tolist() == [[0.0, n] for n in (5.0, 3.0, 3.0, 2.0, 1.0, 2.0, 2.0, 2.0)]


def test_mode_and_cohort_are_asked_of_the_platform(platform: FakePlatform):
    small(platform)
    ana, ben, eva = (learner(platform, name) for name in ("ana", "ben", "eva"))
    platform.modes = {(str(KEY), ana.pk): "verified", (str(KEY), ben.pk): "verified"}
    platform.cohorts = {7: [ben.pk, eva.pk]}

    def names(**conditions: Any) -> list[str]:
        return [entry.username for entry in roster.page_of(RosterQuery(KEY, **conditions), size=10).entries]

    assert names(mode="verified") == ["ana", "ben"]
    assert names(cohort_id=7) == ["ben", "eva"]
    assert names(mode="verified", cohort_id=7) == ["ben"]
    assert names(mode="honor") == []


def test_nobody_is_an_empty_page(platform: FakePlatform):
    small(platform)
    assert tuple(roster.page_of(RosterQuery(KEY), size=10).entries) == ()
    assert list(roster.whole_of(RosterQuery(KEY, order=Order.ACTIVITY)).entries) == []


def test_an_account_that_is_gone_is_left_out(platform: FakePlatform):
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    platform.enrolled[str(KEY)] = [ana.pk, ben.pk]
    whole = roster.whole_of(RosterQuery(KEY))
    get_user_model()._default_manager.filter(pk=ana.pk).delete()
    assert [entry.username for entry in whole.entries] == ["ben"]


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("refreshed", [False, True])
def test_a_page_takes_as_many_queries_for_a_hundred_learners_as_for_one(
    platform: FakePlatform, *, blocks: bool, refreshed: bool
):
    small(platform)
    learners(platform, 100)
    if refreshed:
        api.mark_course_stale(KEY)
        api.refresh_course(KEY)
    counts = []
    for size in (1, 10, 100):
        with CaptureQueriesContext(connection) as caught:
            assert len(tuple(roster.page_of(RosterQuery(KEY), size=size, blocks=blocks).entries)) == size
        counts.append(len(caught))
    assert len(set(counts)) == 1, counts
    assert counts[0] <= 6


EXPECTED = (
    "WITH enrolled(user_id) AS ({enrolled}) SELECT e.user_id FROM enrolled e LEFT JOIN"
    " completion_aggregator_courseprogress p ON p.course_id = %s AND p.user_id = e.user_id"
)


def test_the_statement_joins_the_platforms_own_query(platform: FakePlatform):
    small(platform)
    ana = learner(platform, "ana")
    enrolled, parameters = platform.enrollments(KEY).query.sql_with_params()
    sql, values = roster.statement(3, RosterQuery(KEY, percent_min=0.5, order=Order.PERCENT_DOWN), "e.user_id",
        after=Place(9, 0.75), limit=11)  # fmt: skip
    assert sql == EXPECTED.format(enrolled=enrolled) + (
        " WHERE COALESCE(p.percent, 0.0) >= %s AND (COALESCE(p.percent, 0.0) < %s OR (COALESCE(p.percent, 0.0) = %s"
        " AND e.user_id > %s)) ORDER BY COALESCE(p.percent, 0.0) DESC, e.user_id LIMIT 11"
    )
    assert values == [*parameters, 3, 0.5, 0.75, 0.75, 9]
    assert parameters == (ana.pk,)
