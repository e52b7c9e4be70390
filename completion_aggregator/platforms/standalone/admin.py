"""The standalone platform in Django's admin."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from completion_aggregator.platforms.standalone.models import (
    Cohort,
    CohortMembership,
    Course,
    CourseRole,
    CourseVersion,
    Enrollment,
    GroupAssignment,
)

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Any]
else:
    Admin = admin.ModelAdmin  # takes a type for the checker only


class ImportedOnly(Admin):
    """Show what an import wrote; only another import may change it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: content comes from ``import_course``."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Refuse: content comes from ``import_course``."""
        return False


@admin.register(Course)
class CourseAdmin(ImportedOnly):
    """Courses."""

    list_display = ("course_key", "title", "current")
    list_select_related = ("current",)
    search_fields = ("course_key", "title")


@admin.register(CourseVersion)
class CourseVersionAdmin(ImportedOnly):
    """Versions of courses."""

    list_display = ("course", "number", "content_hash", "created")
    list_filter = ("course",)
    list_select_related = ("course",)
    fields = ("course", "number", "content_hash", "created", "report")


@admin.register(Enrollment)
class EnrollmentAdmin(Admin):
    """Enrollments."""

    list_display = ("user", "course", "mode", "is_active", "created")
    list_filter = ("is_active", "mode", "course")
    list_select_related = ("user", "course")
    raw_id_fields = ("user",)
    search_fields = ("user__username",)


@admin.register(CourseRole)
class CourseRoleAdmin(Admin):
    """Roles."""

    list_display = ("user", "course", "role")
    list_filter = ("role", "course")
    list_select_related = ("user", "course")
    raw_id_fields = ("user",)
    search_fields = ("user__username",)


@admin.register(Cohort)
class CohortAdmin(Admin):
    """Cohorts."""

    list_display = ("name", "course", "partition_id", "group_id")
    list_filter = ("course",)
    list_select_related = ("course",)


@admin.register(CohortMembership)
class CohortMembershipAdmin(Admin):
    """Who is in which cohort."""

    list_display = ("user", "cohort", "course")
    list_filter = ("course",)
    list_select_related = ("user", "cohort", "course")
    raw_id_fields = ("user", "cohort")
    search_fields = ("user__username",)


@admin.register(GroupAssignment)
class GroupAssignmentAdmin(Admin):
    """Who was given which group."""

    list_display = ("user", "course", "partition_id", "group_id")
    list_filter = ("course",)
    list_select_related = ("user", "course")
    raw_id_fields = ("user",)
    search_fields = ("user__username",)
