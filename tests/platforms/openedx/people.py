"""Builders of the people of an LMS and of what decides what they see: ``enroll(learner("ann"), key, mode="verified")``.

They go the ways of the LMS itself, so its signals and events are sent; except ``draw``, which is the state of a learner
as it stands in the table.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from common.djangoapps.course_modes.models import CourseMode
from common.djangoapps.student import roles
from common.djangoapps.student.models import CourseEnrollment, FBEEnrollmentExclusion
from django.contrib.auth.models import User
from lms.djangoapps.courseware.models import StudentModule
from lms.djangoapps.teams.models import CourseTeam
from opaque_keys.edx.keys import CourseKey, UsageKey
from openedx.core.djangoapps.content.course_overviews.models import CourseOverview
from openedx.core.djangoapps.course_groups import cohorts
from openedx.core.djangoapps.course_groups.models import CourseUserGroup, CourseUserGroupPartitionGroup
from openedx.core.djangoapps.django_comment_common.models import Role
from openedx.core.djangoapps.user_api.course_tag.api import set_course_tag
from openedx.features.content_type_gating.models import ContentTypeGatingConfig

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ROLES = {
    "staff": roles.CourseStaffRole,
    "limited_staff": roles.CourseLimitedStaffRole,
    "instructor": roles.CourseInstructorRole,
    "beta_testers": roles.CourseBetaTesterRole,
    "data_researcher": roles.CourseDataResearcherRole,
}
ORG_ROLES = {
    "staff": roles.OrgStaffRole,
    "instructor": roles.OrgInstructorRole,
    "data_researcher": roles.OrgDataResearcherRole,
}


def learner(name: str, **fields: Any) -> User:
    """Make a user; *fields* are those of the model, such as ``is_staff``."""
    return User.objects.create(username=name, email=f"{name}@example.com", **fields)


def reloaded(user: User) -> User:
    """Return the user as a new request would: without the roles that the instance remembers."""
    return User.objects.get(pk=user.pk)


def overview(course_key: CourseKey, **fields: Any) -> CourseOverview:
    """Write the row that the LMS has of a course which somebody has opened."""
    made, _ = CourseOverview.objects.update_or_create(
        id=course_key,
        defaults={
            "version": CourseOverview.VERSION,
            "_location": course_key.make_usage_key("course", "course"),
            "org": course_key.org,
            "display_name": course_key.course,
        }
        | fields,
    )
    return made


def enroll(user: User, course_key: CourseKey, mode: str | None = None) -> CourseEnrollment:
    """Enroll a learner, or change the mode of one who is enrolled."""
    return CourseEnrollment.enroll(user, course_key, mode)


def unenroll(user: User, course_key: CourseKey) -> None:
    """End an enrollment."""
    CourseEnrollment.unenroll(user, course_key)


def hold_back(user: User, course_key: CourseKey) -> FBEEnrollmentExclusion:
    """Keep the enrollment that a learner has out of the gate, as a script of the LMS does."""
    enrollment = CourseEnrollment.objects.get(user=user, course_id=course_key)
    return FBEEnrollmentExclusion.objects.create(enrollment=enrollment)


def give_role(name: str, user: User, course_key: CourseKey) -> None:
    """Give a role of the course, such as ``staff`` or ``beta_testers``."""
    ROLES[name](course_key).add_users(user)


def take_role(name: str, user: User, course_key: CourseKey) -> None:
    """Take it away again."""
    ROLES[name](course_key).remove_users(user)


def give_org_role(name: str, user: User, org: str) -> None:
    """Give a role of the organization."""
    ORG_ROLES[name](org).add_users(user)


def give_forum_role(name: str, user: User, course_key: CourseKey) -> None:
    """Give a role of the forums, such as ``Community TA``."""
    Role.objects.get_or_create(name=name, course_id=course_key)[0].users.add(user)


def cohort(
    course_key: CourseKey,
    name: str,
    *,
    partition: int | None = None,
    group: int | None = None,
    members: Iterable[User] = (),
) -> CourseUserGroup:
    """Make a cohort, of a course that has cohorts from now on; *partition* and *group*: what it stands for."""
    cohorts.set_course_cohorted(course_key, cohorted=True)
    made = cohorts.add_cohort(course_key, name)
    if partition is not None:
        CourseUserGroupPartitionGroup.objects.create(course_user_group=made, partition_id=partition, group_id=group)
    for user in members:
        cohorts.add_user_to_cohort(made, user)
    return made


def team(course_key: CourseKey, name: str, *, team_set: str, members: Iterable[User] = ()) -> CourseTeam:
    """Make a team of enrolled learners; its id is that of its group."""
    made = CourseTeam.create(name, course_key, description=name, topic_id=team_set)
    made.save()
    for user in members:
        made.add_user(user)
    return made


def tag(user: User, course_key: CourseKey, partition: int, group: int | str) -> None:
    """Put a learner into a group of a random partition, as the LMS remembers it."""
    set_course_tag(user, course_key, f"xblock.partition_service.partition_{partition}", str(group))


def mode(course_key: CourseKey, slug: str, *, expires: datetime | None = None) -> CourseMode:
    """Let the course be taken in this mode."""
    return CourseMode.objects.create(
        course_id=course_key, mode_slug=slug, mode_display_name=slug.title(), _expiration_datetime=expires
    )


def audit_and_verified(course_key: CourseKey, *, expires: datetime | None = None) -> None:
    """Let the course be taken for nothing, or for money until *expires*."""
    mode(course_key, CourseMode.AUDIT)
    mode(course_key, CourseMode.VERIFIED, expires=expires)


def gate(course_key: CourseKey, *, enabled: bool = True, since: datetime = LONG_AGO) -> ContentTypeGatingConfig:
    """Close graded content of the course to those who do not pay, and who enrolled after *since*."""
    overview(course_key)
    return ContentTypeGatingConfig.objects.create(course_id=course_key, enabled=enabled, enabled_as_of=since)


def draw(user: User, bank: UsageKey, selected: Iterable[UsageKey]) -> StudentModule:
    """Write which children of an item bank a learner has been given, in this order."""
    state = {"selected": [[key.block_type, key.block_id] for key in selected]}
    made, _ = StudentModule.objects.update_or_create(
        student=user,
        module_state_key=bank,
        course_id=bank.course_key,
        defaults={"module_type": bank.block_type, "state": json.dumps(state)},
    )
    return made
