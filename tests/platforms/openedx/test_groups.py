from datetime import UTC, datetime

import pytest
from common.djangoapps.student.models import CourseEnrollment
from openedx.core.djangoapps.course_groups import cohorts
from openedx.core.djangoapps.course_groups.models import CohortMembership
from openedx.core.djangoapps.user_api.models import UserCourseTag

from completion_aggregator.platforms.openedx import sights
from tests.platforms.openedx.graphs import COHORTS, KEY, OTHER, SHUFFLED, TRACKS, VERIFICATION, divided, teams
from tests.platforms.openedx.people import cohort, enroll, learner, mode, tag, team, unenroll

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def group(user, partition):
    """The group of a user in the one partition that a course has, as the profile says."""
    (sight,) = sights.of_learners(KEY, divided(partition), [user.pk], now=NOW).values()
    return dict(sight.profile.groups)[partition.id]


# --- cohorts -------------------------------------------------------------------------------------------------------


def test_a_cohort_stands_for_a_group():
    ann = learner("ann")
    cohort(KEY, "red", partition=COHORTS.id, group=2, members=[ann])
    assert group(ann, COHORTS) == 2


def test_who_is_in_no_cohort_has_no_group_and_is_put_into_none():
    ann = learner("ann")
    cohort(KEY, "red", partition=COHORTS.id, group=2)
    assert group(ann, COHORTS) is None
    assert not CohortMembership.objects.exists()


@pytest.mark.parametrize(
    ("partition", "number"),
    [
        pytest.param(None, None, id="no group"),
        pytest.param(SHUFFLED.id, 2, id="a group of another partition"),
        pytest.param(COHORTS.id, 3, id="a group that is gone"),
    ],
)
def test_a_cohort_may_stand_for(partition, number):
    ann = learner("ann")
    cohort(KEY, "red", partition=partition, group=number, members=[ann])
    assert group(ann, COHORTS) is None


def test_cohorts_count_only_while_the_course_has_them():
    ann = learner("ann")
    cohort(KEY, "red", partition=COHORTS.id, group=2, members=[ann])
    cohorts.set_course_cohorted(KEY, cohorted=False)
    assert group(ann, COHORTS) is None


def test_a_cohort_of_another_course_counts_there_alone():
    ann = learner("ann")
    cohort(OTHER, "red", partition=COHORTS.id, group=2, members=[ann])
    cohorts.set_course_cohorted(KEY, cohorted=True)
    assert group(ann, COHORTS) is None


# --- random --------------------------------------------------------------------------------------------------------


def test_the_stored_tag_is_the_group():
    ann = learner("ann")
    tag(ann, KEY, SHUFFLED.id, 2)
    assert group(ann, SHUFFLED) == 2


def test_who_was_not_assigned_has_no_group_and_is_not_assigned():
    ann = learner("ann")
    tag(ann, OTHER, SHUFFLED.id, 2)
    tag(ann, KEY, COHORTS.id, 2)
    before = set(UserCourseTag.objects.values_list("course_id", "key", "value"))
    assert group(ann, SHUFFLED) is None
    assert set(UserCourseTag.objects.values_list("course_id", "key", "value")) == before


@pytest.mark.parametrize("value", ["3", "-1", "two", "", "2.0", "None"])
def test_a_tag_that_names_no_group_is_none(value):
    ann = learner("ann")
    tag(ann, KEY, SHUFFLED.id, value)
    assert group(ann, SHUFFLED) is None


# --- enrollment tracks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slug", "number"), [("audit", 1), ("verified", 2), ("professional", 3)])
def test_the_track_is_that_of_the_mode(slug, number):
    mode(KEY, slug, expires=datetime(2020, 1, 1, tzinfo=UTC))
    assert group(enroll(learner("ann"), KEY, slug).user, TRACKS) == number


@pytest.mark.parametrize("slug", ["verified", "honor", "unheard-of"])
def test_a_mode_that_the_course_does_not_have_is_the_default(slug):
    mode(KEY, "audit")
    mode(OTHER, slug)
    assert group(enroll(learner("ann"), KEY, slug).user, TRACKS) == 1


@pytest.mark.parametrize(
    ("slugs", "number"),
    [
        pytest.param(["audit", "verified", "credit"], 2, id="verified"),
        pytest.param(["verified", "professional", "credit"], 3, id="professional"),
        pytest.param(["honor", "credit"], 1, id="neither"),
        pytest.param(["verified"], 1, id="no credit"),
    ],
)
def test_credit_is_for_the_verified_learners_of_the_course(slugs, number):
    for slug in slugs:
        mode(KEY, slug)
    assert group(enroll(learner("ann"), KEY, "credit").user, TRACKS) == number


def test_the_default_mode_is_a_setting(settings):
    settings.COURSE_MODE_DEFAULTS = {"slug": "verified"}
    assert group(enroll(learner("ann"), KEY, "audit").user, TRACKS) == 2


def test_a_mode_without_a_number_is_no_group(settings):
    mode(KEY, "audit")
    settings.COURSE_ENROLLMENT_MODES = {"verified": {"id": 2}}
    assert group(enroll(learner("ann"), KEY, "audit").user, TRACKS) is None


def test_who_is_not_enrolled_or_no_longer_has_no_track():
    mode(KEY, "audit")
    ann, ben, cleo = learner("ann"), learner("ben"), learner("cleo")
    enroll(ann, KEY)
    unenroll(ann, KEY)
    enroll(ben, OTHER)
    assert [group(each, TRACKS) for each in (ann, ben, cleo)] == [None] * 3


# --- teams ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def ann_in_team():
    ann = learner("ann")
    enroll(ann, KEY)
    return ann, team(KEY, "owls", team_set="birds", members=[ann])


def test_the_team_is_the_group_where_teams_are_groups(ann_in_team):
    ann, owls = ann_in_team
    assert group(ann, teams(owls.pk, owls.pk + 1)) == owls.pk
    assert group(learner("ben"), teams(owls.pk)) is None


def test_a_team_is_no_group_elsewhere(ann_in_team, settings):
    ann, owls = ann_in_team
    settings.FEATURES = settings.FEATURES | {"ENABLE_CONTENT_GROUPS_FOR_TEAMS": False}
    assert group(ann, teams(owls.pk)) is None


def test_a_team_of_another_set_is_no_group_of_this(ann_in_team):
    ann, owls = ann_in_team
    assert group(ann, teams(owls.pk + 1)) is None


# --- verification --------------------------------------------------------------------------------------------------


def test_everybody_is_verified():
    assert group(learner("ann", is_active=False), VERIFICATION) == 1


def test_all_schemes_answer_together_for_everybody():
    ann, ben = learner("ann"), learner("ben")
    mode(KEY, "verified")
    enroll(ann, KEY, "verified")
    enroll(ben, KEY)
    tag(ben, KEY, SHUFFLED.id, 1)
    cohort(KEY, "red", partition=COHORTS.id, group=1, members=[ann])
    graph = divided(COHORTS, SHUFFLED, TRACKS, VERIFICATION)
    found = sights.of_learners(KEY, graph, [ben.pk, ann.pk], now=NOW)
    assert {user_id: dict(sight.profile.groups) for user_id, sight in found.items()} == {
        ann.pk: {COHORTS.id: 1, SHUFFLED.id: None, TRACKS.id: 2, VERIFICATION.id: 1},
        ben.pk: {COHORTS.id: None, SHUFFLED.id: 1, TRACKS.id: 1, VERIFICATION.id: 1},
    }
    assert CourseEnrollment.objects.count() == 2
