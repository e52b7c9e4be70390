"""What a change of the platform's rows means for stored progress: that learner is stale, once however often it changes.

Bulk writers (the imports, the demo) send no signals and mark the learners themselves.
"""

from collections.abc import Collection, Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete, post_save, pre_delete

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
    pre_delete.connect(mark_last_members, sender=Cohort, dispatch_uid="standalone-deleted-Cohort")
    post_save.connect(mark_courses, sender=get_user_model(), dispatch_uid="standalone-saved-user")


def mark_learner(sender: type[Model], instance: Row, *, raw: bool = False, origin: object = None, **_: Any) -> None:
    """Mark the learner of a row that was saved or deleted."""
    # Of a learner or a course that is going away, nothing is left to bring up to date; a cohort marks its members.
    if not raw and _model_of(origin) not in (Course, Cohort, get_user_model()):
        _mark(instance.course, [instance.user_id])


def mark_members(sender: type[Model], instance: Cohort, *, raw: bool = False, created: bool, **_: Any) -> None:
    """Mark the members of a cohort that may stand for another group now."""
    if not raw and not created:
        _mark(instance.course, _members(instance))


def mark_last_members(sender: type[Model], instance: Cohort, *, origin: object = None, **_: Any) -> None:
    """Mark the members of a cohort that is about to be deleted, all at once."""
    if _model_of(origin) is not Course:
        _mark(instance.course, _members(instance))


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
    enrollments = Enrollment.objects.filter(user_id=instance.pk, is_active=True, course__current__isnull=False)
    for enrollment in enrollments.select_related("course"):
        aggregation.sights_changed(enrollment.course.course_key, [instance.pk], learning=[instance.pk])


def _mark(course: Course, user_ids: Collection[int]) -> None:
    """Mark these learners: five queries, or six and a savepoint where something of them waits."""
    # Nobody can be brought up to date in a course without content; its first import marks everybody.
    if course.current_id is None or not user_ids:
        return
    enrolled = Enrollment.objects.filter(course=course, user_id__in=user_ids, is_active=True)
    learning = set(enrolled.values_list("user_id", flat=True))
    aggregation.sights_changed(course.course_key, user_ids, learning=learning)


def _members(cohort: Cohort) -> list[int]:
    return list(cohort.memberships.values_list("user_id", flat=True))


def _model_of(origin: object) -> type:
    return origin.model if isinstance(origin, QuerySet) else type(origin)
