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
from tests.platforms.standalone.builders import KEY, course, learner, stale_rows

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
def forget(capsys):
    def run(*arguments):
        call_command("forget_learner", *arguments)
        printed = capsys.readouterr()
        return printed.out.strip(), printed.err.strip()

    return run


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
