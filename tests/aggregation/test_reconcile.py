"""Numbers that no signal told of are found and mended, and nothing else is touched."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.reconcile import Findings
from completion_aggregator.models import AggregatedCourse, Aggregator, CourseLeaf, CourseProgress, StaleCompletion
from completion_aggregator.upsert import upsert
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
    moment,
    rows,
    small,
    tallies,
    usage,
    vertical,
    waiting,
)
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db

OTHER = CourseKey.from_string("course-v1:Test+Other+1")


@pytest.fixture(autouse=True)
def asynchronous(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


def reconciled(**options: Any) -> Findings:
    return sum((done.found for done in api.reconcile_course(KEY, **options)), Findings())


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("aggregator_reconcile", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def told(*arguments: str) -> dict[str, Any]:
    """Return what the command found in its only course, without what is zero."""
    (found,) = json.loads(command("--json", str(KEY), *arguments))
    return {name: value for name, value in found.items() if value and name != "course_id"}


def current(platform: FakePlatform) -> tuple[Any, Any]:
    """Two learners whose progress is right, in the small course with a chapter that only staff see."""
    platform.publish(course(*SMALL, chapter("c3", vertical("v9", html("s")), staff_only=True)))
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    for user in (ana, ben):
        complete(user, "a")
        complete(user, "e", 0.5)
    api.refresh_course(KEY)
    StaleCompletion.objects.all().delete()
    return ana, ben


def facts(user: Any) -> Any:
    return BlockCompletion.objects.filter(user=user)


def stored(user: Any, name: str) -> Any:
    return Aggregator.objects.filter(user=user, block_key=usage({"c": "chapter", "v": "vertical"}[name[0]], name))


def insert(user: Any, name: str) -> None:
    """Complete a block by SQL: nothing of Django's hears of it."""
    upsert(
        BlockCompletion._meta.db_table,
        ("user_id", "course_key", "block_key", "block_type", "completion", "created", "modified"),
        ("course_key", "block_key", "user_id"),
        [(user.pk, str(KEY), str(usage("html", name)), "html", 1.0, moment(1), moment(1))],
    )


def ghost(user: Any, name: str, kind: str = "vertical", *, earned: float = 1.0, possible: float = 2.0) -> None:
    """A row as 4.5.0 may have left it."""
    Aggregator.objects.submit_completion(
        user=user, course_key=KEY, block_key=usage(kind, name), aggregation_name=kind, earned=earned, possible=possible,
        last_modified=moment(1),
    )  # fmt: skip


def new_learner(platform: FakePlatform) -> Any:
    return learner(platform, "new")


def progress() -> Any:
    return CourseProgress.objects.filter(user__username="ana")


def untold(user: Any) -> None:
    """Let a learner complete something of which no signal tells."""
    complete(user, "b")
    StaleCompletion.objects.all().delete()


Wrong = Callable[[FakePlatform, Any], Any]
WRONG: dict[str, tuple[Wrong, set[str]]] = {
    "a bulk update": (lambda _, ana: facts(ana).update(completion=0.25), {"vector", "wrong_rows"}),
    "a time alone": (lambda _, ana: facts(ana).update(modified=moment(3)), {"vector", "wrong_rows"}),
    "an insert by SQL": (lambda _, ana: insert(ana, "b"), {"vector", "wrong_rows"}),
    "a delete by SQL": (lambda _, ana: facts(ana)._raw_delete(connection.alias), {"vector", "wrong_rows"}),
    "a row tampered with": (lambda _, ana: stored(ana, "c1").update(earned=4), {"wrong_rows"}),
    "a row deleted": (lambda _, ana: stored(ana, "v1").delete(), {"missing_rows"}),
    "a row too many": (lambda _, ana: ghost(ana, "gone"), {"superfluous_rows"}),
    "a vector tampered with": (lambda *_: progress().update(vector=b""), {"vector"}),
    "a vector damaged": (lambda *_: progress().update(vector=b"?"), {"vector"}),
    "a tally tampered with": (lambda *_: progress().update(earned=5), {"vector"}),
    "a role by SQL": (lambda platform, ana: platform.staff.add(ana.pk), {"tree", "wrong_rows", "missing_rows"}),
    "a learner by SQL": (lambda platform, _: untold(new_learner(platform)), {"never_computed"}),
    "a vector deleted": (lambda *_: progress().delete(), {"never_computed"}),
}  # fmt: skip


@pytest.mark.parametrize("how", WRONG)
def test_what_no_signal_told_of_is_found_and_mended(platform: FakePlatform, how: str) -> None:
    ana, _ = current(platform)
    do, kinds = WRONG[how]
    do(platform, ana)

    with pytest.raises(CommandError, match="1 learners differ"):
        command(str(KEY), "--dry-run")
    assert waiting().count() == 0
    found = told()

    others = {"compared": 2 + (how == "a learner by SQL"), "differing": 1, "refreshed": 1}
    assert found == others | dict.fromkeys(kinds, 1)
    assert everything() == from_scratch()


def test_where_nothing_is_wrong_nothing_is_written(platform: FakePlatform) -> None:
    current(platform)
    before = everything(), StaleCompletion.objects.count()

    assert command("--all", "--dry-run").startswith(f"{KEY}: 2 compared, 0 differ.")
    assert told() == {"compared": 2}

    assert (everything(), StaleCompletion.objects.count()) == before


def test_a_dry_run_writes_nothing_at_all(platform: FakePlatform) -> None:
    small(platform)
    untold(learner(platform, "ana"))
    with CaptureQueriesContext(connection) as captured, pytest.raises(CommandError):
        command("--all", "--dry-run")
    assert [each["sql"] for each in captured if each["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}] == []
    assert AggregatedCourse.objects.count() == CourseLeaf.objects.count() == 0


def test_who_waits_is_left_to_the_service(platform: FakePlatform) -> None:
    ana, _ = current(platform)
    facts(ana).update(completion=0.25)
    complete(ana, "b")
    assert told("--no-refresh") == {"compared": 1, "waiting": 1}


def test_who_is_refreshed_during_the_comparison_does_not_differ(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, _ = current(platform)
    sights = platform.sights

    def meanwhile(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(platform, "sights", sights)
        complete(ana, "b")
        api.refresh_course(KEY)
        return sights(*args, **options)

    monkeypatch.setattr(platform, "sights", meanwhile)
    assert reconciled() == Findings(compared=1, waiting=1)


def test_who_completes_something_during_the_comparison_does_not_differ(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, _ = current(platform)
    sights = platform.sights

    def meanwhile(*args: Any, **options: Any) -> Any:
        complete(ana, "b")
        return sights(*args, **options)

    monkeypatch.setattr(platform, "sights", meanwhile)
    assert reconciled() == Findings(compared=1, waiting=1)


def test_a_learner_who_never_began_is_not_made_to_have_begun(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    assert reconciled() == Findings(compared=1)  # nothing is known of her, and nothing is to be
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)
    platform.publish(course(*SMALL[:1]))
    assert reconciled().tree == 1
    api.refresh_course(KEY)
    assert CourseProgress.objects.get(user=ana).begun is False
    assert reconciled() == Findings(compared=1)


def test_one_learner_of_whom_nothing_can_be_told_stops_nobody(platform: FakePlatform) -> None:
    ana, ben = current(platform)
    facts(ben).update(completion=0.25)
    platform.failing = {ana.pk}
    assert reconciled() == Findings(compared=1, differing=1, vector=1, wrong_rows=1, failed=1)
    assert sorted(waiting().values_list("username", flat=True)) == ["ana", "ben"]


def test_a_user_deleted_by_sql_is_passed_over(platform: FakePlatform) -> None:
    ana, _ = current(platform)
    Aggregator.objects.filter(user=ana).delete()
    BlockCompletion.objects.filter(user=ana).delete()
    StaleCompletion.objects.all().delete()
    get_user_model()._default_manager.filter(pk=ana.pk)._raw_delete(connection.alias)
    assert reconciled() == Findings(compared=1)


def test_rows_of_a_renamed_user_that_were_thrown_away_are_made_up_for(platform: FakePlatform) -> None:
    ana, _ = current(platform)
    complete(ana, "b")
    waiting().update(user_id=None)  # as 4.x leaves them
    get_user_model()._default_manager.filter(pk=ana.pk).update(username="anna")
    assert api.refresh_course(KEY).unknown_users == 1
    assert tallies(ana)["course"] == (1.5, 5.0)

    assert told() == {"compared": 2, "differing": 1, "vector": 1, "wrong_rows": 1, "refreshed": 1}
    assert tallies(ana)["course"] == (2.5, 5.0)


def test_a_batch_takes_the_same_queries_whatever_its_size(platform: FakePlatform) -> None:
    small(platform)
    users = learners(platform, 40)
    for user in users:
        complete(user, "a")
    api.refresh_course(KEY)

    def queries(limit: int, found: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            result = next(iter(api.reconcile_course(KEY, limit=limit, mark=False))).found
        assert (result.compared, result.differing) == (limit, found)
        return len(captured)

    assert queries(40, 0) == queries(10, 0) <= 14
    BlockCompletion.objects.update(completion=0.5)
    assert queries(40, 40) == queries(10, 10) <= 16


# The service


def service() -> dict[str, Any]:
    out = StringIO()
    call_command("run_aggregator_service", json=True, stdout=out, stderr=StringIO())
    counts: dict[str, Any] = json.loads(out.getvalue())
    return {name: counts[name] for name in ("learners", "reconciled", "differing")}


def test_the_service_finds_and_mends_a_bounded_number_in_each_run(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_RECONCILE_LEARNERS = 2
    small(platform)
    for user in learners(platform, 5):
        complete(user, "a")
    api.refresh_course(KEY)
    BlockCompletion.objects.update(completion=F("completion") / 2)

    runs = [service() for _ in range(5)]

    assert runs == [
        {"learners": 0, "reconciled": 2, "differing": 2},
        {"learners": 2, "reconciled": 2, "differing": 2},
        {"learners": 2, "reconciled": 1, "differing": 1},
        {"learners": 1, "reconciled": 0, "differing": 0},  # the end of the round
        {"learners": 0, "reconciled": 0, "differing": 0},  # the course rests
    ]
    assert everything() == from_scratch()


def test_a_course_rests_after_its_round_and_then_it_is_its_turn_again(platform: FakePlatform) -> None:
    ana, _ = current(platform)
    assert service()["reconciled"] == 2
    facts(ana).update(completion=0.25)
    assert service()["reconciled"] == 0
    AggregatedCourse.objects.update(reconciled_at=timezone.now() - timedelta(hours=25))
    assert service() == {"learners": 0, "reconciled": 2, "differing": 1}


def test_nothing_is_compared_where_the_setting_says_so(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_RECONCILE_LEARNERS = 0
    current(platform)
    assert service()["reconciled"] == 0
    assert AggregatedCourse.objects.get().reconciled_at is None


def test_a_course_of_before_an_upgrade_takes_part(platform: FakePlatform) -> None:
    small(platform)
    untold(learner(platform, "ana"))
    assert service() == {"learners": 0, "reconciled": 1, "differing": 1}
    assert service()["learners"] == 1


def test_a_large_course_does_not_hold_up_a_small_one(platform: FakePlatform) -> None:
    small(platform)
    users = learners(platform, 300)
    platform.publish(course(*SMALL, key=OTHER))
    platform.enrolled[str(OTHER)] = [user.pk for user in users[:3]]
    api.take_in_courses()
    done = [(each.course_key, each.found.compared) for each in api.reconcile_due(202)]
    assert done == [(KEY, 101), (OTHER, 3), (OTHER, 0)]


def test_a_course_that_is_gone_or_cannot_be_read_rests(platform: FakePlatform) -> None:
    current(platform)
    platform.publish(course(*SMALL, key=OTHER))
    api.take_in_courses()
    del platform.graphs[str(OTHER)]
    assert service()["reconciled"] == 2
    assert AggregatedCourse.objects.filter(reconciled_at__isnull=False).count() == 2
    assert [each for each in api.status().courses if each.error] == []


# The command


def test_the_command_wants_courses_or_all_of_them(platform: FakePlatform) -> None:
    for arguments in ((), (str(KEY), "--all")):
        with pytest.raises(CommandError, match="Name the courses, or say --all"):
            command(*arguments)
    with pytest.raises(CommandError, match="is no course key"):
        command("course")
    with pytest.raises(CommandError, match="no position"):
        command("--all", "--dry-run", "--continue")


def test_an_unknown_course_is_told_and_the_others_are_compared(platform: FakePlatform) -> None:
    current(platform)
    out = StringIO()
    with pytest.raises(CommandError, match="1 courses cannot be read"):
        call_command("aggregator_reconcile", str(OTHER), str(KEY), stdout=out, stderr=StringIO())
    assert f"{KEY}: 2 compared, 0 differ." in out.getvalue()


def test_a_run_that_was_limited_goes_on_with_continue(platform: FakePlatform, settings: Any) -> None:
    small(platform)
    users = learners(platform, 5)
    for user in users:
        complete(user, "a")
    api.refresh_course(KEY)

    assert told("--limit", "2") == {"compared": 2}
    assert api.status().reconcile.under_way == {KEY: users[1].pk}
    assert told("--continue") == {"compared": 3}
    assert json.loads(command("--json", "--all", "--continue")) == []
    assert told() == {"compared": 5}


def test_the_command_takes_over_newer_content_first(platform: FakePlatform) -> None:
    ana, _ = current(platform)
    platform.coming[str(KEY)] = course(*SMALL[:1])
    assert told()["tree"] == 2
    assert tallies(ana)["course"] == (1.0, 3.0)


def test_the_status_tells_of_changes_and_of_the_comparison(platform: FakePlatform) -> None:
    current(platform)
    command("--all")
    api.course_changed(KEY)
    out = StringIO()
    call_command("aggregator_status", stdout=out)
    assert "Changed, learners still to be looked at:\n  course-v1:Test+Course+1  for 0 seconds" in out.getvalue()
    assert "Compared with completions: 1 of 1 courses, longest ago 0 seconds." in out.getvalue()
    out = StringIO()
    call_command("aggregator_status", "--json", stdout=out)
    shown = json.loads(out.getvalue())
    assert [each["course_id"] for each in shown["changed"]] == [str(KEY)]
    assert {name: shown["reconcile"][name] for name in ("courses", "never", "under_way")} == {
        "courses": 1, "never": 0, "under_way": [],
    }  # fmt: skip


# What 4.5.0 left behind


def lost(ana: Any) -> None:
    insert(ana, "b")


def half_total(ana: Any) -> None:
    Aggregator.objects.filter(user=ana, aggregation_name="course").update(earned=0.5, percent=0.1)


def one_row_for_two(ana: Any) -> None:
    stored(ana, "v3").update(block_key=usage("vertical", "V3"))


FAULTS: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "C1 C2 C5 a completion that was never counted": (lost, {"wrong_rows"}),
    "C4 a total of one branch": (half_total, {"wrong_rows"}),
    "C7 a row of an older tree": (lambda ana: stored(ana, "v3").update(possible=9, percent=1 / 9), {"wrong_rows"}),
    "C8 a row of a removed block": (lambda ana: ghost(ana, "gone"), {"superfluous_rows"}),
    "C9 a deleted completion": (lambda ana: facts(ana)._raw_delete(connection.alias), {"wrong_rows"}),
    "C11 a row under a key of another case": (one_row_for_two, {"superfluous_rows", "missing_rows"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_rows_of_the_replaced_package_are_found_and_mended_and_rows_that_stay_keep_their_ids(
    platform: FakePlatform, fault: str
) -> None:
    ana, _ = current(platform)
    # As an upgraded site is: the rows are there, and nothing else of ours.
    right = rows("id", "block_key", "user_id")
    CourseProgress.objects.all().delete()
    AggregatedCourse.objects.all().delete()
    api.forget()
    spoil, kinds = FAULTS[fault]
    spoil(ana)
    kept = right & rows("id", "block_key", "user_id")

    with pytest.raises(CommandError, match="2 learners differ"):
        command("--all", "--dry-run")
    found = told()

    assert found == {"compared": 2, "differing": 2, "never_computed": 2, "refreshed": 2} | dict.fromkeys(kinds, 1)
    assert kept <= rows("id", "block_key", "user_id")
    assert len(kept) >= len(right) - 1
    assert told() == {"compared": 2}
    stored_rows = everything()[0]
    assert stored_rows == from_scratch()[0]


def test_a_learner_of_before_an_upgrade_who_has_left_is_mended_too(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    platform.enrolled[str(KEY)] = []
    insert(ana, "a")
    ghost(ana, "course", "course", earned=3.0, possible=9.0)

    assert told() == {
        "compared": 1, "differing": 1, "never_computed": 1, "wrong_rows": 1, "missing_rows": 1, "refreshed": 1,
    }  # fmt: skip
    assert tallies(ana)["course"] == (1.0, 5.0)
