"""What the instructor dashboard asks of a user. The backend stands for that of bridgekeeper."""

from common.djangoapps.student import roles
from opaque_keys.edx.keys import CourseKey

from lms.djangoapps.courseware.access import has_access

VIEW_DASHBOARD = "instructor.dashboard"
CAN_RESEARCH = "instructor.research"
SHOW_TASKS = "instructor.show_tasks"

# Global staff may do all of these. Of courses, staff alone may not see the data of learners.
_ROLES = {
    VIEW_DASHBOARD: (roles.CourseStaffRole, roles.CourseInstructorRole, roles.CourseDataResearcherRole),
    CAN_RESEARCH: (roles.CourseDataResearcherRole,),
    SHOW_TASKS: (roles.CourseDataResearcherRole,),
}


class RulePermissionBackend:
    def authenticate(self, request, **credentials):
        return None

    def has_perm(self, user, perm, obj=None):
        if perm not in _ROLES or obj is None or not user.is_authenticated:
            return False
        course_key = obj if isinstance(obj, CourseKey) else obj.id
        return bool(has_access(user, "staff", "global")) or any(
            role(course_key).has_user(user) for role in _ROLES[perm]
        )
