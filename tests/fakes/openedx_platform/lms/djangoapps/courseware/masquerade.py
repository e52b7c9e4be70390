"""Staff who look at a course as a learner: kept on the user instance of the request, and nowhere else."""

from django.contrib.auth.models import User

MASQUERADE_SETTINGS_KEY = "masquerade_settings"


class CourseMasquerade:
    def __init__(self, course_key, role="student", user_partition_id=None, group_id=None, user_name=None):
        self.course_key = course_key
        self.role = role
        self.user_partition_id = user_partition_id
        self.group_id = group_id
        self.user_name = user_name


def setup_masquerade(request, course_key, staff_access=False, reset_masquerade_data=False):
    """Return the masquerade of the request, if any, and the user whom the page is to be made for."""
    settings = request.session.get(MASQUERADE_SETTINGS_KEY, {}) if staff_access else {}
    request.user.masquerade_settings = settings
    masquerade = settings.get(course_key)
    if masquerade is None or not masquerade.user_name:
        return masquerade, request.user
    user = User.objects.get(username=masquerade.user_name)
    user.masquerade_settings = settings
    user.real_user = request.user
    return masquerade, user


def get_course_masquerade(user, course_key):
    return getattr(user, MASQUERADE_SETTINGS_KEY, {}).get(course_key)


def is_masquerading(user, course_key, course_masquerade=None):
    return (course_masquerade or get_course_masquerade(user, course_key)) is not None


def is_masquerading_as_student(user, course_key):
    found = get_course_masquerade(user, course_key)
    return bool(found and found.role == "student")


def is_masquerading_as_specific_student(user, course_key):
    found = get_course_masquerade(user, course_key)
    return bool(found and found.user_name)
