import pytest
from django.contrib.auth import get_user_model

from completion_aggregator.aggregation.models import StaleCompletion
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
