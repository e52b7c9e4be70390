import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from completion_aggregator.aggregation.models import AggregatedCourse, CourseProgress, StaleCompletion
from completion_aggregator.platforms.standalone.models import (
    Cohort,
    CohortMembership,
    Course,
    CourseRole,
    Enrollment,
    GroupAssignment,
)
from tests.platforms.standalone.builders import KEY, course, learner, stale_rows

pytestmark = pytest.mark.django_db

ANA = {("ana", str(KEY), None)}


@pytest.fixture
def small() -> Course:
    return course()


@pytest.fixture
def ana(small):
    user = learner("ana")
    forget()
    return user


def forget() -> None:
    StaleCompletion.objects.all().delete()


def rows_of(ana, small):
    cohort = Cohort.objects.create(course=small, name="A", partition_id=100, group_id=1)
    yield CourseRole(user=ana, course=small, role="staff")
    yield CohortMembership(user=ana, course=small, cohort=cohort)
    yield GroupAssignment(user=ana, course=small, partition_id=200, group_id=1)


def test_enrolling_marks_the_learner(small):
    learner("ana")
    assert stale_rows() == ANA


def test_a_change_of_mode_marks_the_learner(ana):
    enrollment = Enrollment.objects.get(user=ana)
    enrollment.mode = "verified"
    enrollment.save()
    assert stale_rows() == ANA


@pytest.mark.parametrize("place", [0, 1, 2])
def test_saving_and_deleting_what_decides_visibility_marks_the_learner(ana, small, place):
    row = list(rows_of(ana, small))[place]
    row.save()
    assert stale_rows() == ANA
    forget()
    row.delete()
    assert stale_rows() == ANA


def test_a_cohort_that_stands_for_another_group_marks_its_members(ana, small):
    learner("ben")
    cohort = Cohort.objects.create(course=small, name="A")
    CohortMembership.objects.create(user=ana, course=small, cohort=cohort)
    forget()
    cohort.group_id = 2
    cohort.save()
    assert stale_rows() == ANA


def test_deleting_a_cohort_marks_its_members(ana, small):
    cohort = Cohort.objects.create(course=small, name="A")
    CohortMembership.objects.create(user=ana, course=small, cohort=cohort)
    forget()
    cohort.delete()
    assert stale_rows() == ANA


def test_a_new_cohort_marks_nobody(ana, small):
    Cohort.objects.create(course=small, name="A", partition_id=100, group_id=1)
    assert stale_rows() == set()


def test_staff_status_marks_a_learner_in_the_courses_of_active_enrollments(ana):
    ana.is_staff = True
    ana.save()
    assert stale_rows() == ANA


def test_staff_status_marks_nobody_in_a_course_that_was_never_imported(ana):
    Enrollment.objects.create(user=ana, course=Course.objects.create(course_key=KEY.replace(run="2")))
    ana.is_staff = True
    ana.save()
    assert stale_rows() == ANA


def test_a_login_marks_nobody(ana):
    ana.save(update_fields=["last_login"])
    assert stale_rows() == set()


@pytest.mark.parametrize("gone", [get_user_model(), Course])
def test_what_goes_away_altogether_marks_nobody(ana, small, gone):
    for row in rows_of(ana, small):
        row.save()
    forget()
    gone.objects.all().delete()
    assert stale_rows() == set()


def many_saves(ana, small):
    role, membership, assignment = rows_of(ana, small)
    for row in (role, membership, assignment):
        row.save()
    enrollment = Enrollment.objects.get(user=ana)
    for number in range(25):
        for row in (enrollment, role, membership.cohort, assignment):
            row.save()
        ana.is_staff = not number % 2
        ana.save()


def test_fifty_changes_of_a_learner_before_a_refresh_are_one_row(ana, small):
    many_saves(ana, small)
    assert [(row.username, row.resolved) for row in StaleCompletion.objects.all()] == [("ana", False)]


def test_what_is_resolved_is_marked_again(ana, small):
    many_saves(ana, small)
    StaleCompletion.objects.update(resolved=True)
    ana.save()
    assert (StaleCompletion.objects.count(), stale_rows()) == (2, ANA)


def test_who_neither_learns_nor_has_progress_is_not_marked(small):
    staff = learner("boss", is_active=False)
    CourseRole.objects.create(user=staff, course=small, role="staff")
    assert stale_rows() == set()


def test_the_end_of_an_enrollment_marks_whom_progress_is_stored_of(ana, small):
    stored = AggregatedCourse.objects.get_or_create(course_key=KEY)[0]
    CourseProgress.objects.create(course=stored, user=ana)
    forget()
    enrollment = Enrollment.objects.get(user=ana)
    enrollment.is_active = False
    enrollment.save()
    assert stale_rows() == ANA


def queries_of(change) -> int:
    with CaptureQueriesContext(connection) as captured:
        change()
    return len([query for query in captured if "SAVEPOINT" not in query["sql"]])


def test_what_a_change_costs_beside_its_own_statement(ana, small):
    role = CourseRole.objects.create(user=ana, course=small, role="staff")
    forget()
    assert [queries_of(role.save) - 1 for _ in range(2)] == [5, 6]


@pytest.mark.parametrize("change", [Cohort.save, Cohort.delete])
def test_a_cohort_costs_no_more_where_it_has_more_members(small, change):
    cohorts = [Cohort.objects.create(course=small, name=f"of {size}") for size in (2, 20)]
    for cohort, size in zip(cohorts, (2, 20), strict=True):
        for number in range(size):
            user = learner(f"{cohort.pk}-{number}")
            CohortMembership.objects.create(user=user, course=small, cohort=cohort)
    forget()
    few, many = (queries_of(lambda cohort=cohort: change(cohort)) for cohort in cohorts)
    assert (few, len(stale_rows())) == (many, 22)
