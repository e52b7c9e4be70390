from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model

from completion_aggregator.platforms.standalone import listing
from completion_aggregator.platforms.standalone.models import Cohort, CohortMembership, Course, Enrollment, LmsUser
from completion_aggregator.platforms.standalone.platform import StandalonePlatform
from completion_aggregator.ports import ListedEnrollment
from tests.platforms.standalone.builders import KEY, course, learner

pytestmark = pytest.mark.django_db

THEN = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def school():
    """Ana is the LMS's number 7, in a cohort; the LMS has not told yet what 9 is called; ben it does not know."""
    course()
    for name in ("ana", "lms-9", "ben"):
        learner(name)
    small = Course.objects.get()
    users = {user.username: user for user in get_user_model().objects.all()}
    LmsUser.objects.create(lms_id=7, user=users["ana"], named_at=THEN)
    LmsUser.objects.create(lms_id=9, user=users["lms-9"])
    red = Cohort.objects.create(course=small, name="Red")
    CohortMembership.objects.create(user=users["ana"], course=small, cohort=red)
    Enrollment.objects.update(created=THEN)
    Enrollment.objects.filter(user=users["ben"]).update(is_active=False, mode="verified")
    return red


@pytest.fixture
def expected(school):
    return [
        ListedEnrollment(7, "ana", str(KEY), "audit", True, THEN, (school.pk, "Red")),
        ListedEnrollment(9, "", str(KEY), "audit", True, THEN),
        ListedEnrollment(None, "ben", str(KEY), "verified", False, THEN),
    ]


def test_every_enrollment_is_listed_as_the_lms_knows_the_learner(expected):
    assert list(StandalonePlatform().listed_enrollments()) == expected


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_however_many_at_once_each_comes_once(expected, at_once):
    assert list(listing.enrollments(at_once)) == expected


def test_the_number_of_queries_does_not_grow_with_learners(school, django_assert_num_queries):
    with django_assert_num_queries(4):  # three for all, one that finds no more
        list(listing.enrollments())


def test_a_site_without_enrollments_lists_none(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert list(listing.enrollments()) == []
