"""Who has which role. The classes know where roles are kept: in the table, or in the store of openedx-authz."""

import authz_store
import lms_counters
from django.contrib.auth.models import User
from opaque_keys.edx.django.models import CourseKeyField

from common.djangoapps.student.models import CourseAccessRole

REGISTERED_ACCESS_ROLES = {}
# A role and those whose holders have it too; only has_user follows this.
ACCESS_ROLES_INHERITANCE = {"staff": {"limited_staff"}}


def register_access_role(cls):
    REGISTERED_ACCESS_ROLES[cls.ROLE] = cls
    return cls


class RoleCache:
    """The roles of one user, as they were when one of them was first asked for."""

    def __init__(self, user):
        held = CourseAccessRole.objects.filter(user=user)
        self._roles = {(each.role, each.course_id, each.org) for each in held}
        if authz_store.in_use():
            self._roles |= authz_store.roles_of(user)

    def has_role(self, role, course_id, org):
        names = {role} | ACCESS_ROLES_INHERITANCE.get(role, set())
        return any((name, course_id, org) in self._roles for name in names)


class AccessRole:
    def has_user(self, user):
        raise NotImplementedError

    def users_with_role(self):
        raise NotImplementedError


class GlobalStaff(AccessRole):
    def has_user(self, user):
        by_power = lms_counters.switches["superusers_are_global_staff"]
        return bool(user and (user.is_staff or (by_power and user.is_superuser)))

    def add_users(self, *users):
        for user in users:
            if user.is_authenticated and user.is_active:
                user.is_staff = True
                user.save()

    def remove_users(self, *users):
        for user in users:
            user.is_staff = False
            user.save()

    def users_with_role(self):
        raise Exception("This operation is un-indexed, and shouldn't be used")  # noqa: TRY002 (as in the LMS)


class RoleBase(AccessRole):
    def __init__(self, role_name, org="", course_key=None):
        self.org = org
        self.course_key = course_key
        self._role_name = role_name

    def has_user(self, user, check_user_activation=True):
        if check_user_activation and not (user.is_authenticated and user.is_active):
            return False
        if not hasattr(user, "_roles"):
            user._roles = RoleCache(user)
        return user._roles.has_role(self._role_name, self.course_key, self.org)

    def add_users(self, *users):
        for user in users:
            if not (user.is_authenticated and user.is_active):
                continue
            if self._elsewhere():
                authz_store.add(user, **self._place())
            else:
                CourseAccessRole.objects.get_or_create(user=user, **self._place())
            _forget(user)

    def remove_users(self, *users):
        if self._elsewhere():
            authz_store.remove(users, **self._place())
        else:
            CourseAccessRole.objects.filter(user__in=users, **self._place()).delete()
        for user in users:
            _forget(user)

    def users_with_role(self):
        if self._elsewhere():
            return User.objects.filter(id__in=authz_store.user_ids(**self._place()))
        return User.objects.filter(**{f"courseaccessrole__{name}": value for name, value in self._place().items()})

    def _place(self):
        # Of a role without a course, the column is empty, not NULL; read again, it is None.
        course_id = CourseKeyField.Empty if self.course_key is None else self.course_key
        return {"role": self._role_name, "org": self.org, "course_id": course_id}

    def _elsewhere(self):
        return authz_store.in_use() and authz_store.holds(self._role_name, self.course_key)


def _forget(user):
    if hasattr(user, "_roles"):
        del user._roles


class CourseRole(RoleBase):
    ROLE = ""

    def __init__(self, course_key):
        super().__init__(self.ROLE, course_key.org, course_key)


class OrgRole(RoleBase):
    ROLE = ""

    def __init__(self, org):
        super().__init__(self.ROLE, org)


@register_access_role
class CourseStaffRole(CourseRole):
    ROLE = "staff"


@register_access_role
class CourseLimitedStaffRole(CourseStaffRole):
    """Has staff access in the LMS, none in Studio."""

    ROLE = "limited_staff"


@register_access_role
class CourseInstructorRole(CourseRole):
    ROLE = "instructor"


@register_access_role
class CourseBetaTesterRole(CourseRole):
    ROLE = "beta_testers"


@register_access_role
class CourseDataResearcherRole(CourseRole):
    ROLE = "data_researcher"


@register_access_role
class CourseFinanceAdminRole(CourseRole):
    ROLE = "finance_admin"


@register_access_role
class CourseSalesAdminRole(CourseRole):
    ROLE = "sales_admin"


class CourseCcxCoachRole(CourseRole):
    ROLE = "ccx_coach"


class OrgStaffRole(OrgRole):
    ROLE = "staff"


class OrgInstructorRole(OrgRole):
    ROLE = "instructor"


class OrgDataResearcherRole(OrgRole):
    ROLE = "data_researcher"
