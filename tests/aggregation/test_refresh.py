"""Whatever happened since the last refresh, the next one ends in the rows of a run from scratch."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.course_graph.graph import Partition
from completion_aggregator.models import Aggregator, CourseProgress
from tests.aggregation.builders import (
    KEY,
    SMALL,
    SMALL_ROWS,
    Node,
    chapter,
    complete,
    course,
    everything,
    from_scratch,
    html,
    imported,
    learner,
    moment,
    node,
    problem,
    rows,
    sequential,
    small,
    tallies,
    usage,
    vertical,
    waiting,
)
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def asynchronous(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


@pytest.fixture
def ana(platform: FakePlatform) -> Any:
    """A learner who has completed a, c and half of e, all refreshed; and another, who has done nothing."""
    small(platform)
    ana = learner(platform, "ana")
    learner(platform, "ben")
    imported(ana, {"a": (1.0, moment(10)), "c": (1.0, moment(20)), "e": (0.5, moment(30))})
    imported(ana, {"d": (1.0, moment(15))}, kind="problem")
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)
    return ana


def publish(platform: FakePlatform, *chapters: Node, **fields: Any) -> None:
    """Publish new content as a platform does: everybody is marked."""
    platform.publish(course(*chapters, **fields))
    api.mark_course_stale(KEY)


def delete(user: Any, name: str) -> None:
    BlockCompletion.objects.get(user=user, block_key=usage("html", name)).delete()


def saved_again(user: Any, name: str) -> None:
    BlockCompletion.objects.get(user=user, block_key=usage("html", name)).save()


def completed_and_deleted(user: Any) -> None:
    complete(user, "b")
    delete(user, "b")


def unknown_block_moved_back(user: Any) -> None:
    imported(user, {"zero": (1.0, moment(50))})
    api.refresh_course(KEY)
    imported(user, {"zero": (1.0, moment(3))})


def marked_after_a_time_moved(user: Any) -> None:
    imported(user, {"a": (1.0, moment(12))})
    api.mark_stale(user.username, KEY)


CHANGES: dict[str, Callable[[Any], None]] = {
    "a_new_completion": lambda ana: complete(ana, "b"),
    "a_new_optional_completion": lambda ana: complete(ana, "d", 0.5, kind="problem"),
    "a_value_that_rises": lambda ana: complete(ana, "e", 0.75),
    "a_value_that_falls": lambda ana: complete(ana, "c", 0.25),
    "a_value_that_falls_to_nothing": lambda ana: complete(ana, "c", 0.0),
    "an_explicit_nothing": lambda ana: complete(ana, "b", 0.0),
    "a_third": lambda ana: complete(ana, "b", 1 / 3),
    "a_deleted_completion": lambda ana: delete(ana, "c"),
    "the_newest_deleted": lambda ana: delete(ana, "e"),
    "a_cleared_course": lambda ana: BlockCompletion.objects.clear_learning_context_completion(ana, KEY),
    "an_unknown_block": lambda ana: complete(ana, "nowhere"),
    "an_excluded_block": lambda ana: complete(ana, "x", kind="discussion"),
    "an_aggregator": lambda ana: complete(ana, "v1", kind="vertical"),
    "saved_again_unchanged": lambda ana: saved_again(ana, "a"),
    "completed_and_deleted": completed_and_deleted,
    "an_older_new_completion": lambda ana: imported(ana, {"b": (1.0, moment(5))}),
    "an_older_change": lambda ana: imported(ana, {"c": (0.5, moment(5))}),
    "the_newest_moved_back": lambda ana: imported(ana, {"e": (0.5, moment(1))}),
    "a_change_at_the_newest_moment": lambda ana: imported(ana, {"c": (0.5, moment(30))}),
    "only_a_time_that_moved": lambda ana: imported(ana, {"a": (1.0, moment(25))}),
    "only_a_time_that_moved_to_the_newest": lambda ana: imported(ana, {"a": (1.0, moment(30))}),
    "an_unknown_block_moved_back": unknown_block_moved_back,
    "two_times_that_moved_at_once": lambda ana: imported(ana, {"e": (0.5, moment(50)), "a": (1.0, moment(40))}),
    "two_times_that_moved_the_other_way_round": lambda ana: imported(
        ana, {"a": (1.0, moment(50)), "e": (0.5, moment(40))}
    ),
    "many_times_that_moved": lambda ana: imported(
        ana, {"a": (1.0, moment(11)), **{f"unknown{n}": (1.0, moment(1)) for n in range(20)}}
    ),
    "everything_marked_after_a_time_moved": marked_after_a_time_moved,
    "marked_without_any_change": lambda ana: api.mark_stale("ana", KEY),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_refresh_ends_in_the_rows_of_a_run_from_scratch(ana: Any, change: str) -> None:
    CHANGES[change](ana)
    summary = api.refresh_course(KEY)

    assert (summary.learners, summary.failed, waiting().count()) == (1, 0, 0)
    assert everything() == from_scratch()


def test_the_numbers_are_those_of_the_definition(ana: Any) -> None:
    assert tallies(ana) == {
        "course": (2.5, 5.0), "c1": (2.0, 3.0), "s1": (2.0, 3.0), "v1": (1.0, 2.0), "v2": (1.0, 1.0),
        "c2": (0.5, 2.0), "s2": (0.5, 2.0), "v3": (0.5, 2.0),
    }  # fmt: skip
    found = rows("user_id", "block_key", "percent", "optional_earned", "optional_possible", "last_modified")
    mine = {key.block_id: tuple(rest) for user, key, *rest in found if user == ana.pk}
    assert mine["v2"] == (1.0, 1.0, 1.0, moment(20))
    assert mine["c1"] == (2 / 3, 1.0, 1.0, moment(20))
    assert mine["v3"] == (0.25, 0.0, 0.0, moment(30))
    others = {tuple(rest) for user, _, *rest in found if user != ana.pk}
    assert {last for *_, last in others} == {datetime(1900, 1, 1, tzinfo=UTC)}
    state = CourseProgress.objects.get(user=ana)
    assert (state.earned, state.possible, state.percent) == (2.5, 5.0, 0.5)
    assert (state.optional_earned, state.optional_possible) == (1.0, 1.0)
    assert (state.last_modified, state.last_activity) == (moment(30), moment(30))


PUBLICATIONS: dict[str, tuple[Node, ...]] = {
    "a_block_more": (*SMALL, chapter("c3", sequential("s3", vertical("v4", html("g"), html("h"))))),
    "a_chapter_less": SMALL[:1],
    "a_block_moved": (
        chapter("c1", sequential("s1", vertical("v1", html("a"), html("b")))),
        chapter("c2", sequential("s2", vertical("v3", html("e"), html("f"), html("c")))),
    ),
    "a_block_with_two_parents": (
        *SMALL,
        chapter("c3", sequential("s3", vertical("v4", html("a"), vertical("v1", html("a"), html("b"))))),
    ),
    "another_title": SMALL,
    "a_block_that_is_optional_now": (
        chapter("c1", sequential("s1", vertical("v1", html("a", optional=True), html("b")))),
        SMALL[1],
    ),
    "a_vertical_that_is_hidden_now": (
        chapter("c1", sequential("s1", vertical("v1", html("a"), staff_only=True), vertical("v2", html("c")))),
        SMALL[1],
    ),
    "blocks_of_another_type": (chapter("c1", node("sequential", "v1", html("a"), html("b"))), SMALL[1]),
    "nothing_left": (),
}


@pytest.mark.parametrize("content", PUBLICATIONS)
def test_a_publication_ends_in_the_rows_of_a_run_from_scratch(platform: FakePlatform, ana: Any, content: str) -> None:
    publish(platform, *PUBLICATIONS[content], title="New")
    assert api.refresh_course(KEY).learners == 2
    assert everything() == from_scratch()

    # And from there the next completion, and back.
    complete(ana, "b")
    api.refresh_course(KEY)
    assert everything() == from_scratch()
    publish(platform, *SMALL)
    api.refresh_course(KEY)
    assert everything() == from_scratch()


def test_a_completion_that_comes_before_the_marks_of_a_publication_is_counted_in_the_new_tree(
    platform: FakePlatform, ana: Any
) -> None:
    platform.publish(course(*PUBLICATIONS["a_block_moved"]))
    complete(ana, "b")
    api.refresh_course(KEY)
    before = {row for row in rows() if row[0] == ana.pk}

    assert before == {row for row in from_scratch()[0] if row[0] == ana.pk}


def test_rows_of_removed_and_hidden_blocks_go(platform: FakePlatform, ana: Any) -> None:
    publish(platform, *PUBLICATIONS["a_vertical_that_is_hidden_now"])
    assert api.refresh_course(KEY).removed == 2  # one learner and another
    assert set(tallies(ana)) == {"course", "c1", "s1", "v2", "c2", "s2", "v3"}
    publish(platform, *SMALL[:1])
    assert api.refresh_course(KEY).removed == 6
    assert set(tallies(ana)) == {"course", "c1", "s1", "v1", "v2"}


def test_a_completed_block_that_becomes_a_leaf_by_a_later_publication_is_counted(
    platform: FakePlatform, ana: Any
) -> None:
    imported(ana, {"late": (1.0, moment(2))})
    api.refresh_course(KEY)
    assert CourseProgress.objects.get(user=ana).unnumbered
    assert tallies(ana)["course"] == (2.5, 5.0)

    publish(platform, *SMALL, chapter("c3", sequential("s3", vertical("v4", html("late")))))
    api.refresh_course(KEY)

    assert tallies(ana)["v4"] == (1.0, 1.0)
    assert not CourseProgress.objects.get(user=ana).unnumbered
    assert everything() == from_scratch()


def test_such_a_block_is_counted_also_when_another_completion_comes_before_the_marks(
    platform: FakePlatform, ana: Any
) -> None:
    imported(ana, {"late": (1.0, moment(2))})
    api.refresh_course(KEY)
    platform.publish(course(*SMALL, chapter("c3", sequential("s3", vertical("v4", html("late"))))))
    complete(ana, "f")
    api.refresh_course(KEY)

    assert tallies(ana)["v4"] == (1.0, 1.0)


GROUPED = (
    chapter(
        "c1",
        sequential(
            "s1",
            vertical("v1", html("a"), group_access={7: frozenset({1})}),
            vertical("v2", html("b"), html("c"), staff_only=True),
            vertical("v3", html("e")),
        ),
    ),
)
PARTITION = Partition(id=7, scheme="cohort", groups=frozenset({1, 2}))


def test_groups_and_staff_decide_what_counts(platform: FakePlatform) -> None:
    platform.publish(course(*GROUPED, partitions=[PARTITION]))
    ana = learner(platform, "ana")
    for name in ("a", "b", "e"):
        complete(ana, name)
    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (1.0, 1.0)

    for group, staff, expected in ((1, False, (2.0, 2.0)), (2, True, (3.0, 4.0)), (None, False, (1.0, 1.0))):
        platform.groups[ana.pk] = {7: group}
        platform.staff = {ana.pk} if staff else set()
        api.mark_course_stale(KEY, user_ids=[ana.pk])
        api.refresh_course(KEY)
        assert tallies(ana)["course"] == expected
        assert everything() == from_scratch()
    assert set(tallies(ana)) == {"course", "c1", "s1", "v3"}


def test_what_is_released_by_its_date_counts_from_then_on(platform: FakePlatform, monkeypatch: Any) -> None:
    now = timezone.now()
    later = vertical("v2", html("b"), start=now + timedelta(days=1))
    platform.publish(course(chapter("c1", sequential("s1", vertical("v1", html("a")), later))))
    ana = learner(platform, "ana")
    for name in ("a", "b"):
        complete(ana, name)
    call_command("run_aggregator_service")
    assert tallies(ana)["course"] == (1.0, 1.0)
    assert CourseProgress.objects.get().valid_until == now + timedelta(days=1)

    call_command("run_aggregator_service")
    assert tallies(ana)["course"] == (1.0, 1.0)
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(days=1, seconds=1))
    call_command("run_aggregator_service")

    assert tallies(ana)["course"] == (2.0, 2.0)
    assert CourseProgress.objects.get().valid_until is None
    assert everything() == from_scratch()


BANK = (
    chapter("c1", sequential("s1", vertical("v1", node("library_content", "bank", *map(html, "pqr"), bank_size=1)))),
)


@pytest.mark.parametrize("drawn", [(), ("q",), ("q", "r")])
def test_item_banks_are_exact_whatever_the_order_of_completions(platform: FakePlatform, drawn: tuple[str, ...]) -> None:
    platform.publish(course(*BANK, chapter("c2", sequential("s2", vertical("v2", html("a"))))))
    ana = learner(platform, "ana")
    if drawn:
        platform.draws[ana.pk] = {str(usage("library_content", "bank")): tuple(str(usage("html", n)) for n in drawn)}
    for name, value, at in (
        ("q", 1.0, 10), ("p", 1.0, 5), ("r", 0.5, 20), ("p", 0.0, 30), ("q", 0.0, 40), ("a", 1.0, 35), ("r", 0.0, 50),
        ("q", 0.25, 45),
    ):  # fmt: skip
        imported(ana, {name: (value, moment(at))})
        api.refresh_course(KEY)
        before = everything()
        assert before == from_scratch(), (name, value)


def test_a_damaged_vector_is_rebuilt_and_counted(ana: Any) -> None:
    for damage in (b"", b"\x01\x02", bytes(CourseProgress.objects.get(user=ana).vector)[:-1] + b"\xff"):
        before = everything()
        CourseProgress.objects.filter(user=ana).update(vector=damage)
        saved_again(ana, "e")
        complete(ana, "b", 0.5)
        summary = api.refresh_course(KEY)
        assert summary.rebuilt == 1
        after = everything()
        assert after != before
        assert after == from_scratch()
        delete(ana, "b")
        api.refresh_course(KEY)


def test_completions_out_of_range_are_cut_to_it_and_counted(ana: Any) -> None:
    imported(ana, {"b": (1.5, moment(40)), "e": (-0.5, moment(41))})
    summary = api.refresh_course(KEY)

    assert (summary.learners, summary.mended) == (1, 2)
    assert tallies(ana)["course"] == (3.0, 5.0)
    assert everything() == from_scratch()


def test_rows_of_a_deleted_user_are_resolved_and_counted_as_unknown(ana: Any) -> None:
    complete(ana, "b")
    api.mark_stale("nobody", KEY)
    ana.delete()
    waited = waiting().count()

    summary = api.refresh_course(KEY)

    assert (summary.learners, summary.unknown_users, waiting().count()) == (0, waited, 0)
    assert not Aggregator.objects.filter(user_id=ana.pk).exists()


def test_an_unknown_course_waits_longer_each_time_in_sight_and_holds_nobody_up(platform: FakePlatform) -> None:
    unknown = CourseKey.from_string("course-v1:No+Such+Course")
    small(platform)
    ana = learner(platform, "ana")
    api.mark_stale("ana", unknown)
    complete(ana, "a")

    call_command("run_aggregator_service")

    assert tallies(ana)["course"] == (1.0, 5.0)
    (seen,) = api.status().courses
    assert (seen.course_key, seen.waiting, seen.error) == (unknown, 1, f"There is no course {unknown}.")
    assert api.pending_courses() == []
    pauses = []
    for _ in range(3):
        api.take_back()
        assert api.pending_courses() == [unknown]
        call_command("run_aggregator_service")
        (seen,) = api.status().courses
        assert seen.retry_at is not None
        pauses.append(round((seen.retry_at - timezone.now()).total_seconds(), -1))
    assert pauses == [60, 120, 240]

    api.take_back()
    platform.publish(course(*SMALL, key=unknown))
    call_command("run_aggregator_service")
    assert (waiting().count(), api.status().courses) == (0, ())


def test_keys_of_old_courses_are_stored_without_their_run(platform: FakePlatform) -> None:
    old = CourseKey.from_string("Org/Old/2012")
    platform.publish(course(*SMALL, key=old))
    ana = learner(platform, "ana", old)
    complete(ana, "a", key=old)
    api.refresh_course(old)
    complete(ana, "c", 0.5, key=old)
    api.refresh_course(old)

    assert str(usage("html", "a", old)) == "i4x://Org/Old/html/a"
    assert tallies(ana)["course"] == (1.5, 5.0)
    assert everything() == from_scratch(old)


def test_when_nothing_changed_nothing_is_written(platform: FakePlatform, ana: Any) -> None:
    before = rows("id", "modified")
    for force in (False, True):
        api.mark_course_stale(KEY, force=force)
        assert api.refresh_course(KEY).written == 0
    publish(platform, *SMALL, title="The same tree")
    assert api.refresh_course(KEY).written == 0
    api.mark_stale("ana", KEY, usage("html", "a"))
    api.mark_stale("ana", KEY, usage("html", "e"))
    assert api.refresh_course(KEY).written == 0
    complete(ana, "x", kind="discussion")
    assert api.refresh_course(KEY).written == 0

    assert rows("id", "modified") == before


def test_only_the_rows_above_a_change_are_written(ana: Any) -> None:
    before = dict(Aggregator.objects.values_list("id", "modified"))
    created = dict(Aggregator.objects.values_list("id", "created"))
    complete(ana, "b")
    summary = api.refresh_course(KEY)

    written = Aggregator.objects.filter(modified__gt=max(before.values()))
    assert {row.block_key.block_id for row in written} == {"v1", "s1", "c1", "course"}
    assert {row.user_id for row in written} == {ana.pk}
    assert summary.written == 4
    assert dict(Aggregator.objects.values_list("id", "created")) == created


def test_a_forced_refresh_mends_rows_that_somebody_else_changed(ana: Any) -> None:
    right = rows()
    Aggregator.objects.filter(aggregation_name="vertical").delete()
    Aggregator.objects.filter(aggregation_name="chapter").update(earned=7.0)
    extra = Aggregator.objects.filter(aggregation_name="sequential", user=ana).first()
    assert extra is not None
    Aggregator.objects.create(
        user=ana, course_key=KEY, aggregation_name="unit", block_key=extra.block_key, earned=0.0, possible=0.0,
        percent=1.0, last_modified=moment(0),
    )  # fmt: skip
    api.mark_course_stale(KEY, force=True)
    summary = api.refresh_course(KEY)

    assert (summary.written, summary.removed) == (10, 1)
    assert rows() == right


def test_with_fewer_levels_a_forced_refresh_removes_the_others(ana: Any, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_PROJECTED_BLOCK_TYPES = ["course", "chapter"]
    api.mark_course_stale(KEY, force=True)
    summary = api.refresh_course(KEY)
    assert (summary.written, summary.removed) == (0, 2 * (SMALL_ROWS - 3))
    assert set(tallies(ana)) == {"course", "c1", "c2"}

    complete(ana, "b")
    assert api.refresh_course(KEY).written == 2
    assert everything() == from_scratch()

    settings.COMPLETION_AGGREGATOR_PROJECTED_BLOCK_TYPES = None
    api.mark_course_stale(KEY, force=True)
    assert api.refresh_course(KEY).written == 2 * (SMALL_ROWS - 3)
    assert everything() == from_scratch()


def test_without_any_level_the_answers_are_the_same(ana: Any, settings: Any) -> None:
    answered = list(api.progress_of_course(KEY))
    settings.COMPLETION_AGGREGATOR_PROJECTED_BLOCK_TYPES = []
    api.mark_course_stale(KEY, force=True)
    api.refresh_course(KEY)
    assert Aggregator.objects.count() == 0
    assert list(api.progress_of_course(KEY)) == answered

    complete(ana, "b")
    api.refresh_course(KEY)
    assert CourseProgress.objects.get(user=ana).earned == 3.5
    assert everything() == from_scratch()


def test_a_username_is_found_however_a_stale_row_spells_it(platform: FakePlatform, vendor: str) -> None:
    small(platform)
    ana = learner(platform, "Ana")
    complete(ana, "a")
    waiting().update(username="ANA", user_id=None)
    summary = api.refresh_course(KEY)

    # Only MariaDB and MySQL take the two for one name.
    assert (summary.learners, summary.unknown_users) == ((1, 0) if vendor == "mysql" else (0, 1))


def test_rows_of_a_name_that_nobody_has_take_no_other_name_along(platform: FakePlatform, ana: Any) -> None:
    jose = learner(platform, "josé")
    complete(jose, "a")
    api.mark_stale("jose", KEY)  # renamed since; MariaDB takes the two for one

    summary = api.refresh_course(KEY)

    assert (summary.learners, summary.failed) == (1, 0)
    assert tallies(jose)["course"] == (1.0, 5.0)


def test_a_large_batch_is_what_many_small_ones_are(platform: FakePlatform) -> None:
    small(platform)
    users = [learner(platform, f"l{n:02}") for n in range(12)]
    for n, user in enumerate(users):
        for name in "abcef"[: n % 6]:
            complete(user, name, (n % 4 + 1) / 4)
    api.refresh_course(KEY, batch_size=5)
    for user in users[::2]:
        complete(user, "f", 0.125)
    api.refresh_course(KEY, batch_size=1)
    assert api.refresh_course(KEY).learners == 0
    assert {user for user, *_ in rows()} == {user.pk for n, user in enumerate(users) if n % 6 or n % 2 == 0}

    api.mark_course_stale(KEY)
    api.refresh_course(KEY, batch_size=7)
    assert everything() == from_scratch()


def test_two_courses_do_not_meet(platform: FakePlatform) -> None:
    other = CourseKey.from_string("course-v1:Test+Other+1")
    small(platform)
    platform.publish(course(*SMALL[:1], key=other))
    ana = learner(platform, "ana")
    platform.enrolled[str(other)] = [ana.pk]
    complete(ana, "a")
    complete(ana, "b", key=other)
    api.refresh_course(KEY)
    assert {row.course_key for row in waiting()} == {other}
    api.refresh_course(other)
    complete(ana, "c", key=other)
    api.refresh_course(other)

    assert everything() == from_scratch(KEY, other)
    found = {(str(key), earned) for key, earned in rows("course_key", "earned")}
    assert {earned for key, earned in found if key == str(KEY)} == {0.0, 1.0}


def test_a_usage_key_of_a_problem_is_told_from_that_of_a_text(platform: FakePlatform) -> None:
    platform.publish(course(chapter("c", vertical("v", html("one"), problem("one")))))
    ana = learner(platform, "ana")
    complete(ana, "one", kind="problem")
    api.refresh_course(KEY)

    assert tallies(ana)["v"] == (1.0, 2.0)
    assert replace(api.progress_of(ana.pk, KEY).course, title="").earned == 1.0


def test_nobody_by_that_name_is_no_error() -> None:
    assert api.refresh_learner("nobody", KEY).learners == 0
    assert get_user_model()._default_manager.count() == 0


def test_new_content_reaches_those_who_left_and_reaggregation_does_not(platform: FakePlatform) -> None:
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    complete(ana, "a")
    complete(ben, "a")
    api.refresh_course(KEY)
    platform.enrolled[str(KEY)].remove(ben.pk)

    assert api.mark_course_stale(KEY, force=True) == 1
    api.refresh_course(KEY)
    platform.publish(course(*SMALL[:1]))
    assert api.mark_content_changed(KEY) == 2


def test_a_batch_of_a_large_course_has_fewer_learners(platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("completion_aggregator.aggregation.courses.MOST_CELLS", 2)
    small(platform)
    for name in ("ana", "ben", "cem", "dan", "eva"):
        complete(learner(platform, name), "a")

    assert [done.learners for done in api.refresh_batches(KEY)] == [2, 2, 1]
