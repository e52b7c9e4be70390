"""Every source of change in an LMS leaves the rows that it must, once, and breaks nothing."""

from types import SimpleNamespace
from typing import Any

import pytest
from common.djangoapps.course_modes.models import CourseMode
from common.djangoapps.student.models import CourseAccessRole, CourseEnrollment
from django.contrib.auth.models import User
from django.contrib.sites.models import Site
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lms.djangoapps.teams.models import CourseTeamMembership
from opaque_keys.edx.keys import CourseKey
from openedx.core.djangoapps.course_groups import cohorts
from openedx.core.djangoapps.course_groups.models import CohortMembership, CourseUserGroupPartitionGroup
from openedx.core.djangoapps.user_api.accounts.signals import USER_RETIRE_LMS_MISC
from openedx.core.djangoapps.user_api.models import UserCourseTag
from openedx.features.content_type_gating.models import ContentTypeGatingConfig
from openedx_events.learning.data import CourseAccessRoleData, UserData, UserPersonalData
from openedx_events.learning.signals import COURSE_ACCESS_ROLE_ADDED
from xmodule.modulestore.django import COURSE_DELETED, COURSE_PUBLISHED

from completion_aggregator.aggregation import api
from completion_aggregator.models import AggregatedCourse, CourseProgress, StaleCompletion
from completion_aggregator.platforms.openedx import signals
from tests.platforms.openedx import people

KEY = CourseKey.from_string("course-v1:Org+Course+Run")
OTHER = CourseKey.from_string("course-v1:Org+Other+Run")
LIBRARY = CourseKey.from_string("library-v1:Org+Library")
ELSEWHERE = CourseKey.from_string("course-v1:Elsewhere+Course+Run")

pytestmark = pytest.mark.django_db


def progress_of(user):
    """Have progress of the learner stored."""
    course, _ = AggregatedCourse.objects.get_or_create(course_key=KEY)
    CourseProgress.objects.create(course=course, user=user)


class Changes:
    """What is left over by what is done within: whose rows are stale, and which courses are noted."""

    learners: list[tuple[str, CourseKey]]
    courses: list[CourseKey]

    def __init__(self, capture):
        self._capture = capture
        self._anew = True

    def going_on(self):
        """Return this, to add to what is there already."""
        self._anew = False
        return self

    def __enter__(self):
        if self._anew:
            StaleCompletion.objects.all().delete()
        self._anew = True
        AggregatedCourse.objects.update(changed_at=None)
        # The transaction of the test never ends: what its preparation noted would be added to.
        connection.run_on_commit.clear()
        self._commit = self._capture(execute=True)
        self._commit.__enter__()
        return self

    def __exit__(self, *error):
        self._commit.__exit__(*error)
        rows = list(StaleCompletion.objects.values_list("username", "course_key", "block_key", "force", "resolved"))
        assert [row for row in rows if any(row[2:])] == []  # everything of the learner, nothing forced, all of it waits
        self.learners = sorted((name, key) for name, key, *_ in rows if key)
        noted = AggregatedCourse.objects.filter(changed_at__isnull=False)
        self.courses = sorted(filter(None, noted.values_list("course_key", flat=True)))


@pytest.fixture
def changes(django_capture_on_commit_callbacks):
    return Changes(django_capture_on_commit_callbacks)


@pytest.fixture
def ann():
    return enrolled("ann", KEY)


def enrolled(name, *course_keys):
    user = people.learner(name)
    for key in course_keys:
        people.overview(key)
        people.enroll(user, key)
    return user


# --- courses -------------------------------------------------------------------------------------------------------


def test_a_publish_is_one_note_of_the_course(changes, ann):
    with changes:
        for _ in range(3):
            COURSE_PUBLISHED.send_robust(sender=None, course_key=KEY)
    assert (changes.courses, changes.learners) == ([KEY], [])


def test_a_publish_costs_one_query(django_capture_on_commit_callbacks):
    with CaptureQueriesContext(connection) as queries, django_capture_on_commit_callbacks(execute=True):
        COURSE_PUBLISHED.send_robust(sender=None, course_key=KEY)
    assert len(queries) == 1


def test_libraries_are_not_courses(changes):
    with changes:
        COURSE_PUBLISHED.send_robust(sender=None, course_key=CourseKey.from_string("library-v1:Org+Library"))
    assert changes.courses == []


def test_a_course_that_is_deleted_changes_nobody(changes, ann):
    with changes:
        COURSE_DELETED.send_robust(sender=None, course_key=KEY)
    assert (changes.courses, changes.learners) == ([], [])


def test_groups_of_cohorts_are_of_the_whole_course(changes, ann):
    cohort = people.cohort(KEY, "blue")
    with changes:
        group = CourseUserGroupPartitionGroup.objects.create(course_user_group=cohort, partition_id=100, group_id=1)
    assert (changes.courses, changes.learners) == ([KEY], [])
    with changes:
        group.delete()
    assert (changes.courses, changes.learners) == ([KEY], [])


def test_to_use_cohorts_or_not_is_of_the_whole_course(changes, ann):
    with changes:
        cohorts.set_course_cohorted(KEY, cohorted=True)
    assert changes.courses == [KEY]
    with changes:
        cohorts.set_course_cohorted(KEY, cohorted=False)
    assert changes.courses == [KEY]


def test_a_mode_of_a_course_is_of_the_whole_course(changes, ann):
    with changes:
        people.mode(KEY, "verified")
    assert changes.courses == [KEY]
    with changes:
        CourseMode.objects.get().delete()
    assert changes.courses == [KEY]


def test_gating_of_a_course_is_of_that_course(changes, ann):
    with changes:
        people.gate(KEY)
    assert (changes.courses, changes.learners) == ([KEY], [])


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({"org": "Org"}, [KEY, OTHER]),
        ({"org_course": "Elsewhere+Course"}, [ELSEWHERE]),
        ({"site": 1}, [ELSEWHERE, KEY, OTHER]),
        ({}, [ELSEWHERE, KEY, OTHER]),
    ],
)
def test_gating_of_more_is_of_all_that_it_may_be_for_among_those_we_know(changes, scope, expected):
    for key in (KEY, OTHER, ELSEWHERE):
        api.course_changed(key)
    if "site" in scope:
        scope = {"site": Site.objects.get_or_create(pk=1, defaults={"domain": "a", "name": "a"})[0]}
    with changes:
        ContentTypeGatingConfig.objects.create(enabled=True, enabled_as_of=timezone.now(), **scope)
    assert changes.courses == expected


# --- learners ------------------------------------------------------------------------------------------------------


def test_to_enroll_to_change_the_mode_and_to_leave_are_one_row_each(changes):
    user = people.learner("ann")
    people.overview(KEY)
    with changes:
        people.enroll(user, KEY)
    assert (changes.learners, changes.courses) == ([("ann", KEY)], [])
    with changes:
        people.enroll(user, KEY, "verified")
    assert changes.learners == [("ann", KEY)]
    progress_of(user)
    with changes:
        people.unenroll(user, KEY)
    assert changes.learners == [("ann", KEY)]


def test_an_enrollment_that_is_deleted_is_one_row(changes, ann):
    progress_of(ann)
    with changes:
        CourseEnrollment.objects.all().delete()
    assert changes.learners == [("ann", KEY)]


def test_who_neither_learns_nor_ever_did_is_passed_over(changes):
    author, leaver = people.learner("author"), people.learner("ben")
    people.overview(KEY)
    people.enroll(leaver, KEY)
    with changes:
        people.give_role("staff", author, KEY)
        people.unenroll(leaver, KEY)
    assert (changes.learners, changes.courses) == ([], [])


def test_a_burst_of_changes_is_one_row(changes, ann):
    with changes:
        people.enroll(ann, KEY, "verified")
    with changes.going_on():
        people.give_role("staff", ann, KEY)
    with changes.going_on():
        people.take_role("staff", ann, KEY)
    assert changes.learners == [("ann", KEY)]


def test_roles_in_libraries_are_none_of_ours(changes, ann):
    with changes:
        CourseAccessRole.objects.create(user=ann, org="Org", course_id=LIBRARY, role="library_user")
    assert (changes.learners, changes.courses) == ([], [])


@pytest.mark.parametrize("role", ["org_course_creator_group", "data_researcher", "library_user"])
def test_roles_that_open_nothing_mark_nobody(changes, ann, role):
    with changes:
        CourseAccessRole.objects.create(user=ann, org="Org", role=role)
        CourseAccessRole.objects.create(user=ann, org="Org", course_id=KEY, role=role)
    assert (changes.learners, changes.courses) == ([], [])


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ({"course_id": KEY}, {"course_id": OTHER}, [KEY, OTHER]),
        ({"course_id": KEY}, {"role": "data_researcher"}, [KEY]),
        ({"course_id": KEY, "role": "data_researcher"}, {"role": "staff"}, [KEY]),
        ({"course_id": KEY}, {"course_id": None}, [KEY, OTHER]),
        ({"course_id": ELSEWHERE, "org": "Elsewhere"}, {"course_id": KEY, "org": "Org"}, [ELSEWHERE, KEY]),
        ({"course_id": KEY}, {}, [KEY]),
    ],
)
def test_a_role_that_becomes_another_marks_where_it_was_and_where_it_is(changes, before, after, marked):
    user = enrolled("ann", KEY, OTHER, ELSEWHERE)
    role = CourseAccessRole.objects.create(**{"user": user, "org": "Org", "role": "staff", **before})
    for name, value in after.items():
        setattr(role, name, value)
    with changes:
        role.save()
    assert (changes.learners, changes.courses) == ([("ann", key) for key in marked], [])


def test_a_role_that_is_given_to_another_marks_both(changes, ann):
    role = CourseAccessRole.objects.create(user=ann, org="Org", course_id=KEY, role="staff")
    role.user = enrolled("ben", KEY)
    with changes:
        role.save()
    assert changes.learners == [("ann", KEY), ("ben", KEY)]


def test_an_enrollment_that_is_left_out_of_the_gate_is_one_row(changes, ann):
    with changes:
        excluded = people.hold_back(ann, KEY)
    assert (changes.learners, changes.courses) == ([("ann", KEY)], [])
    with changes:
        excluded.delete()
    assert changes.learners == [("ann", KEY)]


def test_an_enrollment_that_is_not_active_yet_changes_nothing(changes):
    people.overview(KEY)
    with changes:
        CourseEnrollment.get_or_create_enrollment(people.learner("ann"), KEY)
    assert changes.learners == []


def test_however_many_are_enrolled_at_once_are_marked_with_five_queries(django_capture_on_commit_callbacks):
    people.overview(KEY)
    users = [people.learner(f"learner{number}") for number in range(20)]
    with django_capture_on_commit_callbacks() as callbacks, transaction.atomic():
        for user in users:
            people.enroll(user, KEY)
    ours = [each for each in callbacks if isinstance(getattr(each, "__self__", None), signals._Noted)]
    assert len(ours) == 1
    with CaptureQueriesContext(connection) as queries:
        ours[0]()
    assert len(queries) == 5
    assert StaleCompletion.objects.count() == 20


def test_what_is_noted_among_the_hooks_of_others_is_one_note_however_many_they_are(
    django_capture_on_commit_callbacks,
):
    class Hooks(list[Any]):
        """Hooks that count how often one of them is looked at."""

        looked = 0

        def __getitem__(self, place):
            self.looked += 1
            return super().__getitem__(place)

        def __iter__(self):
            self.looked += len(self)
            return super().__iter__()

        def __reversed__(self):
            self.looked += len(self)
            return super().__reversed__()

    connection.run_on_commit = hooks = Hooks()
    try:
        for number in range(200):
            with signals._noting() as noted:
                noted.learner(KEY, number)
            transaction.on_commit(lambda: None)
        assert hooks.looked <= 200
        ours = [write.__self__ for _, write, *_ in hooks if hasattr(write, "__self__")]
        assert [each.learners for each in ours] == [{KEY: set(range(200))}]
    finally:
        connection.run_on_commit = []


def test_a_note_goes_with_the_savepoint_that_it_was_made_in_and_with_no_other(changes, ann):
    ben, cid, dan = (enrolled(name, KEY) for name in ("ben", "cid", "dan"))

    def undone(*users, outermost=True):
        """In savepoints one within the other, of which the first is undone."""
        if users:
            with transaction.atomic():
                people.give_role("staff", users[0], KEY)
                undone(*users[1:], outermost=False)
                transaction.set_rollback(outermost)

    with changes:
        undone(ben, cid)
        with transaction.atomic():
            people.give_role("staff", ann, KEY)
        transaction.on_commit(lambda: None)
        people.give_role("staff", dan, KEY)
        undone(cid)
    # Of cid, what is noted beside others stays though it was undone: she is refreshed for nothing.
    assert changes.learners == [("ann", KEY), ("cid", KEY), ("dan", KEY)]


def test_what_is_undone_marks_nobody(changes, ann):
    def fail():
        people.enroll(people.learner("ben"), KEY)
        raise LookupError

    with changes:
        with pytest.raises(LookupError), transaction.atomic():
            fail()
        people.enroll(ann, KEY, "verified")
    assert changes.learners == [("ann", KEY)]


def test_to_join_change_and_leave_a_cohort_are_one_row_each(changes, ann):
    blue, red = people.cohort(KEY, "blue"), people.cohort(KEY, "red")
    with changes:
        cohorts.add_user_to_cohort(blue, ann)
    assert (changes.learners, changes.courses) == ([("ann", KEY)], [])
    with changes:
        cohorts.add_user_to_cohort(red, ann)
    assert changes.learners == [("ann", KEY)]
    with changes:
        cohorts.remove_user_from_cohort(red, ann.username)
    assert changes.learners == [("ann", KEY)]


def test_a_cohort_that_is_deleted_marks_its_members(changes, ann):
    blue = people.cohort(KEY, "blue", partition=100, group=1, members=[ann, enrolled("ben", KEY)])
    with changes:
        blue.delete()
    assert (changes.learners, changes.courses) == ([("ann", KEY), ("ben", KEY)], [KEY])


def test_the_row_of_a_cohort_is_there_when_its_learner_is_marked(ann, django_capture_on_commit_callbacks, monkeypatch):
    blue = people.cohort(KEY, "blue")
    seen = []
    connection.run_on_commit.clear()
    monkeypatch.setattr(api, "sights_changed", lambda key, ids, **_: seen.append(CohortMembership.objects.count()))
    with django_capture_on_commit_callbacks(execute=True):
        cohorts.add_user_to_cohort(blue, ann)
    assert seen == [1]


@pytest.mark.parametrize("role", ["staff", "limited_staff", "instructor", "beta_testers"])
def test_a_role_of_the_course_is_one_row(changes, ann, role):
    with changes:
        people.give_role(role, ann, KEY)
    assert (changes.learners, changes.courses) == ([("ann", KEY)], [])
    with changes:
        people.take_role(role, ann, KEY)
    assert changes.learners == [("ann", KEY)]


def test_a_role_of_an_organization_is_a_row_for_each_of_its_courses_that_one_learns_in(changes):
    user = enrolled("ann", KEY, OTHER, ELSEWHERE)
    enrolled("ben", KEY)
    with changes:
        people.give_org_role("staff", user, "Org")
    assert (changes.learners, changes.courses) == ([("ann", KEY), ("ann", OTHER)], [])


def test_a_role_that_is_kept_elsewhere_is_heard_of_by_its_event(changes, ann):
    data = UserData(pii=UserPersonalData(username="ann", email=""), id=ann.pk, is_active=True)
    with changes:
        COURSE_ACCESS_ROLE_ADDED.send_event(
            course_access_role_data=CourseAccessRoleData(user=data, course_key=KEY, org_key="Org", role="staff")
        )
    assert changes.learners == [("ann", KEY)]


@pytest.mark.parametrize("subject", ["ann", "user^ann"])
def test_an_assignment_of_a_role_marks_the_user_where_she_learns(changes, subject):
    enrolled("ann", KEY, ELSEWHERE)
    with changes:
        signals.role_told(sender=None, signal=None, role_assignment=SimpleNamespace(subject=subject))
    assert changes.learners == [("ann", ELSEWHERE), ("ann", KEY)]


def test_a_role_of_nothing_in_particular_changes_nothing(changes, ann):
    with changes:
        CourseAccessRole.objects.create(user=ann, role="course_creator_group")
    assert (changes.learners, changes.courses) == ([], [])


@pytest.mark.parametrize("by", ["the user", "the role"])
@pytest.mark.parametrize(("name", "marked"), [("Community TA", True), ("Student", False)])
def test_a_role_of_the_forums_counts_if_it_opens_content(changes, ann, by, name, marked):
    from openedx.core.djangoapps.django_comment_common.models import Role

    role = Role.objects.create(name=name, course_id=KEY)
    change = [("ann", KEY)] if marked else []
    with changes:
        ann.roles.add(role) if by == "the user" else role.users.add(ann)
    assert (changes.learners, changes.courses) == (change, [])
    with changes:
        ann.roles.remove(role) if by == "the user" else role.users.remove(ann)
    assert changes.learners == change


def test_a_role_of_the_forums_that_loses_all_its_users_is_of_the_whole_course(changes, ann):
    from openedx.core.djangoapps.django_comment_common.models import Role

    role = Role.objects.create(name="Moderator", course_id=KEY)
    role.users.add(ann)
    with changes:
        role.users.clear()
    assert (changes.learners, changes.courses) == ([], [KEY])


def test_a_user_who_loses_all_her_roles_of_the_forums_is_marked_where_she_had_one(changes, ann):
    from openedx.core.djangoapps.django_comment_common.models import Role

    for number in range(20):
        Role.objects.create(name="Moderator", course_id=KEY.replace(run=f"r{number}"))
    ann.roles.add(Role.objects.create(name="Moderator", course_id=KEY))
    ann.roles.add(Role.objects.create(name="Student", course_id=OTHER))
    with CaptureQueriesContext(connection) as queries, changes:
        ann.roles.clear()
    assert (changes.learners, changes.courses) == ([("ann", KEY)], [])
    assert len(queries) < 20


def test_a_random_group_is_one_row_and_any_other_tag_is_none(changes, ann):
    with changes:
        people.tag(ann, KEY, 100, 1)
    assert changes.learners == [("ann", KEY)]
    with changes:
        UserCourseTag.objects.create(user=ann, course_id=KEY, key="something.else", value="1")
    assert changes.learners == []


def test_to_join_and_leave_a_team_are_one_row_each(changes, ann):
    team = people.team(KEY, "a team", team_set="set")
    with changes:
        team.add_user(ann)
    assert changes.learners == [("ann", KEY)]
    with changes:
        CourseTeamMembership.objects.get().delete()
    assert changes.learners == [("ann", KEY)]


def test_a_team_that_is_deleted_marks_its_members(changes, ann):
    team = people.team(KEY, "a team", team_set="set", members=[ann])
    with changes:
        team.delete()
    assert changes.learners == [("ann", KEY)]


@pytest.mark.parametrize("change", [{"is_staff": True}, {"is_superuser": True}, {"is_active": False}])
def test_a_user_who_may_see_more_or_less_is_marked_where_she_learns(changes, change):
    user = enrolled("ann", KEY, ELSEWHERE)
    for name, value in change.items():
        setattr(user, name, value)
    with changes:
        user.save()
    assert changes.learners == [(user.username, ELSEWHERE), (user.username, KEY)]


def test_a_user_who_is_saved_as_she_was_costs_one_query_and_at_a_login_none(changes, ann):
    def ours(queries):
        return [each["sql"] for each in queries if each["sql"].startswith("SELECT") and "is_staff" in each["sql"]]

    ann.first_name = "Ann"
    with changes, CaptureQueriesContext(connection) as saved:
        ann.save()
    assert (changes.learners, len(ours(saved))) == ([], 1)
    ann.last_login = timezone.now()
    with CaptureQueriesContext(connection) as logged_in:
        ann.save(update_fields=["last_login"])
    assert len(logged_in) == 1


def test_a_user_who_is_deleted_leaves_no_rows(changes, ann):
    people.cohort(KEY, "blue", members=[ann])
    with changes:
        User.objects.all().delete()
    assert changes.learners == []


# --- retirement ----------------------------------------------------------------------------------------------------


def test_who_is_retired_leaves_nothing(ann):
    enrolled("ben", KEY)
    for user in (ann, User.objects.get(username="ben")):
        api.mark_stale(user.username, KEY)
        AggregatedCourse.objects.get_or_create(course_key=KEY)[0].progress.create(user=user)
    USER_RETIRE_LMS_MISC.send(sender=None, user=ann)
    assert list(StaleCompletion.objects.values_list("username", flat=True).distinct()) == ["ben"]
    assert list(CourseProgress.objects.values_list("user__username", flat=True)) == ["ben"]


def test_the_pipeline_hears_of_a_retirement_that_failed(ann, monkeypatch):
    def fail(user):
        raise DatabaseError("gone away")

    monkeypatch.setattr(api, "retire", fail)
    with pytest.raises(DatabaseError, match="gone away"):
        USER_RETIRE_LMS_MISC.send(sender=None, user=ann)


# --- harm ----------------------------------------------------------------------------------------------------------


def test_an_error_of_ours_breaks_no_enrollment(ann, monkeypatch, caplog, django_capture_on_commit_callbacks):
    def fail(*_, **__):
        raise DatabaseError("no such table")

    monkeypatch.setattr(api, "sights_changed", fail)
    connection.run_on_commit.clear()
    with django_capture_on_commit_callbacks(execute=True):
        people.enroll(ann, KEY, "verified")
    assert CourseEnrollment.objects.get().mode == "verified"
    assert "no such table" in caplog.text


def test_to_connect_again_changes_nothing(changes, ann):
    signals.connect()
    with changes:
        people.enroll(ann, KEY, "verified")
    assert changes.learners == [("ann", KEY)]
