"""Nothing of ours outlives a learner, and nothing is lost when she gets another name."""

from io import StringIO
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.retirement import Holdings
from completion_aggregator.models import Aggregator, CourseProgress, Crossing, Delivery, StaleCompletion
from tests.aggregation.builders import KEY, complete, from_scratch, learner, rows, small, tallies, waiting
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db

OF_A_USER: tuple[type[Model], ...] = (Aggregator, CourseProgress, Crossing)


@pytest.fixture(autouse=True)
def asynchronous(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"course": [0.1]}
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [{"url": "http://localhost:9/", "secret": "0123456789abcdef"}]


def two(platform: FakePlatform) -> tuple[Any, Any]:
    """Two learners of whom there is something in every table of ours."""
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    for user in (ana, ben):
        complete(user, "a")
    api.refresh_course(KEY)
    for user in (ana, ben):
        complete(user, "b")
    return ana, ben


def of(user: Any) -> list[int]:
    """Return how many rows there are of a user, in every table."""
    found = [model._default_manager.filter(user_id=user.pk).count() for model in OF_A_USER]
    return [
        *found,
        Delivery.objects.filter(crossing__user_id=user.pk).count(),
        StaleCompletion.objects.filter(username=user.username).count(),
    ]


def command(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("aggregator_retire_user", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def names() -> list[str]:
    return sorted(waiting().values_list("username", flat=True))


def test_retirement_removes_everything_of_one_learner_and_nothing_of_others(platform: FakePlatform) -> None:
    ana, ben = two(platform)
    before = of(ben)
    assert of(ana) == before == [8, 1, 1, 1, 2]

    assert api.retire(ana) == Holdings(tallies=8, progress=1, crossings=1, deliveries=1, stale=2)

    assert of(ana) == [0, 0, 0, 0, 0]
    assert of(ben) == before
    assert api.retire(ana) == Holdings()


def test_what_is_retired_stays_so(platform: FakePlatform) -> None:
    ana, ben = two(platform)
    platform.enrolled[str(KEY)].remove(ana.pk)
    api.retire(ana)

    for _ in range(2):
        call_command("run_aggregator_service", stdout=StringIO(), stderr=StringIO())
        api.course_changed(KEY)
    call_command("aggregator_reconcile", "--all", stdout=StringIO(), stderr=StringIO())

    assert of(ana) == [0, 0, 0, 0, 0]
    assert tallies(ben)["course"] == (2.0, 5.0)


def test_rows_of_courses_that_were_never_refreshed_go_too(platform: FakePlatform) -> None:
    ana, _ = two(platform)
    CourseProgress.objects.filter(user=ana).delete()
    Crossing.objects.filter(user=ana).delete()
    assert api.retire(ana) == Holdings(tallies=8, stale=2)
    assert of(ana) == [0, 0, 0, 0, 0]


def test_retirement_takes_the_names_that_the_database_takes_for_equal(platform: FakePlatform, vendor: str) -> None:
    ana, _ = two(platform)
    api.mark_stale("ANA", KEY)
    api.retire(ana)
    assert names() == (["ben"] if vendor == "mysql" else ["ANA", "ben"])


def test_retirement_leaves_what_waits_under_the_name_for_somebody_else(platform: FakePlatform) -> None:
    ana, ben = two(platform)
    StaleCompletion.objects.create(username="ana", user_id=ben.pk, course_key=KEY)
    StaleCompletion.objects.create(username="ben", user_id=ana.pk, course_key=KEY)
    assert api.holdings("ana").stale == api.retire(ana).stale == 3
    assert sorted(StaleCompletion.objects.values_list("username", "user_id").distinct()) == [
        ("ana", ben.pk), ("ben", ben.pk),
    ]  # fmt: skip


def test_the_command_says_what_goes(platform: FakePlatform) -> None:
    ana, _ = two(platform)
    rows_ = "8 tallies, 1 completion vectors, 1 thresholds reached, 1 deliveries of these, 2 rows of the queue"
    assert command("ana", "--dry-run") == (f"{rows_}; nothing removed (--dry-run).\n", "")
    assert of(ana) == [8, 1, 1, 1, 2]
    assert command("ana") == (f"{rows_} removed.\n", "")
    assert of(ana) == [0, 0, 0, 0, 0]


def test_the_command_removes_what_waits_for_a_name_that_nobody_has(platform: FakePlatform) -> None:
    small(platform)
    api.mark_stale("gone", KEY)
    out, err = command("gone")
    assert out.endswith("1 rows of the queue removed.\n")
    assert err == "Nobody is called 'gone': only the queue may hold rows of that name.\n"
    assert names() == []


def test_merged_accounts_are_both_worked_out_anew(platform: FakePlatform) -> None:
    ana, ben = two(platform)
    BlockCompletion.objects.filter(user=ben).delete()
    StaleCompletion.objects.filter(username="ben").delete()
    BlockCompletion.objects.filter(user=ana).update(user=ben)

    out, _ = command("ana", "--reassign-to", "ben")

    assert out.endswith(f"{KEY}: 2 learners worked out anew.\n")
    assert names() == []
    assert (tallies(ana)["course"], tallies(ben)["course"]) == ((0.0, 5.0), (2.0, 5.0))  # ana is enrolled still
    stored = rows()
    assert stored == from_scratch()[0]


def test_what_waits_for_a_name_of_before_goes_to_the_account_that_had_it(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    get_user_model()._default_manager.filter(pk=ana.pk).update(username="anna")

    out, _ = command("ana", "--reassign-to", "anna")

    assert out.endswith(f"{KEY}: 1 learners worked out anew.\n")
    assert tallies(ana)["course"] == (1.0, 5.0)


def test_the_command_wants_another_account_that_there_is(platform: FakePlatform) -> None:
    two(platform)
    with pytest.raises(CommandError, match="Nobody is called 'nobody', to reassign to"):
        command("ana", "--reassign-to", "nobody")
    with pytest.raises(CommandError, match="are those of one account"):
        command("ana", "--reassign-to", "ana")


# Names


@pytest.mark.parametrize("fields", [None, ["username"], ["email", "username"]])
def test_d9_a_user_who_is_renamed_loses_no_work(platform: FakePlatform, fields: list[str] | None) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")

    ana.username = "anna"
    ana.save(update_fields=fields)

    assert names() == ["anna"]
    assert api.refresh_course(KEY).unknown_users == 0
    assert tallies(ana)["course"] == (1.0, 5.0)


def test_a_name_that_is_not_kept_moves_nothing(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    with transaction.atomic():
        ana.username = "anna"
        ana.save()
        transaction.set_rollback(True)
    assert names() == ["ana"]


def test_a_save_that_cannot_rename_asks_nothing(platform: FakePlatform) -> None:
    ana = learner(platform, "ana")
    with CaptureQueriesContext(connection) as captured:
        ana.save(update_fields=["last_login"])
    assert [each["sql"] for each in captured if "username" in each["sql"]] == []
    with CaptureQueriesContext(connection) as captured:
        ana.save()
    assert len([each for each in captured if "username" in each["sql"] and each["sql"].startswith("SELECT")]) == 1


def test_what_waits_for_a_user_who_is_deleted_goes_with_her(platform: FakePlatform) -> None:
    ana, _ = two(platform)
    ana.delete()
    assert StaleCompletion.objects.exclude(username="ben").count() == 0


def test_a_name_in_other_letters_is_nobodys(platform: FakePlatform) -> None:
    ana, _ = two(platform)
    before = of(ana)
    like_ana = get_user_model()._default_manager.filter(username="ANA").exists()  # as this database compares

    if like_ana:
        with pytest.raises(CommandError, match=r"Nobody is called 'ANA'\. Did you mean 'ana'\?"):
            command("ANA")
    else:
        assert "Nobody is called 'ANA'" in command("ANA")[1]
    assert of(ana) == before
