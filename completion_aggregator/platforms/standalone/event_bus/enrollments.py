"""Enrollments, cohorts and roles. Of two events about one thing, the one that the LMS sent later stands."""

from datetime import datetime
from typing import Any, Final

from completion_aggregator.platforms.standalone.event_bus.accounts import Account, user_of
from completion_aggregator.platforms.standalone.event_bus.effects import Effect
from completion_aggregator.platforms.standalone.event_bus.places import course_in, course_key_in
from completion_aggregator.platforms.standalone.imports.courses import UnfitRow
from completion_aggregator.platforms.standalone.imports.enrollments import LONGEST_MODE
from completion_aggregator.platforms.standalone.models import (
    Cohort,
    CohortMembership,
    CourseRole,
    Enrollment,
    LastEvent,
)

ENROLLMENT: Final = "enrollment"
COHORT: Final = "cohort"
LONGEST_NAME: Final = 255


def take_enrollment(told: Any, moment: datetime) -> Effect:
    """Store an enrollment as it was made or changed, in a transaction. Raises UnfitRow."""
    return _store_enrollment(told, moment, is_active=bool(told.is_active))


def take_unenrollment(told: Any, moment: datetime) -> Effect:
    """Store that an enrollment ended, in a transaction. Raises UnfitRow."""
    return _store_enrollment(told, moment, is_active=False)


def take_cohort(told: Any, moment: datetime) -> Effect:
    """Store the one cohort of a learner, in a transaction. Raises UnfitRow."""
    if not told.name or len(told.name) > LONGEST_NAME:
        raise UnfitRow(f"the name of the cohort does not have 1 to {LONGEST_NAME} characters")
    found = _learner(told, moment, COHORT)
    if isinstance(found, Effect):
        return found
    cohort, _ = Cohort.objects.get_or_create(course_id=found["course_id"], name=told.name)
    held = CohortMembership.objects.filter(**found).first()
    if held is not None and held.cohort_id == cohort.pk:
        return Effect.UNCHANGED
    membership = held or CohortMembership(**found)
    membership.cohort = cohort
    membership.save()
    return Effect.WRITTEN


def take_new_role(told: Any, moment: datetime) -> Effect:
    """Store a role in a course, in a transaction. Raises UnfitRow."""
    found = _role_holder(told, moment)
    if isinstance(found, Effect):
        return found
    _, is_new = CourseRole.objects.get_or_create(**found, role=told.role)
    return Effect.WRITTEN if is_new else Effect.UNCHANGED


def take_lost_role(told: Any, moment: datetime) -> Effect:
    """Remove a role in a course, in a transaction. Raises UnfitRow."""
    found = _role_holder(told, moment)
    if isinstance(found, Effect):
        return found
    # One by one: each tells the signals that its learner changed.
    removed, _ = CourseRole.objects.filter(**found, role=told.role).delete()
    return Effect.WRITTEN if removed else Effect.UNCHANGED


def _store_enrollment(told: Any, moment: datetime, *, is_active: bool) -> Effect:
    if not told.mode or len(told.mode) > LONGEST_MODE:
        raise UnfitRow(f"the mode does not have 1 to {LONGEST_MODE} characters")
    found = _learner(told, moment, ENROLLMENT)
    if isinstance(found, Effect):
        return found
    told_of = {"mode": told.mode, "is_active": is_active, "created": told.creation_date or moment}
    held = Enrollment.objects.filter(**found).first()
    if held is not None and told_of == {name: getattr(held, name) for name in told_of}:
        return Effect.UNCHANGED
    enrollment = held or Enrollment(**found)
    for name, value in told_of.items():
        setattr(enrollment, name, value)
    enrollment.save()
    return Effect.WRITTEN


def _role_holder(told: Any, moment: datetime) -> dict[str, Any] | Effect:
    # Without a course it is the role in an organisation; other roles show nobody more or less.
    if told.course_key is None or told.role not in CourseRole.Role.values:
        return Effect.IGNORED
    return _learner(told, moment, f"role {told.role}")


def _learner(told: Any, moment: datetime, subject: str) -> dict[str, Any] | Effect:
    """Return whom and which course the event is about; or an effect, where it is not to be taken."""
    of_course = getattr(told, "course", None)
    key = course_key_in(str(of_course.course_key if of_course is not None else told.course_key))
    if key is None:
        return Effect.IGNORED
    course = course_in(key, title=getattr(of_course, "display_name", "") or "")
    user = user_of(Account(told.user.id, told.user.pii.username, moment))
    learner = {"user_id": user.pk, "course_id": course.pk}
    return learner if _is_latest(learner, subject, moment) else Effect.UNCHANGED


def _is_latest(learner: dict[str, Any], subject: str, moment: datetime) -> bool:
    """Say whether nothing later was told of this, and remember the moment. The row is the lock of its subject."""
    last, is_new = LastEvent.objects.select_for_update().get_or_create(
        **learner, subject=subject, defaults={"moment": moment}
    )
    if is_new or moment <= last.moment:
        return is_new or moment == last.moment
    last.moment = moment
    last.save(update_fields=["moment"])
    return True
