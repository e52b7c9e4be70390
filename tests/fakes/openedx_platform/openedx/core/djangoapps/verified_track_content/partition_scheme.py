"""Groups by the mode of the enrollment."""

from django.apps import apps
from django.conf import settings
from opaque_keys.edx.keys import CourseKey
from xmodule.partitions.partitions import Group, UserPartition


class EnrollmentTrackUserPartition(UserPartition):
    """The partition whose groups are the modes of the course."""

    @property
    def groups(self):
        modes = _modes().modes_for_course(CourseKey.from_string(self.parameters["course_id"]), include_expired=True)
        return [_group(mode) for mode in modes]


class EnrollmentTrackPartitionScheme:
    """The group of the mode of an active enrollment."""

    read_only = True

    @classmethod
    def get_group_for_user(cls, course_key, user, user_partition):
        """Return the group, or None."""
        slug, active = apps.get_model("student", "CourseEnrollment").enrollment_mode_for_user(user, course_key)
        if not slug or not active:
            return None
        every = _modes()
        modes = every.modes_for_course(course_key, include_expired=True, only_selectable=False)
        mode = next((each for each in modes if each.slug == slug), None)
        if mode and mode.slug in every.CREDIT_MODES:
            mode = every.verified_mode_for_course(course_key, include_expired=True)
        return _group(mode or every.DEFAULT_MODE)

    @classmethod
    def create_user_partition(cls, id, name, description, groups=None, parameters=None, active=True):  # noqa: A002, PLR0917
        """Return such a partition."""
        return EnrollmentTrackUserPartition(id, name, description, [], cls, parameters, active)


def _modes():
    return apps.get_model("course_modes", "CourseMode")


def _group(mode):
    return Group(settings.COURSE_ENROLLMENT_MODES[mode.slug]["id"], mode.name)
