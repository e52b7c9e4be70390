"""The gate before graded content: who has to pay, and what is told to them."""

from django.apps import apps
from xmodule.partitions.partitions import UserPartition

from openedx.features.content_type_gating.field_override import gate_is_enabled
from openedx.features.content_type_gating.helpers import CONTENT_GATING_PARTITION_ID, FULL_ACCESS, LIMITED_ACCESS

CONTENT_TYPE_GATING_SCHEME = "content_type_gate"
FORUM_ROLES = ("Administrator", "Moderator", "Group Moderator", "Community TA")


def create_content_gating_partition(course):
    """Return the partition; None if the gate is open, or the author gave its id away."""
    if not gate_is_enabled(course.location.course_key):
        return None
    if any(each.id == CONTENT_GATING_PARTITION_ID for each in course.user_partitions):
        return None
    return UserPartition.get_scheme(CONTENT_TYPE_GATING_SCHEME).create_user_partition(
        id=CONTENT_GATING_PARTITION_ID, name="Feature-based Enrollments", description="By access to graded content",
        parameters={"course_id": str(course.location.course_key)},
    )  # fmt: skip


class ContentTypeGatingPartition(UserPartition):
    """The partition of the gate. It does not hide: it tells to upgrade, as long as that can be done."""

    def access_denied_message(self, block_key, user, user_group, allowed_groups):
        modes = apps.get_model("course_modes", "CourseMode").modes_for_course_dict(block_key.course_key)
        if modes.get("verified") is None or user_group == FULL_ACCESS:
            return None
        return "Graded assessments are available to Verified Track learners. Upgrade to Unlock."


class ContentTypeGatingPartitionScheme:
    """Limited access for those who could have paid and did not; full access for all others."""

    read_only = True

    @classmethod
    def get_group_for_user(cls, course_key, user, user_partition):
        """Return the group."""
        if _has_role(user, course_key):
            return FULL_ACCESS
        config = apps.get_model("content_type_gating", "ContentTypeGatingConfig")
        closed = config.enabled_for_enrollment(user=user, course_key=course_key, user_partition=user_partition)
        return LIMITED_ACCESS if closed else FULL_ACCESS

    @classmethod
    def create_user_partition(cls, id, name, description, groups=None, parameters=None, active=True):  # noqa: A002, PLR0917
        """Return such a partition: always active, always with these two groups."""
        return ContentTypeGatingPartition(id, name, description, [LIMITED_ACCESS, FULL_ACCESS], cls, parameters)


def _has_role(user, course_key):
    from common.djangoapps.student import roles

    if user.is_staff or any(
        role.has_user(user)
        for role in (
            roles.CourseStaffRole(course_key), roles.CourseInstructorRole(course_key),
            roles.OrgStaffRole(course_key.org), roles.OrgInstructorRole(course_key.org),
            roles.CourseBetaTesterRole(course_key),
        )
    ):  # fmt: skip
        return True
    forum = apps.get_model("django_comment_common", "Role")
    return forum.objects.filter(course_id=course_key, name__in=FORUM_ROLES, users=user).exists()
