from datetime import UTC, datetime

import pytest
from common.djangoapps.split_modulestore_django.models import SplitModulestoreCourseIndex
from common.djangoapps.student.models import CourseAccessRole, CourseEnrollment
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from lms.djangoapps.courseware.masquerade import MASQUERADE_SETTINGS_KEY, CourseMasquerade
from opaque_keys.edx.keys import CourseKey
from openedx.core.djangoapps.content.course_overviews.models import CourseOverview

from completion_aggregator.aggregation.statistics import subquery
from completion_aggregator.platforms.openedx import enrollments
from completion_aggregator.ports import ListedEnrollment
from tests.platforms.openedx.graphs import KEY, ORG, OTHER
from tests.platforms.openedx.people import (
    cohort,
    enroll,
    give_org_role,
    give_role,
    learner,
    overview,
    reloaded,
    unenroll,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LIKE_KEY = CourseKey.from_string(str(KEY).lower())


def ids(query):
    """The ids that a query finds, by the statement that others put into theirs."""
    sql, parameters = subquery(query)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM auth_user WHERE id IN ({sql}) ORDER BY id", parameters)
        return [user_id for (user_id,) in cursor.fetchall()]


def not_in(query):
    sql, parameters = subquery(query)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM auth_user WHERE id NOT IN ({sql}) ORDER BY id", parameters)
        return [user_id for (user_id,) in cursor.fetchall()]


# --- who learns ----------------------------------------------------------------------------------------------------


def test_learners_come_by_id_while_their_enrollment_is_active(django_assert_num_queries):
    ann, ben, cleo, dan = (learner(name) for name in ("ann", "ben", "cleo", "dan"))
    for user in (dan, cleo, ann):
        enroll(user, KEY)
    enroll(ben, OTHER)
    unenroll(cleo, KEY)
    with django_assert_num_queries(1):
        assert list(enrollments.user_ids(KEY)) == [ann.pk, dan.pk]


def test_more_learners_than_are_read_at_once_come_all_by_id(monkeypatch):
    monkeypatch.setattr(enrollments, "ROWS_PER_READ", 2)
    people = [learner(f"u{number}") for number in range(5)]
    for user in reversed(people):
        enroll(user, KEY)
    assert list(enrollments.user_ids(KEY)) == [user.pk for user in people]


def test_a_course_in_other_letters_is_another_course():
    ann, ben = learner("ann"), learner("ben")
    enroll(ann, KEY)
    CourseEnrollment.objects.create(user=ben, course_id=LIKE_KEY)
    assert list(enrollments.user_ids(KEY)) == [ann.pk]
    assert list(enrollments.user_ids(LIKE_KEY)) == [ben.pk]
    assert [ids(enrollments.query(key)) for key in (KEY, LIKE_KEY)] == [[ann.pk], [ben.pk]]
    assert enrollments.courses(ben.pk) == [LIKE_KEY]
    assert [enrollments.is_enrolled(key, ben.pk) for key in (KEY, LIKE_KEY)] == [False, True]


def test_the_courses_of_a_learner_come_by_key(django_assert_num_queries):
    ann, ben = learner("ann"), learner("ben")
    ended = KEY.replace(run="ended")
    for key in (OTHER, KEY, ended):
        enroll(ann, key)
    unenroll(ann, ended)
    enroll(ben, KEY)
    with django_assert_num_queries(1):
        assert enrollments.courses(ann.pk) == [KEY, OTHER]
    assert enrollments.courses(learner("cleo").pk) == []


def test_of_these_the_ones_for_phones(django_assert_num_queries):
    ann, unopened = learner("ann"), KEY.replace(run="unopened")
    for key in (OTHER, KEY, unopened):
        enroll(ann, key)
    overview(KEY)
    overview(OTHER, mobile_available=True)
    with django_assert_num_queries(2):
        assert enrollments.courses(ann.pk, mobile_only=True) == [OTHER]


def test_is_enrolled_says_whether_an_enrollment_is_active(django_assert_num_queries):
    ann = learner("ann")
    enroll(ann, KEY)
    with django_assert_num_queries(1):
        assert enrollments.is_enrolled(KEY, ann.pk)
    assert not enrollments.is_enrolled(OTHER, ann.pk)
    unenroll(ann, KEY)
    assert not enrollments.is_enrolled(KEY, ann.pk)


def test_the_query_of_a_class_goes_by_mode_and_cohort():
    ann, ben, cleo = (learner(name) for name in ("ann", "ben", "cleo"))
    for user, mode in ((ann, "audit"), (ben, "verified"), (cleo, "verified")):
        enroll(user, KEY, mode)
    enroll(learner("dan"), OTHER, "verified")
    red = cohort(KEY, "red", members=[ann, cleo])
    blue = cohort(OTHER, "blue", members=[ben])
    assert ids(enrollments.query(KEY)) == [ann.pk, ben.pk, cleo.pk]
    assert ids(enrollments.query(KEY, mode="verified")) == [ben.pk, cleo.pk]
    assert ids(enrollments.query(KEY, cohort_id=red.pk)) == [ann.pk, cleo.pk]
    assert ids(enrollments.query(KEY, mode="verified", cohort_id=red.pk)) == [cleo.pk]
    assert ids(enrollments.query(KEY, cohort_id=blue.pk)) == []
    unenroll(cleo, KEY)
    assert ids(enrollments.query(KEY, cohort_id=red.pk)) == [ann.pk]


def test_every_enrollment_is_listed_with_the_cohort_that_is_of_its_course():
    ann, ben = learner("ann"), learner("ben")
    for user, key in ((ann, KEY), (ann, OTHER), (ben, KEY)):
        enroll(user, key, "verified")
    unenroll(ben, KEY)
    red = cohort(KEY, "Red", members=[ann]).pk
    CourseEnrollment.objects.update(created=NOW)
    for at_once in (1, 2, 3, 5000):
        assert list(enrollments.listed(at_once)) == [
            ListedEnrollment(ann.pk, "ann", str(KEY), "verified", True, NOW, (red, "Red")),
            ListedEnrollment(ann.pk, "ann", str(OTHER), "verified", True, NOW),
            ListedEnrollment(ben.pk, "ben", str(KEY), "verified", False, NOW),
        ]


def test_the_list_takes_as_many_queries_for_one_as_for_some_thousand(django_assert_num_queries):
    for name in ("ann", "ben", "cleo"):
        enroll(learner(name), KEY)
    with django_assert_num_queries(3):  # two for all, one that finds no more
        list(enrollments.listed())


# --- who teaches ---------------------------------------------------------------------------------------------------


@pytest.fixture
def teachers():
    """One for each role, by its name; and one of each in another course and in the organization, who do not count."""
    names = ("staff", "limited_staff", "instructor", "beta_testers", "data_researcher")
    found = {name: learner(name) for name in names}
    for name, user in found.items():
        give_role(name, user, KEY)
        give_role(name, learner(f"other_{name}"), OTHER)
    give_org_role("staff", learner("org"), ORG)
    found["sales_admin"] = learner("sales_admin")
    CourseAccessRole.objects.create(user=found["sales_admin"], org=KEY.org, course_id=KEY, role="sales_admin")
    return found


@pytest.fixture(params=["table", "elsewhere"])
def place(request, teachers):
    """Where roles are kept."""
    if request.param == "elsewhere":
        request.getfixturevalue("authz")
    return request.param


@pytest.mark.parametrize(
    "names", [("staff",), ("sales_admin",), ("beta_testers", "instructor", "sales_admin"), ("unheard-of",), ()]
)
def test_role_holders_go_by_the_names_of_roles(place, teachers, names):
    assert ids(enrollments.role_holders(KEY, names)) == sorted(teachers[name].pk for name in names if name in teachers)


def test_without_names_any_role_in_the_course_counts(place, teachers):
    everybody = {user.pk for user in teachers.values()}
    assert ids(enrollments.role_holders(KEY)) == sorted(everybody)
    others = set(User.objects.values_list("pk", flat=True)) - everybody
    assert not_in(enrollments.role_holders(KEY)) == sorted(others)


def test_who_has_a_role_in_a_course_in_other_letters_has_none_here():
    ann, ben = learner("ann"), learner("ben")
    for role in ("staff", "limited_staff", "beta_testers"):
        give_role(role, ann, KEY)
        give_role(role, ben, LIKE_KEY)
    for names in (None, ["staff"], ["beta_testers"]):
        assert [ids(enrollments.role_holders(key, names)) for key in (KEY, LIKE_KEY)] == [[ann.pk], [ben.pk]]


def test_the_members_of_a_cohort_are_those_of_its_own_course():
    ann, ben = learner("ann"), learner("ben")
    enroll(ann, KEY)
    CourseEnrollment.objects.create(user=ben, course_id=LIKE_KEY)
    red = cohort(LIKE_KEY, "red", members=[ann, ben])
    assert [ids(enrollments.query(key, cohort_id=red.pk)) for key in (KEY, LIKE_KEY)] == [[], [ben.pk]]


def test_an_inactive_holder_of_a_role_still_holds_it():
    ann = learner("ann")
    give_role("staff", ann, KEY)
    User.objects.update(is_active=False)
    assert ids(enrollments.role_holders(KEY, ["staff"])) == [ann.pk]


# --- who may read --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["staff", "limited_staff", "instructor"])
def test_staff_of_the_course_may_read_it_and_no_other(name):
    ann = learner("ann")
    give_role(name, ann, KEY)
    assert [enrollments.may_read(reloaded(ann), key) for key in (KEY, OTHER)] == [True, False]


@pytest.mark.parametrize("name", ["data_researcher", "beta_testers"])
def test_holders_of_other_roles_may_not(name):
    ann = learner("ann")
    give_role(name, ann, KEY)
    assert not enrollments.may_read(reloaded(ann), KEY)


def test_staff_of_the_organization_and_of_the_site_may():
    ann = learner("ann")
    give_org_role("instructor", ann, ORG)
    assert enrollments.may_read(reloaded(ann), KEY)
    assert enrollments.may_read(learner("root", is_staff=True), KEY)


def test_staff_who_look_at_the_course_as_a_learner_may_not():
    root = learner("root", is_staff=True)
    vars(root)[MASQUERADE_SETTINGS_KEY] = {KEY: CourseMasquerade(KEY)}
    assert [enrollments.may_read(root, key) for key in (KEY, OTHER)] == [False, True]


def test_who_is_not_active_or_not_known_may_not():
    assert not enrollments.may_read(learner("root", is_staff=True, is_active=False), KEY)
    assert not enrollments.may_read(AnonymousUser(), KEY)


@pytest.mark.usefixtures("authz")
def test_staff_may_wherever_roles_are_kept():
    ann = learner("ann")
    give_role("staff", ann, KEY)
    assert enrollments.may_read(reloaded(ann), KEY)


# --- courses -------------------------------------------------------------------------------------------------------


def test_courses_are_those_with_an_overview_and_those_nobody_opened_yet(django_assert_num_queries):
    overview(OTHER)
    overview(KEY)
    for text in (str(KEY), "course-v1:Org+Unopened+Run", "library-v1:Org+Library", "course-v1:Org+Damaged+Run"):
        index = {"objectid": text[-24:], "org": "Org", "edited_on": NOW, "last_update": NOW}
        SplitModulestoreCourseIndex.objects.create(course_id=text, **index)
    with connection.cursor() as cursor:
        table = SplitModulestoreCourseIndex._meta.db_table
        cursor.execute(f"UPDATE {table} SET course_id = 'no key' WHERE course_id LIKE %s", ["%Damaged%"])
    with django_assert_num_queries(2):
        assert enrollments.course_keys() == [KEY, OTHER, CourseKey.from_string("course-v1:Org+Unopened+Run")]
    assert CourseOverview.objects.count() == 2
