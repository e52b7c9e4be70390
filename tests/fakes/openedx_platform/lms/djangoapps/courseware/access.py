"""May this user do that with this course?"""

from common.djangoapps.student import roles
from django.contrib.auth.models import AnonymousUser
from opaque_keys.edx.keys import CourseKey, UsageKey

from lms.djangoapps.courseware.access_response import ACCESS_DENIED, ACCESS_GRANTED
from lms.djangoapps.courseware.masquerade import is_masquerading_as_student


def has_access(user, action, obj, course_key=None):
    """Answers for ``staff`` and ``instructor``, of a course (its key or overview), of a block, or ``global``."""
    user = user or AnonymousUser()
    if obj == "global":
        return ACCESS_GRANTED if roles.GlobalStaff().has_user(user) else ACCESS_DENIED
    if isinstance(obj, UsageKey):
        obj = course_key or obj.course_key
    if not isinstance(obj, CourseKey):
        obj = obj.id
    return _has_access_to_course(user, action, obj)


def _has_access_to_course(user, access_level, course_key):
    if user.is_anonymous or is_masquerading_as_student(user, course_key):
        return ACCESS_DENIED
    if roles.GlobalStaff().has_user(user):
        return ACCESS_GRANTED
    granting = {
        "staff": (
            roles.CourseStaffRole(course_key),
            roles.OrgStaffRole(course_key.org),
            roles.CourseInstructorRole(course_key),
            roles.OrgInstructorRole(course_key.org),
        ),
        "instructor": (roles.CourseInstructorRole(course_key), roles.OrgInstructorRole(course_key.org)),
    }.get(access_level, ())
    return ACCESS_GRANTED if any(role.has_user(user) for role in granting) else ACCESS_DENIED
