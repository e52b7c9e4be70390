"""What the student app tells: Django signals, and public events of access roles."""

from django.dispatch import Signal
from openedx_events.learning.data import CourseAccessRoleData
from openedx_events.learning.signals import COURSE_ACCESS_ROLE_ADDED, COURSE_ACCESS_ROLE_REMOVED

ENROLLMENT_TRACK_UPDATED = Signal()  # user, course_key, mode, countdown
UNENROLL_DONE = Signal()  # course_enrollment, skip_refund
ENROLL_STATUS_CHANGE = Signal()  # event, user, mode, course_id (a key), cost, currency


def emit_course_access_role_added(user, course_id, org_key, role):
    COURSE_ACCESS_ROLE_ADDED.send_event(course_access_role_data=_data(user, course_id, org_key, role))


def emit_course_access_role_removed(user, course_id, org_key, role):
    COURSE_ACCESS_ROLE_REMOVED.send_event(course_access_role_data=_data(user, course_id, org_key, role))


def _data(user, course_id, org_key, role):
    from common.djangoapps.student.models import user_data

    return CourseAccessRoleData(user=user_data(user), course_key=course_id, org_key=org_key, role=role)
