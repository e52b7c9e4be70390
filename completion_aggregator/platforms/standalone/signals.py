"""What a change of the platform's rows means for stored progress: that learner is stale.

Bulk writers (the imports, the demo) send no signals and mark the learners themselves.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete, post_save

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.models import (
    Cohort,
    CohortMembership,
    Course,
    CourseRole,
    Enrollment,
    GroupAssignment,
)

OF_ONE_LEARNER = (Enrollment, CourseRole, CohortMembership, GroupAssignment)

Row = Enrollment | CourseRole | CohortMembership | GroupAssignment


def connect() -> None:
    """Connect the receivers."""
    for model in OF_ONE_LEARNER:
        post_save.connect(mark_learner, sender=model, dispatch_uid=f"standalone-saved-{model.__name__}")
        post_delete.connect(mark_learner, sender=model, dispatch_uid=f"standalone-deleted-{model.__name__}")
    post_save.connect(mark_members, sender=Cohort, dispatch_uid="standalone-saved-Cohort")
    post_save.connect(mark_courses, sender=get_user_model(), dispatch_uid="standalone-saved-user")


def mark_learner(sender: type[Model], instance: Row, *, raw: bool = False, origin: object = None, **_: Any) -> None:
    """Mark the learner of a row that was saved or deleted."""
    # Of a learner or a course that is going away, nothing is left to bring up to date.
    if raw or _model_of(origin) in (Course, get_user_model()):
        return
    # Nobody can be brought up to date in a course without content; its first import marks everybody.
    if instance.course.current_id is None:
        return
    aggregation.mark_stale(instance.user.get_username(), instance.course.course_key)


def mark_members(sender: type[Model], instance: Cohort, *, raw: bool = False, created: bool, **_: Any) -> None:
    """Mark the members of a cohort that may stand for another group now."""
    if raw or created:
        return
    members = instance.memberships.values_list("user_id", flat=True)
    aggregation.mark_course_stale(instance.course.course_key, user_ids=list(members))


def mark_courses(
    sender: type[Model],
    instance: AbstractBaseUser,
    *,
    raw: bool = False,
    created: bool,
    update_fields: Iterable[str] | None = None,
    **_: Any,
) -> None:
    """Mark a learner everywhere when staff access may have changed."""
    # Django saves `last_login` alone at each login.
    if raw or created or (update_fields is not None and not {"is_staff", "is_active"} & set(update_fields)):
        return
    for enrollment in Enrollment.objects.filter(user_id=instance.pk, is_active=True).select_related("course"):
        aggregation.mark_stale(instance.get_username(), enrollment.course.course_key)


def _model_of(origin: object) -> type:
    return origin.model if isinstance(origin, QuerySet) else type(origin)
