"""Enrollments and access roles, in the tables of the LMS."""

from django.contrib.auth.models import User
from django.db import models
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from eventtracking import tracker
from opaque_keys.edx.django.models import CourseKeyField
from openedx.core.djangoapps.content.course_overviews.models import CourseOverview
from openedx_events.learning.data import CourseData, CourseEnrollmentData, UserData, UserPersonalData
from openedx_events.learning.signals import (
    COURSE_ENROLLMENT_CHANGED,
    COURSE_ENROLLMENT_CREATED,
    COURSE_UNENROLLMENT_COMPLETED,
)

from common.djangoapps.student import signals

DEFAULT_MODE = "audit"


class EnrollStatusChange:
    enroll = "enroll"
    unenroll = "unenroll"


def user_data(user):
    return UserData(
        pii=UserPersonalData(username=user.username, email=user.email, name=user.get_full_name()),
        id=user.id,
        is_active=user.is_active,
    )


class CourseEnrollmentManager(models.Manager):
    def users_enrolled_in(self, course_id, include_inactive=False, verified_only=False):
        wanted = {"courseenrollment__course_id": course_id}
        if not include_inactive:
            wanted["courseenrollment__is_active"] = True
        if verified_only:
            wanted["courseenrollment__mode"] = "verified"
        return User.objects.filter(**wanted)

    def num_enrolled_in(self, course_id):
        return self.filter(course_id=course_id, is_active=True).count()

    def num_enrolled_in_exclude_admins(self, course_id):
        from common.djangoapps.student.roles import CourseCcxCoachRole, CourseInstructorRole, CourseStaffRole

        admins = set()
        for role in (CourseStaffRole, CourseInstructorRole, CourseCcxCoachRole):
            admins.update(role(course_id).users_with_role().values_list("id", flat=True))
        return self.filter(course_id=course_id, is_active=True).exclude(user_id__in=admins).count()


class CourseEnrollment(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    course = models.ForeignKey(CourseOverview, db_constraint=False, on_delete=models.DO_NOTHING)
    created = models.DateTimeField(auto_now_add=True, null=True, db_index=True)
    is_active = models.BooleanField(default=True)
    mode = models.CharField(default=DEFAULT_MODE, max_length=100)

    objects = CourseEnrollmentManager()

    class Meta:
        unique_together = (("user", "course"),)
        indexes = [models.Index(fields=["user", "-created"])]
        ordering = ("user", "course")

    def __str__(self):
        return f"[CourseEnrollment] {self.user_id}: {self.course_id}; active: ({self.is_active})"

    # --- reading ---

    @classmethod
    def get_enrollment(cls, user, course_key, select_related=None):
        if user.is_anonymous:
            return None
        return cls.objects.filter(user=user, course_id=course_key).first()

    @classmethod
    def is_enrolled(cls, user, course_key):
        found = cls.get_enrollment(user, course_key)
        return bool(found and found.is_active)

    @classmethod
    def enrollment_mode_for_user(cls, user, course_id):
        found = cls.get_enrollment(user, course_id)
        return (found.mode, found.is_active) if found else (None, None)

    @classmethod
    def enrollments_for_user(cls, user):
        return cls.objects.filter(user=user, is_active=True)

    # --- writing ---

    @classmethod
    def get_or_create_enrollment(cls, user, course_key):
        enrollment, _ = cls.objects.get_or_create(
            user=user, course_id=course_key, defaults={"mode": DEFAULT_MODE, "is_active": False}
        )
        return enrollment

    @classmethod
    def enroll(cls, user, course_key, mode=None, **_):
        """Of a new enrollment, first its change from inactive to active is told, then its creation."""
        enrollment = cls.get_or_create_enrollment(user, course_key)
        enrollment.update_enrollment(is_active=True, mode=mode or DEFAULT_MODE)
        enrollment.send_signal(EnrollStatusChange.enroll)
        COURSE_ENROLLMENT_CREATED.send_event(enrollment=enrollment.event_data())
        return enrollment

    @classmethod
    def unenroll(cls, user, course_id, skip_refund=False):
        found = cls.get_enrollment(user, course_id)
        if found:
            found.update_enrollment(is_active=False, skip_refund=skip_refund)

    def activate(self):
        self.update_enrollment(is_active=True)

    def deactivate(self):
        self.update_enrollment(is_active=False)

    def change_mode(self, mode):
        self.update_enrollment(mode=mode)

    def update_enrollment(self, mode=None, is_active=None, skip_refund=False, **_):
        activation_changed = is_active is not None and self.is_active != is_active
        mode_changed = bool(mode) and self.mode != mode
        if activation_changed:
            self.is_active = is_active
        if mode_changed:
            self.mode = mode
        if activation_changed or mode_changed:
            self.save()
            COURSE_ENROLLMENT_CHANGED.send_event(enrollment=self.event_data())
        if activation_changed:
            self._tell_of_activation(skip_refund)
        if mode_changed:
            self._emit("mode_changed")
            signals.ENROLLMENT_TRACK_UPDATED.send(
                sender=None, user=self.user, course_key=self.course_id, mode=self.mode, countdown=0
            )

    def send_signal(self, event, cost=None, currency=None):
        signals.ENROLL_STATUS_CHANGE.send(
            sender=None,
            event=event,
            user=self.user,
            mode=self.mode,
            course_id=self.course_id,
            cost=cost,
            currency=currency,
        )

    def event_data(self):
        return CourseEnrollmentData(
            user=user_data(self.user),
            course=CourseData(course_key=self.course_id),
            mode=self.mode,
            is_active=self.is_active,
            creation_date=self.created,
        )

    def _tell_of_activation(self, skip_refund):
        if self.is_active:
            self._emit("activated")
            return
        signals.UNENROLL_DONE.send(sender=None, course_enrollment=self, skip_refund=skip_refund)
        self._emit("deactivated")
        self.send_signal(EnrollStatusChange.unenroll)
        COURSE_UNENROLLMENT_COMPLETED.send_event(enrollment=self.event_data())

    def _emit(self, what):
        data = {"user_id": self.user_id, "course_id": str(self.course_id), "mode": self.mode}
        tracker.emit(f"edx.course.enrollment.{what}", data)


class FBEEnrollmentExclusion(models.Model):
    """An enrollment that is kept out of gating, to compare with."""

    enrollment = models.OneToOneField(CourseEnrollment, on_delete=models.DO_NOTHING)

    def __str__(self):
        return f"[FBEEnrollmentExclusion] {self.enrollment_id}"


class CourseAccessRole(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    org = models.CharField(max_length=64, db_index=True, blank=True)
    course_id = CourseKeyField(max_length=255, db_index=True, blank=True)
    role = models.CharField(max_length=64, db_index=True)

    class Meta:
        unique_together = ("user", "org", "course_id", "role")

    def __str__(self):
        return (
            f"[CourseAccessRole] user: {self.user_id}   role: {self.role}   org: {self.org}   course: {self.course_id}"
        )


@receiver(post_save, sender=CourseAccessRole, dispatch_uid="student.course_access_role_added")
def tell_of_role(instance, created, **_):
    if created:
        signals.emit_course_access_role_added(instance.user, instance.course_id, instance.org, instance.role)


@receiver(post_delete, sender=CourseAccessRole, dispatch_uid="student.course_access_role_removed")
def tell_of_lost_role(instance, **_):
    signals.emit_course_access_role_removed(instance.user, instance.course_id, instance.org, instance.role)
