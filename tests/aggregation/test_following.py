"""One more completion costs what is above it; where that would not be exact, all is worked out."""

import gc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from completion.models import BlockCompletion
from django.utils import timezone

from completion_aggregator.aggregation import api, batch, following
from completion_aggregator.course_graph import vector
from completion_aggregator.models import Aggregator, CourseProgress, Crossing
from tests.aggregation.builders import (
    KEY,
    SMALL,
    chapter,
    complete,
    course,
    everything,
    from_scratch,
    html,
    imported,
    learner,
    node,
    small,
    tallies,
    usage,
    vertical,
)
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return whom all was read and worked out of, as it happens."""
    found: list[int] = []
    gather = batch.gather

    def counting(batch_course: Any, states: Any, *rest: Any) -> Any:
        found.extend(states)
        return gather(batch_course, states, *rest)

    monkeypatch.setattr("completion_aggregator.aggregation.refresh.gather", counting)
    return found


def begun(platform: FakePlatform, *values: float) -> Any:
    """Return a learner who has completed some, and was refreshed."""
    ana = learner(platform, "ana")
    for name, value in zip("abc", values, strict=False):
        complete(ana, name, value)
    api.mark_stale("ana", KEY)
    api.refresh_course(KEY)
    return ana


def test_nothing_but_what_is_above_a_change_is_worked_out(platform: FakePlatform, gathered: list[int]) -> None:
    small(platform)
    ana = begun(platform, 1.0, 0.5, 0.0)
    gathered.clear()

    for name, value in (("e", 1.0), ("c", 1.0), ("b", 0.75), ("d", 1.0), ("f", 0.0), ("a", 0.25), ("gone", 1.0)):
        complete(ana, name, value, kind="problem" if name == "d" else "html")
    assert api.refresh_course(KEY).learners == 1
    complete(ana, "e", 0.5)
    assert api.refresh_course(KEY).written == 4

    assert gathered == []
    assert CourseProgress.objects.get().unnumbered
    assert tallies(ana)["course"] == (2.5, 5.0)
    assert everything() == from_scratch(KEY)


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("before", [None, 0.0, 0.5, 1.0])
def test_a_step_ends_in_the_rows_of_a_run_from_scratch(
    platform: FakePlatform, gathered: list[int], before: float | None, value: float
) -> None:
    small(platform)
    ana = begun(platform, *(() if before is None else (before,)), *((1.0, 0.5) if before is not None else ()))
    gathered.clear()

    complete(ana, "a", value)
    api.refresh_course(KEY)

    assert gathered == []
    assert everything() == from_scratch(KEY)


def _third(ana: Any) -> None:
    complete(ana, "e", 1 / 3)


def _deleted(ana: Any) -> None:
    BlockCompletion.objects.get(block_key=usage("html", "a")).delete()


def _older(ana: Any) -> None:
    imported(ana, {"a": (0.5, timezone.now() - timedelta(days=9))})


def _older_and_no_leaf(ana: Any) -> None:
    imported(ana, {"gone": (1.0, timezone.now() - timedelta(days=9))})


def _gone_and_no_leaf(ana: Any) -> None:
    complete(ana, "gone")
    api.refresh_course(KEY)
    BlockCompletion.objects.get(block_key=usage("html", "gone")).delete()


def _damaged(ana: Any) -> None:
    CourseProgress.objects.update(vector=b"no vector")
    complete(ana, "e")


def _nonsense(ana: Any) -> None:
    complete(ana, "e")
    BlockCompletion.objects.filter(block_key=usage("html", "e")).update(completion=7.0)


def _forced(ana: Any) -> None:
    complete(ana, "e")
    api.mark_stale("ana", KEY, force=True)


@pytest.mark.parametrize(
    "change", [_third, _deleted, _older, _older_and_no_leaf, _gone_and_no_leaf, _damaged, _nonsense, _forced]
)
def test_what_cannot_be_followed_exactly_is_worked_out_whole(
    platform: FakePlatform, gathered: list[int], change: Callable[[Any], None]
) -> None:
    small(platform)
    ana = begun(platform, 1.0, 1.0)
    gathered.clear()

    change(ana)
    api.refresh_course(KEY)

    assert gathered == [ana.pk]
    assert everything() == from_scratch(KEY)


def test_after_a_third_everything_is_added_up_as_ever(platform: FakePlatform, gathered: list[int]) -> None:
    small(platform)
    ana = begun(platform, 1 / 3, 0.1)
    gathered.clear()
    complete(ana, "c", 0.7)
    api.refresh_course(KEY)
    assert gathered == [ana.pk]
    assert everything() == from_scratch(KEY)


def test_item_banks_are_left_to_those_who_draw(platform: FakePlatform, gathered: list[int]) -> None:
    bank = node("library_content", "bank", html("p1"), html("p2"), bank_size=1)
    platform.publish(course(chapter("c1", vertical("v1", html("a"), bank))))
    ana = begun(platform, 1.0)
    gathered.clear()
    complete(ana, "p2")
    api.refresh_course(KEY)
    assert gathered == [ana.pk]
    assert everything() == from_scratch(KEY)


def test_who_sees_another_tree_is_worked_out_whole(platform: FakePlatform, gathered: list[int]) -> None:
    small(platform)
    ana = begun(platform, 1.0)
    platform.publish(course(*SMALL, chapter("c3", vertical("v9", html("s")))))
    gathered.clear()
    complete(ana, "s")
    api.refresh_course(KEY)
    assert gathered == [ana.pk]
    assert everything() == from_scratch(KEY)


def test_a_vector_of_more_leaves_than_are_known_is_left_alone(platform: FakePlatform, gathered: list[int]) -> None:
    small(platform)
    ana = begun(platform, 1.0)
    (wide,) = vector.pack(np.ones((1, 100)))
    CourseProgress.objects.update(vector=wide, leaf_count=100)
    gathered.clear()
    complete(ana, "e")

    assert api.refresh_course(KEY).failed == 0

    assert gathered == [ana.pk]


def test_others_of_the_batch_are_followed_all_the_same(platform: FakePlatform, gathered: list[int]) -> None:
    small(platform)
    ana, ben = begun(platform, 1.0), learner(platform, "ben")
    complete(ben, "a")
    api.refresh_course(KEY)
    gathered.clear()
    complete(ana, "e", 1 / 3)
    complete(ben, "e", 1.0)

    done = api.refresh_course(KEY)

    assert (done.learners, done.resolved, gathered) == (2, 2, [ana.pk])
    assert everything() == from_scratch(KEY)


def test_a_threshold_that_is_new_is_found_reached_by_whoever_is_followed(
    platform: FakePlatform, gathered: list[int], settings: Any
) -> None:
    small(platform)
    ana = begun(platform, 1.0, 1.0, 1.0)
    gathered.clear()
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"course": [0.4], "vertical": [0.5, 1.0]}
    complete(ana, "e")
    api.refresh_course(KEY)

    assert gathered == []
    reached = {(row.block_key, row.threshold): row.percent for row in Crossing.objects.all()}
    above = Aggregator.objects.filter(aggregation_name__in=("course", "vertical"), possible__gt=0)
    assert reached == {
        (row.block_key, threshold): row.percent
        for row in above
        for threshold in settings.COMPLETION_AGGREGATOR_THRESHOLDS[row.aggregation_name]
        if row.percent >= threshold
    }
    assert len(reached) > 2


def test_thresholds_are_reached_and_left_as_the_tallies_of_whoever_is_followed(
    platform: FakePlatform, gathered: list[int], settings: Any
) -> None:
    levels = ("course", "chapter", "vertical")
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {level: [0.25, 0.5, 1.0] for level in levels}
    leaves = [html(f"l{n}", optional=n % 7 == 0) for n in range(40)]
    platform.publish(course(*(chapter(f"c{n}", vertical(f"v{n}", *leaves[n::5])) for n in range(5))))
    chance, users = np.random.default_rng(7), [learner(platform, f"learner{n}") for n in range(6)]
    expected: dict[tuple[int, Any, float], tuple[int, bool]] = {}
    for turn in range(6):
        gathered.clear()
        for user in users:
            for number in chance.choice(40, 12, replace=False):
                complete(user, f"l{number}", float(chance.choice([0.0, 0.5, 1.0, 1.0])))
        api.refresh_course(KEY)
        assert bool(gathered) is (turn == 0)
        for row in Aggregator.objects.filter(possible__gt=0):
            for threshold in (0.25, 0.5, 1.0):
                place = (row.user_id, row.block_key, threshold)
                number, above = expected.get(place, (0, False))
                if row.percent >= threshold:
                    expected[place] = (number if above else number + 1, True)
                elif number:
                    expected[place] = (number, False)

    newest = {
        (row.user_id, row.block_key, row.threshold): (row.number, row.left_at is None)
        for row in Crossing.objects.order_by("number")
    }
    assert newest == expected
    assert {number for number, _ in expected.values()} >= {1, 2}


def test_many_learners_of_a_long_course(platform: FakePlatform, gathered: list[int]) -> None:
    leaves = [html(f"l{n}", optional=n % 7 == 0) for n in range(300)]
    platform.publish(course(*(chapter(f"c{n}", vertical(f"v{n}", *leaves[n::10])) for n in range(10))))
    chance = np.random.default_rng(7)
    users = [learner(platform, f"learner{n}") for n in range(20)]
    for user in users:
        for number in chance.choice(300, 30, replace=False):
            complete(user, f"l{number}", float(chance.choice([0.0, 0.25, 1.0, 1.0])))
    api.refresh_course(KEY)
    for user in users:
        for number in chance.choice(300, 5, replace=False):
            complete(user, f"l{number}", float(chance.choice([0.0, 0.5, 1.0, 1.0])))
    gathered.clear()
    api.refresh_course(KEY)
    assert gathered == []
    assert everything() == from_scratch(KEY)


def test_what_is_kept_of_a_tree_goes_with_it(platform: FakePlatform) -> None:
    gc.collect()
    before = len(following._coverages)
    small(platform)
    ana = begun(platform, 1.0)
    complete(ana, "b")
    api.refresh_course(KEY)
    assert len(following._coverages) == before + 1

    platform.graphs.clear()
    api.forget()
    gc.collect()

    assert len(following._coverages) == before
