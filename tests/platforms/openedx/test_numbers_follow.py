"""After any change of what a learner may see, the stored numbers are those of what she sees."""

from datetime import UTC, datetime, timedelta

import pytest
from common.djangoapps.student.models import CourseEnrollment
from completion.models import BlockCompletion
from django.core.management import call_command
from lms.djangoapps.teams.models import CourseTeamMembership
from openedx.core.djangoapps.course_groups import cohorts
from openedx.core.djangoapps.course_groups.models import CourseUserGroupPartitionGroup
from openedx.core.djangoapps.user_api.models import UserCourseTag

from completion_aggregator.models import Aggregator
from tests.platforms.openedx import people
from tests.platforms.openedx.authoring import KEY, author, block, partition

pytestmark = pytest.mark.django_db(transaction=True)

COHORT, RANDOM, TEAMS, TRACK = 100, 101, 102, 50
SOON = datetime.now(UTC) + timedelta(days=1)
ALL = 7  # what staff see


@pytest.fixture(autouse=True)
def by_the_service(settings):
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


@pytest.fixture
def team(db):
    people.overview(KEY)
    return people.team(KEY, "a team", team_set="set")


@pytest.fixture
def ann(team):
    people.audit_and_verified(KEY)
    only = {
        "cohort": {COHORT: [1]},
        "random": {RANDOM: [1]},
        "team": {TEAMS: [team.pk]},
        "track": {TRACK: [2]},
    }
    course = author(
        block(
            "vertical",
            "unit",
            block("html", "always"),
            block("html", "staff", visible_to_staff_only=True),
            block("html", "beta", start=SOON, days_early_for_beta=10),
            *(block("html", name, group_access=access) for name, access in only.items()),
        ),
        partitions=[
            partition(COHORT, 1, 2),
            partition(RANDOM, 1, 2, scheme="random"),
            partition(TEAMS, team.pk, scheme="team", team_set_id="set", course_id=str(KEY)),
        ],
    )
    user = people.learner("ann")
    people.enroll(user, KEY)
    BlockCompletion.objects.submit_completion(user, course.usage("always"), 1.0)
    return user


def stored(user):
    """Run the service; return what the course's row says is earned and possible."""
    call_command("run_aggregator_service", verbosity=0)
    return Aggregator.objects.filter(user=user, aggregation_name="course").values_list("earned", "possible").get()


def make_staff(user, *, is_staff):
    user.is_staff = is_staff
    user.save()


CHANGES = {
    "role of the course": (
        ALL,
        lambda user, team: people.give_role("staff", user, KEY),
        lambda user, team: people.take_role("staff", user, KEY),
    ),
    "role of the organization": (
        ALL,
        lambda user, team: people.give_org_role("staff", user, str(KEY.org)),
        lambda user, team: people.ORG_ROLES["staff"](KEY.org).remove_users(user),
    ),
    "staff of the site": (
        ALL,
        lambda user, team: make_staff(user, is_staff=True),
        lambda user, team: make_staff(user, is_staff=False),
    ),
    "beta tester": (
        2,
        lambda user, team: people.give_role("beta_testers", user, KEY),
        lambda user, team: people.take_role("beta_testers", user, KEY),
    ),
    "cohort": (
        2,
        lambda user, team: people.cohort(KEY, "ones", partition=COHORT, group=1, members=[user]),
        lambda user, team: cohorts.remove_user_from_cohort(cohorts.get_cohort(user, KEY), user.username),
    ),
    "cohort that is deleted": (
        2,
        lambda user, team: people.cohort(KEY, "ones", partition=COHORT, group=1, members=[user]),
        lambda user, team: cohorts.get_cohort(user, KEY).delete(),
    ),
    "group of a cohort": (
        2,
        lambda user, team: people.cohort(KEY, "ones", partition=COHORT, group=1, members=[user]),
        lambda user, team: CourseUserGroupPartitionGroup.objects.get().delete(),
    ),
    "use of cohorts": (
        2,
        lambda user, team: people.cohort(KEY, "ones", partition=COHORT, group=1, members=[user]),
        lambda user, team: cohorts.set_course_cohorted(KEY, cohorted=False),
    ),
    "random group": (
        2,
        lambda user, team: people.tag(user, KEY, RANDOM, 1),
        lambda user, team: UserCourseTag.objects.get().delete(),
    ),
    "track": (
        2,
        lambda user, team: people.enroll(user, KEY, "verified"),
        lambda user, team: people.enroll(user, KEY, "audit"),
    ),
    "team": (2, lambda user, team: team.add_user(user), lambda user, team: CourseTeamMembership.objects.get().delete()),
}


@pytest.mark.parametrize("source", CHANGES)
def test_numbers_follow_each_change_and_its_end(ann, team, source):
    possible, change, undo = CHANGES[source]
    assert stored(ann) == (1, 1)
    change(ann, team)
    assert stored(ann) == (1, possible)
    undo(ann, team)
    assert stored(ann) == (1, 1)


def test_work_that_waited_under_another_name_is_done_under_the_new_one(ann):
    ann.username = "anna"
    ann.save()
    assert stored(ann) == (1, 1)
    assert CourseEnrollment.objects.get().user.username == "anna"
