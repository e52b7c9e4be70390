"""What the LMS does with cohorts. Asking for somebody's cohort may assign one: that is counted."""

import random

import lms_counters
from django.contrib.auth.models import User
from eventtracking import tracker

from openedx.core.djangoapps.course_groups.models import (
    CohortMembership,
    CourseCohort,
    CourseCohortsSettings,
    CourseUserGroup,
    CourseUserGroupPartitionGroup,
)
from openedx.core.djangoapps.course_groups.signals.signals import COHORT_MEMBERSHIP_UPDATED

DEFAULT_COHORT_NAME = "Default Group"


def is_course_cohorted(course_key):
    return CourseCohortsSettings.objects.filter(course_id=course_key, is_cohorted=True).exists()


def set_course_cohorted(course_key, cohorted):
    CourseCohortsSettings.objects.update_or_create(course_id=course_key, defaults={"is_cohorted": cohorted})


def get_cohort(user, course_key, assign=True, use_cached=False):
    """Return the cohort of the user, None in a course without cohorts; *assign* puts whoever has none into one."""
    if not is_course_cohorted(course_key):
        return None
    membership = (
        CohortMembership.objects.filter(user_id=user.id, course_id=course_key)
        .select_related("course_user_group")
        .first()
    )
    if membership:
        return membership.course_user_group
    return _assign(user, course_key) if assign else None


def get_cohort_id(user, course_key, use_cached=False):
    cohort = get_cohort(user, course_key)
    return None if cohort is None else cohort.id


def get_course_cohorts(course_id, assignment_type=None):
    cohorts = CourseUserGroup.objects.filter(course_id=course_id, group_type=CourseUserGroup.COHORT)
    return cohorts.filter(cohort__assignment_type=assignment_type) if assignment_type else cohorts


def get_group_info_for_cohort(cohort, use_cached=False):
    """Return the ids of the group and of the partition that the cohort stands for, or two Nones."""
    found = CourseUserGroupPartitionGroup.objects.filter(course_user_group=cohort).first()
    return (found.group_id, found.partition_id) if found else (None, None)


def add_cohort(course_key, name, assignment_type=CourseCohort.MANUAL):
    return CourseCohort.create(name, course_key, assignment_type=assignment_type).course_user_group


def add_user_to_cohort(cohort, username_or_email_or_user):
    """Return the user, the name of the cohort they were in before, and whether they were preassigned."""
    user = _user(username_or_email_or_user)
    membership, previous = CohortMembership.assign(cohort, user)
    tracker.emit(
        "edx.cohort.user_add_requested",
        {
            "user_id": user.id,
            "cohort_id": cohort.id,
            "cohort_name": cohort.name,
            "previous_cohort_id": previous and previous.id,
            "previous_cohort_name": previous and previous.name,
        },
    )
    COHORT_MEMBERSHIP_UPDATED.send(sender=None, user=user, course_key=membership.course_id)
    return user, previous and previous.name, False


def remove_user_from_cohort(cohort, username_or_email):
    user = _user(username_or_email)
    try:
        membership = CohortMembership.objects.get(course_user_group=cohort, user=user)
    except CohortMembership.DoesNotExist:
        raise ValueError(f"User {user.username} was not present in cohort {cohort.name}") from None
    course_key = membership.course_id
    membership.delete()
    COHORT_MEMBERSHIP_UPDATED.send(sender=None, user=user, course_key=course_key)


def _assign(user, course_key):
    cohorts = list(get_course_cohorts(course_key, CourseCohort.RANDOM).order_by("id"))
    cohort = random.choice(cohorts) if cohorts else add_cohort(course_key, DEFAULT_COHORT_NAME, CourseCohort.RANDOM)
    lms_counters.count("cohort_writes")
    return CohortMembership.assign(cohort, user)[0].course_user_group


def _user(told):
    if isinstance(told, User):
        return told
    return User.objects.get(email=told) if "@" in told else User.objects.get(username=told)
