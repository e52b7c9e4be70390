from datetime import UTC, datetime, timedelta

import pytest
from common.djangoapps.student.models import CourseEnrollment
from django.db import connection
from django.test.utils import CaptureQueriesContext
from openedx.features.content_type_gating.models import ContentTypeGatingConfig

from completion_aggregator.platforms.openedx import gating, sights
from tests.platforms.openedx.graphs import GATE, KEY, ORG, OTHER, divided
from tests.platforms.openedx.people import (
    audit_and_verified,
    enroll,
    gate,
    give_forum_role,
    give_org_role,
    give_role,
    hold_back,
    learner,
    mode,
    unenroll,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LATER = datetime(2026, 12, 1, tzinfo=UTC)
FULL, LIMITED = 2, 1


@pytest.fixture(autouse=True)
def nothing_remembered():
    gating.forget()
    yield
    gating.forget()


def sight(user, now=NOW):
    return sights.of_learners(KEY, divided(GATE), [user.pk], now=now)[user.pk]


def group(user, now=NOW):
    return dict(sight(user, now).profile.groups)[GATE.id]


def enrolled_since(user, moment, course_key=KEY):
    CourseEnrollment.objects.filter(user=user, course_id=course_key).update(created=moment)


@pytest.fixture
def ann():
    """She audits a course whose gate is closed."""
    audit_and_verified(KEY)
    gate(KEY)
    return enroll(learner("ann"), KEY).user


def test_who_audits_is_limited(ann):
    assert group(ann) == LIMITED


@pytest.mark.parametrize("slug", ["verified", "honor", "credit", "unheard-of"])
def test_who_is_enrolled_otherwise_is_not(ann, slug):
    enroll(ann, KEY, slug)
    assert group(ann) == FULL


def test_whose_enrollment_has_ended_is_limited_whatever_it_was(ann):
    enroll(ann, KEY, "verified")
    unenroll(ann, KEY)
    assert group(ann) == LIMITED


def test_who_was_never_enrolled_counts_as_enrolled_today(ann):
    ben = learner("ben")
    assert group(ben) == LIMITED
    gate(KEY, since=LATER)
    assert (group(ben), group(ben, LATER)) == (FULL, LIMITED)


@pytest.mark.parametrize("slug", ["audit", "verified"])
def test_the_course_must_have_both_modes(slug):
    mode(KEY, slug)
    gate(KEY)
    assert group(enroll(learner("ann"), KEY).user) == FULL


def test_an_expired_mode_counts():
    audit_and_verified(KEY, expires=NOW - timedelta(days=1))
    gate(KEY)
    assert group(enroll(learner("ann"), KEY).user) == LIMITED


def test_a_course_without_a_gate_is_open():
    audit_and_verified(KEY)
    ann = enroll(learner("ann"), KEY).user
    assert group(ann) == FULL
    gate(KEY, enabled=False)
    assert group(ann) == FULL
    gate(OTHER)
    assert group(ann) == FULL


def test_the_gate_of_the_site_holds_where_the_course_says_nothing():
    audit_and_verified(KEY)
    ContentTypeGatingConfig.objects.create(enabled=True, enabled_as_of=NOW - timedelta(days=365))
    ann = enroll(learner("ann"), KEY).user
    assert group(ann) == LIMITED
    gate(KEY, enabled=False)
    assert group(ann) == FULL


@pytest.mark.parametrize(
    ("days", "expected"), [(-1, FULL), (0, LIMITED), (1, LIMITED)], ids=["before", "at that moment", "after"]
)
def test_the_gate_closes_for_those_who_enrolled_since(ann, days, expected):
    since = NOW - timedelta(days=100)
    gate(KEY, since=since)
    enrolled_since(ann, since + timedelta(days=days))
    assert group(ann) == expected


def test_a_gate_without_a_date_is_open(ann):
    ContentTypeGatingConfig.objects.all().delete()
    ContentTypeGatingConfig.objects.create(enabled=True)
    assert group(ann) == FULL


def test_an_enrollment_without_a_date_is_older_than_any_gate(ann):
    enrolled_since(ann, None)
    assert group(ann) == FULL


def test_beta_testers_are_not_limited_while_they_are_active(ann):
    give_role("beta_testers", ann, KEY)
    assert group(ann) == FULL
    ann.is_active = False
    ann.save()
    assert group(ann) == LIMITED


@pytest.mark.parametrize("name", ["Community TA", "Group Moderator", "Moderator", "Administrator"])
def test_who_cares_for_the_forum_is_not_limited(ann, name):
    give_forum_role(name, ann, KEY)
    assert group(ann) == FULL


def test_other_roles_open_nothing(ann):
    give_forum_role("Student", ann, KEY)
    give_forum_role("Moderator", ann, OTHER)
    give_role("data_researcher", ann, KEY)
    give_role("beta_testers", ann, OTHER)
    give_org_role("data_researcher", ann, ORG)
    assert group(ann) == LIMITED


def test_who_is_held_back_is_not_limited_in_that_course(ann):
    ben = enroll(learner("ben"), KEY).user
    hold_back(ann, KEY)
    assert (group(ann), group(ben)) == (FULL, LIMITED)
    unenroll(ann, KEY)
    assert group(ann) == FULL
    enroll(ben, OTHER)
    hold_back(ben, OTHER)
    assert group(ben) == LIMITED


@pytest.mark.parametrize("name", ["staff", "limited_staff", "instructor"])
def test_staff_see_what_is_gated(ann, name):
    give_role(name, ann, KEY)
    assert sight(ann).profile.staff


# --- what is said of what is denied --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expires", "messaging"),
    [
        pytest.param(None, (GATE.id,), id="for ever"),
        pytest.param(LATER, (GATE.id,), id="for a while"),
        pytest.param(NOW, (GATE.id,), id="till now"),
        pytest.param(NOW - timedelta(seconds=1), (), id="no longer"),
    ],
)
def test_a_message_is_shown_while_the_course_can_be_upgraded(expires, messaging):
    audit_and_verified(KEY, expires=expires)
    gate(KEY)
    found = sight(enroll(learner("ann"), KEY).user)
    assert (found.profile.messaging, found.valid_until) == (messaging, expires if messaging else None)


def test_no_message_is_shown_to_whom_nothing_is_denied():
    audit_and_verified(KEY, expires=LATER)
    gate(KEY)
    found = sight(enroll(learner("ann"), KEY, "verified").user)
    assert (found.profile.messaging, found.valid_until) == ((), None)


# --- what is asked -------------------------------------------------------------------------------------------------


def test_forums_are_not_asked_of_a_course_that_limits_nobody():
    audit_and_verified(KEY)
    ann = enroll(learner("ann"), KEY).user
    with CaptureQueriesContext(connection) as queries:
        assert group(ann) == FULL
    assert not [each for each in queries if "django_comment_client_role" in each["sql"]]


def test_the_list_of_courses_remembers_the_gate_and_the_refresh_does_not(ann, monkeypatch):
    graphs = {KEY: divided(GATE)}
    monkeypatch.setattr(gating, "monotonic", lambda: 600.0)
    listed = sights.of_learner(ann.pk, graphs, now=NOW)
    gate(KEY, enabled=False)
    assert sights.of_learner(ann.pk, graphs, now=NOW) == listed
    assert group(ann) == FULL
    monkeypatch.setattr(gating, "monotonic", lambda: 660.0)
    assert sights.of_learner(ann.pk, graphs, now=NOW) == {KEY: sight(ann)}
