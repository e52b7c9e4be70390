"""The fake of the LMS keeps what an LMS promises, as far as its tables and its people go."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, cast

import authz_store
import lms_counters
import pytest
from celery import shared_task
from common.djangoapps.student import roles, signals
from common.djangoapps.student.models import CourseAccessRole, CourseEnrollment
from completion.models import BlockCompletion
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.db import IntegrityError, connection, transaction
from django.test import RequestFactory
from lms.djangoapps.courseware.access import has_access
from lms.djangoapps.courseware.masquerade import CourseMasquerade, setup_masquerade
from lms.djangoapps.grades.signals.signals import PROBLEM_WEIGHTED_SCORE_CHANGED
from lms.djangoapps.instructor.permissions import CAN_RESEARCH, SHOW_TASKS, VIEW_DASHBOARD
from lms.djangoapps.instructor_task.api_helper import AlreadyRunningError, submit_task
from lms.djangoapps.instructor_task.models import InstructorTask, ReportStore
from lms.djangoapps.instructor_task.tasks_base import BaseInstructorTask
from lms.djangoapps.instructor_task.tasks_helper.runner import TaskProgress, run_main_task
from lms.djangoapps.instructor_task.tasks_helper.utils import upload_csv_to_report_store
from opaque_keys.edx.keys import CourseKey
from openedx.core.djangoapps.course_groups.cohorts import (
    DEFAULT_COHORT_NAME,
    add_user_to_cohort,
    get_cohort,
    remove_user_from_cohort,
    set_course_cohorted,
)
from openedx.core.djangoapps.course_groups.models import CohortMembership
from openedx.core.djangoapps.course_groups.partition_scheme import CohortPartitionScheme
from openedx.core.djangoapps.course_groups.signals.signals import COHORT_MEMBERSHIP_UPDATED
from openedx.core.djangoapps.user_api.course_tag.api import BulkCourseTags
from openedx.core.djangoapps.user_api.models import UserCourseTag
from openedx.core.djangoapps.user_api.partition_schemes import RandomUserPartitionScheme
from openedx.core.lib.api.authentication import BearerAuthenticationAllowInactiveUser, access_token
from openedx.features.content_type_gating.models import ContentTypeGatingConfig
from openedx_events.learning.signals import (
    COHORT_MEMBERSHIP_CHANGED,
    COURSE_ACCESS_ROLE_ADDED,
    COURSE_ACCESS_ROLE_REMOVED,
    COURSE_ENROLLMENT_CHANGED,
    COURSE_ENROLLMENT_CREATED,
    COURSE_UNENROLLMENT_COMPLETED,
)
from rest_framework.exceptions import AuthenticationFailed
from xmodule.partitions.partitions import Group, UserPartition

from tests.platforms.openedx import people

KEY = CourseKey.from_string("course-v1:edX+Demo+2026")
OTHER = CourseKey.from_string("course-v1:edX+Other+2026")
PROBLEM = KEY.make_usage_key("problem", "p1")

pytestmark = pytest.mark.django_db


@contextmanager
def hearing(signal: Any, ask: Callable[[], Any] = lambda: None) -> Iterator[list[tuple[dict[str, Any], Any]]]:
    """Note what the signal is sent with, and what *ask* answers at that moment."""
    heard: list[tuple[dict[str, Any], Any]] = []

    def receive(**told: Any) -> None:
        heard.append((told, ask()))

    signal.connect(receive)
    try:
        yield heard
    finally:
        signal.disconnect(receive)


# --- tables --------------------------------------------------------------------------------------------------------

COLUMNS = {
    "student_courseenrollment": "id user_id course_id created is_active mode",
    "student_courseaccessrole": "id user_id org course_id role",
    "course_groups_courseusergroup": "id name course_id group_type",
    "course_groups_courseusergroup_users": "id courseusergroup_id user_id",
    "course_groups_cohortmembership": "id user_id course_user_group_id course_id",
    "course_groups_courseusergrouppartitiongroup": "id course_user_group_id partition_id group_id",
    "course_groups_coursecohortssettings": "id course_id is_cohorted",
    "course_overviews_courseoverview": (
        "id version _location org display_name start end start_date end_date self_paced mobile_available"
        " visible_to_staff_only days_early_for_beta enrollment_start enrollment_end catalog_visibility"
        " lowest_passing_grade has_any_active_web_certificate certificate_available_date created modified"
    ),
    "courseware_studentmodule": (
        "id module_type module_id student_id course_id state grade max_grade done created modified"
    ),
    "split_modulestore_django_splitmodulestorecourseindex": "id course_id published_version edited_on last_update",
    "block_structure": (
        "id data_usage_key data_version data_edit_timestamp transformers_schema_version block_structure_schema_version"
    ),
    "user_api_usercoursetag": "id user_id course_id key value",
    "course_modes_coursemode": "id course_id mode_slug min_price currency expiration_datetime",
    "content_type_gating_contenttypegatingconfig": (
        "id change_date changed_by_id enabled enabled_as_of site_id org org_course course_id"
    ),
    "teams_courseteam": "id team_id name course_id topic_id team_size",
    "teams_courseteammembership": "id user_id team_id",
    "django_comment_client_role": "id name course_id",
    "grades_persistentcoursegrade": (
        "id user_id course_id percent_grade letter_grade passed_timestamp course_version course_edited_timestamp"
        " grading_policy_hash created modified"
    ),
    "grades_persistentsubsectiongrade": (
        "id user_id course_id usage_key earned_all possible_all earned_graded possible_graded first_attempted"
        " visible_blocks_hash course_version created modified"
    ),
    "certificates_generatedcertificate": (
        "id user_id course_id status mode grade created_date modified_date verify_uuid"
    ),
    "completion_blockcompletion": "id created modified user_id course_key block_key block_type completion",
    "instructor_task_instructortask": "id task_type course_id task_key task_input task_id task_state requester_id",
}
UNIQUE: dict[str, set[tuple[str, ...]]] = {
    "student_courseenrollment": {("user_id", "course_id")},
    "student_courseaccessrole": {("user_id", "org", "course_id", "role")},
    "course_groups_courseusergroup": {("name", "course_id")},
    "course_groups_cohortmembership": {("user_id", "course_id")},
    "course_groups_courseusergrouppartitiongroup": {("course_user_group_id",)},
    "course_groups_coursecohortssettings": {("course_id",)},
    "courseware_studentmodule": {("student_id", "module_id", "course_id")},
    "split_modulestore_django_splitmodulestorecourseindex": {("course_id",)},
    "block_structure": {("data_usage_key",)},
    "user_api_usercoursetag": {("user_id", "course_id", "key")},
    "course_modes_coursemode": {("course_id", "mode_slug", "currency")},
    "teams_courseteammembership": {("user_id", "team_id")},
    "grades_persistentcoursegrade": {("course_id", "user_id")},
    "grades_persistentsubsectiongrade": {("course_id", "user_id", "usage_key")},
    "certificates_generatedcertificate": {("user_id", "course_id")},
    "completion_blockcompletion": {("course_key", "block_key", "user_id")},
}
INDEXES: dict[str, set[tuple[str, ...]]] = {
    "student_courseenrollment": {("user_id", "created"), ("created",), ("course_id",)},
    "student_courseaccessrole": {("org",), ("course_id",), ("role",)},
    "courseware_studentmodule": {("module_id", "grade", "student_id")},
    "grades_persistentcoursegrade": {
        ("user_id",),
        ("passed_timestamp", "course_id"),
        ("modified", "course_id"),
        ("modified",),
    },
    "completion_blockcompletion": {
        ("course_key", "block_type", "user_id"),
        ("user_id", "course_key", "modified"),
    },
}


@pytest.fixture(scope="module")
def schema(django_db_setup: None, django_db_blocker: Any) -> dict[str, tuple[set[str], list[dict[str, Any]]]]:
    """The columns and the keys of each table, as the database tells."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        tell = connection.introspection
        return {
            table: (
                {column.name for column in tell.get_table_description(cursor, table)},
                list(tell.get_constraints(cursor, table).values()),
            )
            for table in COLUMNS
        }


@pytest.mark.parametrize("table", COLUMNS)
def test_a_table_has_the_columns_of_the_lms(schema, table):
    assert set(COLUMNS[table].split()) <= schema[table][0]


@pytest.mark.parametrize("table", UNIQUE)
def test_a_table_has_the_unique_keys_of_the_lms(schema, table):
    found = {tuple(each["columns"]) for each in schema[table][1] if each["unique"] and not each["primary_key"]}
    assert UNIQUE[table] <= found


@pytest.mark.parametrize("table", INDEXES)
def test_a_table_has_the_indexes_of_the_lms(schema, table):
    assert INDEXES[table] <= {tuple(each["columns"]) for each in schema[table][1] if each["index"]}


def test_there_is_no_index_by_which_completions_of_a_time_are_found(schema):
    leading = {tuple(each["columns"])[:2] for each in schema["completion_blockcompletion"][1]}
    assert not leading & {("modified",), ("course_key", "modified")}


def test_course_overviews_go_by_course_key(schema):
    columns = [each["columns"] for each in schema["course_overviews_courseoverview"][1] if each["primary_key"]]
    assert columns == [["id"]]


def test_the_constraints_on_users_are_real_but_for_the_state_of_learners(schema):
    def references(table):
        return {each["columns"][0]: each["foreign_key"] for each in schema[table][1] if each["foreign_key"]}

    assert references("student_courseenrollment") == {"user_id": ("auth_user", "id")}
    assert references("student_courseaccessrole") == {"user_id": ("auth_user", "id")}
    assert references("courseware_studentmodule") == {}
    assert references("grades_persistentcoursegrade") == {}


def test_a_learner_is_enrolled_in_a_course_once():
    ann = people.learner("ann")
    people.enroll(ann, KEY)
    with pytest.raises(IntegrityError), transaction.atomic():
        CourseEnrollment.objects.create(user=ann, course_id=KEY)


# --- row 14: what is told, and when --------------------------------------------------------------------------------


def membership_of(user):
    found = CohortMembership.objects.filter(user=user).select_related("course_user_group").first()
    return found and found.course_user_group.name


def test_a_new_cohort_is_told_of_before_it_is_in_the_table():
    ann = people.learner("ann")
    people.cohort(KEY, "blue", members=[ann])
    green = people.cohort(KEY, "green")
    with hearing(COHORT_MEMBERSHIP_CHANGED, lambda: membership_of(ann)) as events:
        add_user_to_cohort(green, ann)
    assert [(told["cohort"].name, found) for told, found in events] == [("green", "blue")]
    assert membership_of(ann) == "green"
    assert list(green.users.all()) == [ann]


def test_the_signal_of_a_cohort_comes_after_it_is_in_the_table_and_again_when_it_is_left():
    ann = people.learner("ann")
    green = people.cohort(KEY, "green")
    with (
        hearing(COHORT_MEMBERSHIP_UPDATED, lambda: membership_of(ann)) as heard,
        hearing(COHORT_MEMBERSHIP_CHANGED) as events,
    ):
        add_user_to_cohort(green, ann)
        remove_user_from_cohort(green, "ann")
    assert [(told["user"], told["course_key"], found) for told, found in heard] == [
        (ann, KEY, "green"),
        (ann, KEY, None),
    ]
    assert len(events) == 1  # leaving is no change that openedx-events tells of
    assert list(green.users.all()) == []


def test_an_assignment_by_the_model_alone_sends_the_event_without_the_signal():
    ann = people.learner("ann")
    green = people.cohort(KEY, "green")
    with hearing(COHORT_MEMBERSHIP_UPDATED) as heard, hearing(COHORT_MEMBERSHIP_CHANGED) as events:
        CohortMembership.assign(green, ann)
    assert (len(heard), len(events)) == (0, 1)


def test_nobody_is_put_into_the_cohort_that_they_are_in():
    ann = people.learner("ann")
    green = people.cohort(KEY, "green", members=[ann])
    with pytest.raises(ValueError, match="already present"):
        add_user_to_cohort(green, ann)


def enrollment_of(user):
    return CourseEnrollment.enrollment_mode_for_user(user, KEY)


def test_an_enrollment_is_told_of_after_it_is_in_the_table():
    ann = people.learner("ann")
    with (
        hearing(COURSE_ENROLLMENT_CREATED, lambda: enrollment_of(ann)) as created,
        hearing(COURSE_ENROLLMENT_CHANGED, lambda: enrollment_of(ann)) as changed,
        hearing(signals.ENROLLMENT_TRACK_UPDATED, lambda: enrollment_of(ann)) as track,
        hearing(signals.ENROLL_STATUS_CHANGE) as status,
    ):
        people.enroll(ann, KEY, mode="verified")
    assert [(told["enrollment"].mode, found) for told, found in created] == [("verified", ("verified", True))]
    assert [found for _, found in changed] == [("verified", True)]
    assert [(told["mode"], found) for told, found in track] == [("verified", ("verified", True))]
    assert [(told["event"], told["course_id"]) for told, _ in status] == [("enroll", KEY)]


def test_a_mode_that_changes_is_told_of():
    enrollment = people.enroll(people.learner("ann"), KEY)
    with (
        hearing(COURSE_ENROLLMENT_CREATED) as created,
        hearing(COURSE_ENROLLMENT_CHANGED) as changed,
        hearing(signals.ENROLLMENT_TRACK_UPDATED) as track,
    ):
        enrollment.update_enrollment(mode="verified")
        enrollment.update_enrollment(mode="verified")
    assert (len(created), len(changed), len(track)) == (0, 1, 1)


def test_an_enrollment_that_ends_is_told_of_after_it_has_ended():
    ann = people.learner("ann")
    people.enroll(ann, KEY)
    with (
        hearing(COURSE_ENROLLMENT_CHANGED, lambda: enrollment_of(ann)) as changed,
        hearing(COURSE_UNENROLLMENT_COMPLETED, lambda: enrollment_of(ann)) as completed,
        hearing(signals.UNENROLL_DONE) as done,
        hearing(signals.ENROLL_STATUS_CHANGE) as status,
    ):
        people.unenroll(ann, KEY)
    assert [found for _, found in changed] == [("audit", False)]
    assert [(told["enrollment"].is_active, found) for told, found in completed] == [(False, ("audit", False))]
    assert [told["course_enrollment"].course_id for told, _ in done] == [KEY]
    assert [told["event"] for told, _ in status] == ["unenroll"]
    assert not CourseEnrollment.is_enrolled(ann, KEY)


def test_an_update_in_bulk_tells_nobody():
    ann = people.learner("ann")
    people.enroll(ann, KEY)
    with (
        hearing(COURSE_ENROLLMENT_CHANGED) as changed,
        hearing(COURSE_UNENROLLMENT_COMPLETED) as completed,
        hearing(signals.ENROLLMENT_TRACK_UPDATED) as track,
    ):
        CourseEnrollment.objects.filter(user=ann).update(is_active=False, mode="verified")
    assert (changed, completed, track) == ([], [], [])
    assert enrollment_of(ann) == ("verified", False)


def test_who_is_enrolled_is_asked_of_the_manager():
    ann, ben, cleo = (people.learner(name) for name in ("ann", "ben", "cleo"))
    people.enroll(ann, KEY)
    people.enroll(ben, KEY, mode="verified")
    people.enroll(cleo, KEY)
    people.unenroll(cleo, KEY)
    people.enroll(cleo, OTHER)
    people.give_role("staff", ann, KEY)
    ask = CourseEnrollment.objects
    assert set(ask.users_enrolled_in(KEY)) == {ann, ben}
    assert set(ask.users_enrolled_in(KEY, include_inactive=True)) == {ann, ben, cleo}
    assert set(ask.users_enrolled_in(KEY, verified_only=True)) == {ben}
    assert ask.num_enrolled_in_exclude_admins(KEY) == 1


# --- row 16: roles -------------------------------------------------------------------------------------------------


def test_users_with_a_role_are_asked_without_inheritance_and_has_user_follows_it():
    ann, ben = people.learner("ann"), people.learner("ben")
    people.give_role("staff", ann, KEY)
    people.give_role("limited_staff", ben, KEY)
    assert list(roles.CourseStaffRole(KEY).users_with_role()) == [ann]
    assert list(roles.CourseLimitedStaffRole(KEY).users_with_role()) == [ben]
    assert roles.CourseStaffRole(KEY).has_user(ben)
    assert not roles.CourseLimitedStaffRole(KEY).has_user(ann)


def test_roles_of_an_organization_have_an_empty_course_and_match_the_org_exactly():
    ann = people.learner("ann")
    people.give_org_role("staff", ann, "edX")
    with connection.cursor() as cursor:
        cursor.execute("SELECT org, course_id, role FROM student_courseaccessrole")
        assert cursor.fetchall() in ([("edX", "", "staff")], (("edX", "", "staff"),))
    assert list(roles.OrgStaffRole("edX").users_with_role()) == [ann]
    assert list(roles.OrgStaffRole("ed").users_with_role()) == []
    assert list(roles.CourseStaffRole(KEY).users_with_role()) == []
    assert not roles.CourseStaffRole(KEY).has_user(ann)
    assert roles.OrgStaffRole("edX").has_user(ann)


def test_the_users_with_global_staff_cannot_be_asked_for():
    with pytest.raises(Exception, match="un-indexed"):
        roles.GlobalStaff().users_with_role()
    assert roles.GlobalStaff().has_user(people.learner("ann", is_staff=True))


def test_an_instance_remembers_the_roles_that_it_was_first_asked_for():
    ann = people.learner("ann")
    assert not roles.CourseStaffRole(KEY).has_user(ann)
    people.give_role("staff", people.reloaded(ann), KEY)
    assert not roles.CourseStaffRole(KEY).has_user(ann)
    assert roles.CourseStaffRole(KEY).has_user(people.reloaded(ann))


def test_who_is_not_active_has_no_role():
    ann = people.learner("ann")
    people.give_role("beta_testers", ann, KEY)
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert not roles.CourseBetaTesterRole(KEY).has_user(people.reloaded(ann))
    assert list(roles.CourseBetaTesterRole(KEY).users_with_role()) == [ann]


def test_roles_given_and_taken_are_told_of():
    ann = people.learner("ann")
    with hearing(COURSE_ACCESS_ROLE_ADDED) as added, hearing(COURSE_ACCESS_ROLE_REMOVED) as removed:
        people.give_role("staff", ann, KEY)
        people.give_org_role("instructor", ann, "edX")
        people.take_role("staff", ann, KEY)
    facts = [
        [(told["course_access_role_data"].role, told["course_access_role_data"].course_key) for told, _ in heard]
        for heard in (added, removed)
    ]
    assert facts == [[("staff", KEY), ("instructor", None)], [("staff", KEY)]]


def test_a_site_with_authz_has_no_roles_of_courses_in_the_table():
    ann, ben, cleo = (people.learner(name) for name in ("ann", "ben", "cleo"))
    people.give_role("staff", ann, KEY)
    people.give_org_role("staff", cleo, "edX")
    with authz_store.moved_roles():
        people.give_role("limited_staff", ben, KEY)
        people.give_role("beta_testers", ben, KEY)
        assert sorted(CourseAccessRole.objects.values_list("role", "user__username")) == [
            ("beta_testers", "ben"),
            ("staff", "cleo"),
        ]
        assert list(roles.CourseStaffRole(KEY).users_with_role()) == [ann]
        assert list(roles.CourseLimitedStaffRole(KEY).users_with_role()) == [ben]
        assert list(roles.CourseBetaTesterRole(KEY).users_with_role()) == [ben]
        assert list(roles.OrgStaffRole("edX").users_with_role()) == [cleo]
        assert all(has_access(people.reloaded(user), "staff", KEY) for user in (ann, ben, cleo))
        people.take_role("staff", ann, KEY)
        assert not has_access(people.reloaded(ann), "staff", KEY)


# --- access --------------------------------------------------------------------------------------------------------


def test_staff_access_is_that_of_staff_instructors_and_global_staff():
    by_role = {name: people.learner(name) for name in people.ROLES}
    for name, user in by_role.items():
        people.give_role(name, user, KEY)
    boss = people.learner("boss", is_staff=True)
    granted = {name for name, user in by_role.items() if has_access(people.reloaded(user), "staff", KEY)}
    assert granted == {"staff", "limited_staff", "instructor"}
    assert has_access(boss, "staff", KEY)
    assert has_access(by_role["instructor"], "instructor", KEY)
    assert not has_access(by_role["staff"], "instructor", KEY)
    assert not has_access(by_role["staff"], "staff", OTHER)
    assert not has_access(AnonymousUser(), "staff", KEY)


def test_staff_who_look_as_a_learner_have_no_staff_access():
    ben, boss = people.learner("ben"), people.learner("boss", is_staff=True)
    request = RequestFactory().get("/")
    request.user = boss
    request.session = SessionBase()
    request.session["masquerade_settings"] = {KEY: CourseMasquerade(KEY, user_name="ben")}
    masquerade, shown = setup_masquerade(request, KEY, staff_access=True)
    assert (masquerade.user_name, shown) == ("ben", ben)
    assert not has_access(boss, "staff", KEY)
    assert has_access(boss, "staff", OTHER)
    assert has_access(people.reloaded(boss), "staff", KEY)


def test_the_data_of_learners_is_for_researchers_and_global_staff():
    staff, researcher = people.learner("staff"), people.learner("researcher")
    people.give_role("staff", staff, KEY)
    people.give_role("data_researcher", researcher, KEY)
    allowed = {
        user.username: [ask(permission, KEY) for permission in (VIEW_DASHBOARD, CAN_RESEARCH, SHOW_TASKS)]
        for user in (staff, researcher, people.learner("boss", is_staff=True), people.learner("ann"))
        for ask in [cast("Any", user).has_perm]  # declared to take rows only
    }
    assert allowed == {
        "staff": [True, False, False],
        "researcher": [True, True, True],
        "boss": [True, True, True],
        "ann": [False, False, False],
    }


def test_a_bearer_token_stands_for_its_user_active_or_not():
    ann = people.learner("ann", is_active=False)
    ask = BearerAuthenticationAllowInactiveUser().authenticate
    assert ask(RequestFactory().get("/", headers={"authorization": f"Bearer {access_token(ann)}"}))[0] == ann
    assert ask(RequestFactory().get("/")) is None
    with pytest.raises(AuthenticationFailed):
        ask(RequestFactory().get("/", headers={"authorization": "Bearer forged"}))


# --- row 9: reading assigns ----------------------------------------------------------------------------------------


def test_asking_for_a_random_group_assigns_one_and_tells():
    ann = people.learner("ann")
    partition = UserPartition(101, "experiment", "", [Group(1, "a"), Group(2, "b")])
    with lms_counters.counting() as happened:
        group = RandomUserPartitionScheme.get_group_for_user(KEY, ann, partition)
        assert RandomUserPartitionScheme.get_group_for_user(KEY, ann, partition) == group
    assert lms_counters.written(happened) == {"tag_writes": 1, "events": 1}
    assert UserCourseTag.objects.get().value == str(group.id)


def test_tags_that_were_prefetched_are_not_assigned(django_assert_num_queries):
    ann, ben = people.learner("ann"), people.learner("ben")
    partition = UserPartition(101, "experiment", "", [Group(1, "a"), Group(2, "b")])
    people.tag(ann, KEY, 101, 2)
    BulkCourseTags.prefetch(KEY, [ann, ben])
    with lms_counters.counting() as happened, django_assert_num_queries(0):
        groups = [RandomUserPartitionScheme.get_group_for_user(KEY, user, partition) for user in (ann, ben)]
    assert groups == [Group(2, "b"), None]
    assert not lms_counters.written(happened)


def test_asking_for_a_cohort_makes_one_and_puts_the_learner_into_it():
    ann = people.learner("ann")
    set_course_cohorted(KEY, cohorted=True)
    with lms_counters.counting() as happened:
        cohort = get_cohort(ann, KEY)
        assert get_cohort(ann, KEY) == cohort
    assert cohort.name == DEFAULT_COHORT_NAME
    assert lms_counters.written(happened) == {"cohort_writes": 1}


def test_a_course_without_cohorts_assigns_none():
    ann = people.learner("ann")
    with lms_counters.counting() as happened:
        assert get_cohort(ann, KEY) is None
        set_course_cohorted(KEY, cohorted=True)
        assert get_cohort(ann, KEY, assign=False) is None
    assert not lms_counters.written(happened)


def test_a_cohort_stands_for_a_group_of_its_own_partition_only():
    ann = people.learner("ann")
    people.cohort(KEY, "green", partition=102, group=7, members=[ann])
    groups = [Group(7, "seven"), Group(8, "eight")]
    found = [
        CohortPartitionScheme.get_group_for_user(KEY, ann, UserPartition(number, "", "", groups))
        for number in (102, 103)
    ]
    assert found == [Group(7, "seven"), None]


# --- gating --------------------------------------------------------------------------------------------------------


def test_what_is_said_of_a_course_wins_over_what_is_said_of_its_org_and_of_all():
    people.overview(KEY)
    ContentTypeGatingConfig.objects.create(enabled=True, enabled_as_of=people.LONG_AGO)
    ContentTypeGatingConfig.objects.create(org="edX", enabled_as_of=people.LONG_AGO + timedelta(days=1))
    people.gate(KEY, enabled=True)
    people.gate(KEY, enabled=False, since=people.LONG_AGO + timedelta(days=2))
    here, there = (ContentTypeGatingConfig.current(course_key=key) for key in (KEY, OTHER))
    assert (here.enabled, here.enabled_as_of) == (False, people.LONG_AGO + timedelta(days=2))
    assert (there.enabled, there.enabled_as_of) == (True, people.LONG_AGO + timedelta(days=1))
    assert ContentTypeGatingConfig.current(course_key=CourseKey.from_string("course-v1:x+y+z")).enabled is True


def test_nothing_is_gated_where_nothing_is_said():
    config = ContentTypeGatingConfig.current(course_key=KEY)
    assert (config.enabled, config.enabled_as_of) == (False, None)


def test_the_gate_is_closed_for_audit_in_a_course_that_can_be_paid_for():
    ann, ben = people.learner("ann"), people.learner("ben")
    people.enroll(ann, KEY)
    people.enroll(ben, KEY, mode="verified")
    people.gate(KEY)
    closed = ContentTypeGatingConfig.enabled_for_enrollment
    assert not closed(user=ann, course_key=KEY)
    people.audit_and_verified(KEY, expires=people.LONG_AGO)  # even if it can no longer be paid for
    assert closed(user=ann, course_key=KEY)
    assert not closed(user=ben, course_key=KEY)
    people.hold_back(ann, KEY)
    assert not closed(user=ann, course_key=KEY)


# --- teams ---------------------------------------------------------------------------------------------------------


def test_a_team_counts_its_members():
    ann = people.learner("ann")
    people.enroll(ann, KEY)
    team = people.team(KEY, "Reds", team_set="projects", members=[ann])
    assert (team.team_size, list(team.users.all())) == (1, [ann])
    team.membership.get().delete()
    team.refresh_from_db()
    assert team.team_size == 0


# --- row 15: reports and tasks -------------------------------------------------------------------------------------


def test_reports_of_a_course_lie_in_a_folder_named_by_its_hash_and_are_listed_newest_first(reports):
    store = ReportStore.from_config("GRADES_DOWNLOAD")
    assert store.links_for(KEY) == []
    store.store(KEY, "old.csv", BytesIO(b"\xef\xbb\xbfa,b\n"))
    store.store_rows(KEY, "new.csv", [["name", "grade"], ["ann", None]])
    store.store(KEY, "elsewhere.csv", BytesIO(b""), parent_dir="mine")
    folder = reports / hashlib.sha1(str(KEY).encode()).hexdigest()
    os.utime(folder / "old.csv", (0, 0))
    assert [name for name, _ in store.links_for(KEY)] == ["new.csv", "old.csv"]
    assert (folder / "old.csv").read_bytes() == b"\xef\xbb\xbfa,b\n"
    assert (folder / "new.csv").read_text() == "name,grade\nann,None\n"
    assert (reports / "mine" / "elsewhere.csv").exists()


def test_two_reports_of_a_minute_have_one_name_and_lie_in_two_files(reports):
    at = datetime(2026, 11, 21, 16, 30, 59, tzinfo=UTC)
    names = [upload_csv_to_report_store([["x"], [number]], "completion", KEY, at) for number in (1, 2)]
    assert names == ["edX_Demo_2026_completion_2026-11-21-1630.csv"] * 2
    links = ReportStore.from_config("GRADES_DOWNLOAD").links_for(KEY)
    assert len(links) == 2
    assert {(reports / url.lstrip("/")).read_text() for _, url in links} == {"x\n1\n", "x\n2\n"}


@shared_task(base=BaseInstructorTask, name="tests.count_learners")
def count_learners(entry_id, xblock_instance_args):
    def count(_entry_id, course_id, task_input, action_name):
        progress = TaskProgress(action_name, total=task_input["total"], start_time=0)
        progress.succeeded = progress.attempted = task_input["total"]
        return progress.update_task_state()

    return run_main_task(entry_id, count, "counted")


def test_a_task_of_an_instructor_keeps_its_state_in_its_entry():
    request = RequestFactory().get("/")
    request.user = people.learner("boss", is_staff=True)
    entry = submit_task(request, "count", count_learners, KEY, {"total": 3}, "")
    assert entry.task_state == "SUCCESS"
    told = json.loads(entry.task_output)
    assert {name: told[name] for name in ("action_name", "attempted", "succeeded", "failed", "total")} == {
        "action_name": "counted", "attempted": 3, "succeeded": 3, "failed": 0, "total": 3,
    }  # fmt: skip


def test_a_task_that_runs_is_not_begun_again():
    request = RequestFactory().get("/")
    request.user = people.learner("boss", is_staff=True)
    InstructorTask.create(KEY, "count", "", {}, request.user)
    with pytest.raises(AlreadyRunningError):
        submit_task(request, "count", count_learners, KEY, {"total": 3}, "")


# --- the packages beside it ----------------------------------------------------------------------------------------


def test_a_score_completes_its_problem_as_in_the_lms():
    ann = people.learner("ann")
    PROBLEM_WEIGHTED_SCORE_CHANGED.send(
        sender=None,
        user_id=ann.id,
        course_id=str(KEY),
        usage_id=str(PROBLEM),
        weighted_earned=0,
        weighted_possible=1,
        score_deleted=False,
    )
    assert list(BlockCompletion.objects.values_list("block_key", "completion")) == [(PROBLEM, 1.0)]


def test_completions_of_the_enrolled_are_taken_by_the_api_of_edx_completion(client):
    ann, ben = people.learner("ann"), people.learner("ben")
    people.enroll(ann, KEY)
    answers = []
    for user in (ann, ben):
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        answers.append(
            client.post(
                "/api/completion/v1/completion-batch",
                {"username": user.username, "course_key": str(KEY), "blocks": {str(PROBLEM): 1.0}},
                content_type="application/json",
            ).status_code
        )
    assert answers == [200, 400]
    assert list(BlockCompletion.objects.values_list("user", flat=True)) == [ann.id]


def test_the_plug_in_is_found_by_its_entry_points(settings):
    assert "completion_aggregator.apps.CompletionAggregatorAppConfig" in settings.INSTALLED_APPS
    assert settings.COMPLETION_AGGREGATOR_PLATFORM == "completion_aggregator.platforms.openedx.platform.OpenEdxPlatform"
