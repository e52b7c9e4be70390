import json
from dataclasses import astuple
from datetime import UTC, datetime

import pytest
from completion.models import BlockCompletion
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.aggregation.models import Aggregator, CourseProgress
from completion_aggregator.platforms.standalone.models import (
    Cohort,
    CohortMembership,
    Course,
    CourseRole,
    Enrollment,
    GroupAssignment,
    LastEvent,
    LmsUser,
    RejectedEvent,
)
from completion_aggregator.tracking import api as tracking
from tests.platforms.standalone.builders import KEY, course, learner, stale_rows
from tests.tracking.builders import LOG, event, line, load, put, rows

pytestmark = pytest.mark.django_db

OF_A_USER = (
    BlockCompletion,
    Enrollment,
    CourseRole,
    CohortMembership,
    GroupAssignment,
    LastEvent,
    LmsUser,
    CourseProgress,
    Aggregator,
)


def member(name, lms_id):
    """A learner of whom something is in every table, and something waits."""
    user, small = learner(name), Course.objects.get()
    LmsUser.objects.create(lms_id=lms_id, user=user, named_at=datetime.now(UTC))
    BlockCompletion.objects.submit_completion(user, KEY.make_usage_key("html", "one"), 1.0)
    CourseRole.objects.create(user=user, course=small, role="beta_testers")
    CohortMembership.objects.create(user=user, course=small, cohort=Cohort.objects.get_or_create(course=small)[0])
    GroupAssignment.objects.create(user=user, course=small, partition_id=200, group_id=1)
    LastEvent.objects.create(user=user, course=small, subject="enrollment", moment=datetime.now(UTC))
    rejected(lms_id)
    admin, _ = get_user_model().objects.get_or_create(username="admin")
    LogEntry.objects.log_actions(admin.pk, get_user_model().objects.filter(pk=user.pk), CHANGE)
    aggregation.refresh_learner(name, KEY)
    BlockCompletion.objects.submit_completion(user, KEY.make_usage_key("html", "two"), 0.5)
    return user


def rejected(lms_id):
    data = json.dumps({"name": "n", "data": json.dumps({"user_id": lms_id, "completion": 2.0})})
    RejectedEvent.objects.create(event_id=f"of {lms_id}", event_type="t", reason="r", data=data)


@pytest.fixture
def ana():
    course()
    member("ben", 77)
    return member("ana", 7)


@pytest.fixture
def forget(capsys, settings, tmp_path):
    """Return what runs the command, on a site without tracking logs, and returns the last line and the errors."""
    settings.HOME = tmp_path

    def run(*arguments):
        call_command("forget_learner", *arguments)
        printed = capsys.readouterr()
        assert len(printed.out.splitlines()) == 2
        return printed.out.splitlines()[-1], printed.err.strip()

    return run


@pytest.fixture
def store(forget, tmp_path):
    """Return the site's store, in which ana is the LMS's number 7, and ben 77."""
    found = tracking.store_in(tmp_path / "tracking")
    found.create()
    names = (("ana", 7), ("ana", 7), ("ben", 77))
    lines = [
        line(second, username=name, context=event()["context"] | {"user_id": number})
        for second, (name, number) in enumerate(names)
    ]
    load(found, put(tmp_path / LOG, b"\n".join(lines) + b"\n"))
    return found


def left():
    """What there is of whom, the stale rows and the rejected events."""
    names = {
        model.__name__: set(model._default_manager.values_list("user__username", flat=True)) for model in OF_A_USER
    }
    logged = set(LogEntry.objects.values_list("object_repr", flat=True))
    return names, logged, {name for name, _, _ in stale_rows()}, set(RejectedEvent.objects.values_list("event_id"))


def everything_of(*names, events):
    of_all = {model.__name__: set(names) for model in OF_A_USER}
    return of_all, set(names), set(names), {(event,) for event in events}


def counted():
    rows = sum(astuple(aggregation.holdings("ana")))
    return (
        "2 completions, 1 enrollments, 1 roles, 1 cohorts, 1 groups, 1 accounts of the LMS,"
        f" {rows} rows of progress and of the queue, 1 rejected events"
    )


@pytest.mark.parametrize("called", [("ana",), ("--lms-id", "7")])
def test_all_of_a_learner_goes_and_nothing_of_anybody_else(ana, forget, called):
    before, said = left(), counted()
    assert before == everything_of("ana", "ben", events=("of 7", "of 77"))
    assert forget(*called, "--dry-run") == (f"{said}; nothing removed (--dry-run).", "")
    assert left() == before
    assert forget(*called) == (f"{said} removed.", "")
    assert left() == everything_of("ben", events=("of 77",))
    assert set(get_user_model().objects.values_list("username", flat=True)) == {"admin", "ben"}


def test_nothing_works_her_out_again(ana, forget):
    forget("ana")
    call_command("aggregator_reconcile", "--all")
    call_command("run_aggregator_service", verbosity=0)
    assert set(CourseProgress.objects.values_list("user__username", flat=True)) == {"ben"}
    assert CourseProgress.objects.count() == 1


def test_to_do_it_again_is_harmless(ana, forget):
    forget("ana")
    rejected(7)
    assert forget("ana") == ("0 rejected events removed.", "There is no user 'ana'.")
    assert forget("--lms-id", "7") == ("1 rejected events removed.", "There is no user of the account 7.")
    assert left() == everything_of("ben", events=("of 77",))


def test_another_spelling_of_a_name_is_nobody(ana, forget):
    assert forget("ANA") == ("0 rejected events removed.", "There is no user 'ANA'.")
    assert left() == everything_of("ana", "ben", events=("of 7", "of 77"))


@pytest.mark.parametrize("arguments", [(), ("ana", "--lms-id", "7")])
def test_a_learner_is_named_in_one_way(ana, forget, arguments):
    with pytest.raises(CommandError, match="Give either USERNAME or --lms-id"):
        forget(*arguments)
    assert left() == everything_of("ana", "ben", events=("of 7", "of 77"))


# The store of tracking logs


def tracked(store):
    """Whose events are in the store."""
    return [row["username"] for row in rows(store, "event_private")]


def of_the_logs(capsys, *arguments):
    call_command("forget_learner", *arguments)
    return capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize("called", [("ana",), ("--lms-id", "7")])
def test_the_store_of_tracking_logs_forgets_her_too(ana, store, capsys, called):
    assert of_the_logs(capsys, *called, "--dry-run") == "Tracking logs: 2 events, 1 names."
    assert tracked(store) == ["ana", "ana", "ben"]
    assert of_the_logs(capsys, *called) == "Tracking logs: 2 events, 1 names."
    assert tracked(store) == ["ben"]
    assert of_the_logs(capsys, "--lms-id", "7").startswith("Tracking logs: nothing of her is in the store, and logs")


def test_a_site_without_a_store_is_told_that_it_has_none(ana, forget, tmp_path, capsys):
    assert of_the_logs(capsys, "ana") == (
        f"Tracking logs: there is no store of tracking logs in {tmp_path / 'tracking'}, so there is nothing to forget."
    )


def test_she_goes_from_the_store_by_her_number_whatever_she_is_called_here(ana, store, capsys):
    LmsUser.objects.filter(lms_id=7).update(named_at=None)
    get_user_model().objects.filter(username="ana").update(username="ben 2")
    assert of_the_logs(capsys, "ben 2") == "Tracking logs: 2 events, 1 names."
    assert tracked(store) == ["ben"]


def test_who_is_nobody_here_is_nobody_in_the_store_either(ana, store, capsys):
    assert "knows whoever is in the logs alone" in of_the_logs(capsys, "BEN")
    assert tracked(store) == ["ana", "ana", "ben"]


def test_whom_the_store_never_saw_it_will_not_learn_of(ana, store, capsys):
    learner("carol")
    assert of_the_logs(capsys, "carol").startswith("Tracking logs: nothing of her is in the store, and logs that are")


def test_a_name_that_others_have_too_is_left_and_told(ana, store, capsys, tmp_path):
    lines = [line(9, username="q", context=event()["context"] | {"user_id": number}) for number in (7, 8)]
    load(store, put(tmp_path / f"{LOG}-late", b"\n".join(lines)))
    said = "Tracking logs: 3 events, 1 names; 1 names are left, since others have them, too."
    assert of_the_logs(capsys, "ana") == said


def test_while_logs_are_loaded_nothing_is_removed_and_all_can_be_done_again(ana, store, capsys):
    with store.writing(), pytest.raises(CommandError, match=r"Nothing is removed.*is being written by process"):
        call_command("forget_learner", "ana")
    assert left() == everything_of("ana", "ben", events=("of 7", "of 77"))
    assert of_the_logs(capsys, "ana") == "Tracking logs: 2 events, 1 names."
    assert left() == everything_of("ben", events=("of 77",))


def test_a_store_that_should_be_there_and_is_not_keeps_her(ana, forget, settings, tmp_path):
    settings.COMPLETION_AGGREGATOR_TRACKING_STORE = str(tmp_path / "not mounted")
    with pytest.raises(CommandError, match=r"no store of tracking logs in .*not mounted.*--without-tracking"):
        call_command("forget_learner", "ana")
    assert left() == everything_of("ana", "ben", events=("of 7", "of 77"))


def test_the_store_can_be_left_alone(ana, store):
    with store.writing():
        call_command("forget_learner", "ana", "--without-tracking")
    assert tracked(store) == ["ana", "ana", "ben"]
    assert left() == everything_of("ben", events=("of 77",))
