"""For whom, and of which course, a structure is transformed."""

from lms.djangoapps.courseware.access import has_access


class CourseUsageInfo:
    """One learner in one course."""

    def __init__(
        self, course_key, user, allow_start_dates_in_future=False, include_has_scheduled_content=False
    ):  # fmt: skip
        self.course_key = course_key
        self.user = user
        self.allow_start_dates_in_future = allow_start_dates_in_future
        self.include_has_scheduled_content = include_has_scheduled_content
        self._has_staff_access = None

    @property
    def has_staff_access(self):
        if self._has_staff_access is None:
            self._has_staff_access = has_access(self.user, "staff", self.course_key)
        return self._has_staff_access
