"""Standings are what progress says: of one learner now, of a class as of its refresh; null where there is none."""

from typing import Any, Final

import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.progress import ALL_LEVELS
from completion_aggregator.models import AggregatedCourse, CourseProgress, StaleCompletion
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
    sequential,
    small,
    vertical,
    wipe,
)
from tests.fakes.platform import FakePlatform

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asynchronous")]

OTHER: Final = CourseKey.from_string("course-v1:Test+Other+1")
LEAVES: Final = {"a": "html", "b": "html", "c": "html", "d": "problem", "e": "html", "f": "html", "x": "discussion"}
SHARED: Final = vertical("v2", html("c"), problem("d", optional=True), node("discussion", "x"))
#: Later content of the course: leaves go and come, a unit is under two parents, another is for staff.
EDITED: Final = (
    chapter("c1", sequential("s1", vertical("v1", html("a")), SHARED)),
    chapter("c2", sequential("s2", SHARED, vertical("v4", html("g"), html("e"), staff_only=True))),
)

works = st.dictionaries(st.sampled_from(sorted(LEAVES)), st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]), max_size=7)
#: What happens to a learner: some work, a refresh or none, some more work, a mark of everything.
lives = st.tuples(works, st.booleans(), works, st.booleans())


@pytest.fixture
def asynchronous(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


def clean(platform: FakePlatform) -> None:
    """Start an example of hypothesis anew."""
    get_user_model()._default_manager.all().delete()
    wipe()  # last: completions that go leave stale rows
    for each in (platform.graphs, platform.enrolled, platform.staff):
        each.clear()
    small(platform)
    platform.publish(course(*SMALL, key=OTHER))


def work(user: Any, values: dict[str, float], key: CourseKey = KEY) -> None:
    for name, value in values.items():
        complete(user, name, value, kind=LEAVES[name], key=key)


def live(platform: FakePlatform, stories: list[Any]) -> list[Any]:
    """Let learners live: those who are refreshed are so together, in the middle."""
    users = [learner(platform, f"learner{nth}") for nth in range(len(stories))]
    for user, (before, _, _, _) in zip(users, stories, strict=True):
        work(user, before)
    for user, (_, refreshed, _, _) in zip(users, stories, strict=True):
        if refreshed:
            api.refresh_learner(user.username, KEY)
    for user, (_, _, after, marked) in zip(users, stories, strict=True):
        work(user, after)
        if marked:
            api.mark_stale(user.username, KEY)
    return users


def as_progress(standing: api.Standing | None) -> dict[str, tuple[float, ...]] | None:
    """Return the numbers of a standing by block."""
    if standing is None:
        return None
    return dict(zip(standing.blocks.keys, map(tuple, standing.sums.tolist()), strict=True))


def of_progress(progress: api.LearnerProgress) -> dict[str, tuple[float, ...]]:
    return {
        block.block_key: (
            block.earned, block.possible, block.percent,
            block.optional_earned, block.optional_possible, block.optional_percent,
        )
        for block in progress.blocks
    }  # fmt: skip


def hypothetical(examples: int) -> Any:
    return settings(max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@hypothetical(40)
@given(st.lists(lives, min_size=1, max_size=4), st.booleans())
@example(
    [({}, False, {}, False), ({}, False, {}, True), ({}, True, {}, False), ({"a": 1.0}, True, {"a": 0.0}, False)], False
)
def test_the_standing_of_a_learner_is_her_progress_or_null(
    platform: FakePlatform, stories: list[Any], edited: bool
) -> None:
    clean(platform)
    users = live(platform, stories)
    if edited:
        platform.publish(course(*EDITED))
    for user, (before, _, after, marked) in zip(users, stories, strict=True):
        found = api.standings_of_learner(user.pk, [KEY, OTHER])
        assert list(found) == [KEY, OTHER]
        # Who never completed anything, was never refreshed with something, and does not wait, has nothing.
        touched = bool(before or after or marked)
        right = of_progress(api.progress_of(user.pk, KEY, levels=ALL_LEVELS)) if touched else None
        assert as_progress(found[KEY]) == right
        assert found[OTHER] is None
        assert api.standings_of_learner(user.pk, [KEY], username=user.username).keys() == {KEY}


@hypothetical(40)
@given(st.lists(lives, min_size=1, max_size=5), st.booleans(), st.sets(st.integers(0, 4)))
def test_the_standings_of_a_class_are_its_progress_once_it_is_refreshed(
    platform: FakePlatform, stories: list[Any], edited: bool, staff: set[int]
) -> None:
    clean(platform)
    users = live(platform, stories)
    platform.staff |= {users[nth].pk for nth in staff if nth < len(users)}
    if edited:
        platform.publish(course(*EDITED))
        api.mark_content_changed(KEY)
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)

    found = api.standings_of_class(KEY, [user.pk for user in users])

    progress = {each.user_id: of_progress(each) for each in api.progress_of_course(KEY, levels=ALL_LEVELS)}
    begun = {user.pk for user, (before, _, after, _) in zip(users, stories, strict=True) if before or after}
    assert list(found) == [user.pk for user in users]
    assert {pk: as_progress(each) for pk, each in found.items()} == {
        pk: right if pk in begun else None for pk, right in progress.items()
    }


@hypothetical(40)
@given(st.lists(lives, min_size=1, max_size=5))
def test_before_a_refresh_a_class_stands_where_it_was_then_and_new_learners_where_they_are(
    platform: FakePlatform, stories: list[Any]
) -> None:
    clean(platform)
    users = live(platform, stories)
    found = {pk: as_progress(each) for pk, each in api.standings_of_class(KEY, [user.pk for user in users]).items()}
    for user, (before, refreshed, after, _) in zip(users, stories, strict=True):
        if refreshed and not before:
            # A refresh needs something that waits: the learner is as new as the others.
            right = of_progress(api.progress_of(user.pk, KEY, levels=ALL_LEVELS)) if after else None
        elif refreshed:
            twin = learner(platform, f"{user.username}-then")
            work(twin, before)
            right = of_progress(api.progress_of(twin.pk, KEY, levels=ALL_LEVELS))
        else:
            right = of_progress(api.progress_of(user.pk, KEY, levels=ALL_LEVELS)) if before or after else None
        assert found[user.pk] == right


def test_nothing_is_known_of_who_never_completed_anything_and_does_not_wait(platform: FakePlatform) -> None:
    small(platform)
    ana, bob, cleo, dora = (learner(platform, name) for name in ("ana", "bob", "cleo", "dora"))
    complete(bob, "x", kind="discussion")  # counts for nothing, but it is something
    api.mark_stale("cleo", KEY)
    api.mark_course_stale(KEY, user_ids=[dora.pk], force=True)
    zero = (0.0, 5.0, 0.0)

    def own() -> list[Any]:
        found = [api.standings_of_learner(user.pk, [KEY])[KEY] for user in (ana, bob, cleo, dora)]
        return [None if each is None else tuple(each.sums[0, :3].tolist()) for each in found]

    assert own() == [None, zero, zero, zero]
    api.refresh_course(KEY)
    # Cleo's refresh found nothing and was not forced.
    assert own() == [None, zero, None, zero]
    found = api.standings_of_class(KEY, [user.pk for user in (ana, bob, cleo, dora)])
    assert [None if each is None else tuple(each.sums[0, :3].tolist()) for each in found.values()] == own()


def test_reading_writes_nothing(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    before = (list(StaleCompletion.objects.values()), CourseProgress.objects.count(), AggregatedCourse.objects.count())
    api.standings_of_learner(ana.pk, [KEY])
    api.standings_of_class(KEY, [ana.pk])
    after = (list(StaleCompletion.objects.values()), CourseProgress.objects.count(), AggregatedCourse.objects.count())
    assert (after, after[1:]) == (before, (0, 0))


def test_the_row_of_another_learner_or_course_is_nobody_elses(platform: FakePlatform) -> None:
    small(platform)
    platform.publish(course(*SMALL, key=OTHER))
    ana, bob = learner(platform, "ana"), learner(platform, "bob")
    complete(ana, "a", key=OTHER)
    complete(bob, "b")
    assert api.standings_of_learner(ana.pk, [KEY])[KEY] is None
    assert api.standings_of_class(KEY, [ana.pk])[ana.pk] is None
    api.refresh_course(OTHER)
    assert api.standings_of_learner(ana.pk, [KEY, OTHER])[KEY] is None
    assert api.standings_of_class(KEY, [ana.pk])[ana.pk] is None
    assert api.standings_of_class(KEY, []) == {}
    assert api.standings_of_learner(ana.pk, []) == {}
