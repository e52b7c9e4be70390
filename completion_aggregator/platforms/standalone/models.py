"""The tables of the standalone platform: courses and their versions, who is enrolled, and in which groups."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from opaque_keys.edx.django.models import CourseKeyField

APP_LABEL = "completion_aggregator_standalone"


class Course(models.Model):
    """A course that was imported."""

    course_key = CourseKeyField(max_length=255, unique=True, case_sensitive=True)
    title = models.CharField(max_length=255, blank=True)
    mobile_available = models.BooleanField(default=False)
    # Empty only while the first version is being written, in one transaction with the course.
    current = models.ForeignKey("CourseVersion", on_delete=models.SET_NULL, null=True, editable=False, related_name="+")

    class Meta:
        app_label = APP_LABEL

    def __str__(self) -> str:
        """Return the course key."""
        return str(self.course_key)


class CourseVersion(models.Model):
    """One content of a course, compiled. A version never changes, but for what was told of its grading.

    ``graded``: the keys of the blocks that count for the grade; null: nobody said.
    """

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64)
    graph = models.BinaryField()
    report = models.JSONField(default=dict)
    graded = models.JSONField(null=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = APP_LABEL
        constraints = [
            models.UniqueConstraint(fields=("course", "number"), name="standalone_version_number"),
            models.UniqueConstraint(fields=("course", "content_hash"), name="standalone_version_content"),
        ]

    def __str__(self) -> str:
        """Return the number and the start of the hash."""
        return f"version {self.number} ({self.content_hash[:12]})"


class Enrollment(models.Model):
    """A learner's place in a course; one that is not active stays, and counts for nothing."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="enrollments")
    mode = models.CharField(max_length=100, default="audit")
    is_active = models.BooleanField(default=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = APP_LABEL
        constraints = [models.UniqueConstraint(fields=("course", "user"), name="standalone_enrollment")]
        # The active learners of a course, by id, are read from the index alone.
        indexes = [models.Index(fields=("course", "is_active", "user"), name="standalone_active")]

    def __str__(self) -> str:
        """Return the mode and whether it is active."""
        return f"{self.mode} ({'active' if self.is_active else 'inactive'})"


class CourseRole(models.Model):
    """What a person may do, or see early, in a course."""

    class Role(models.TextChoices):
        """The roles that change what is visible."""

        STAFF = "staff"
        LIMITED_STAFF = "limited_staff"
        INSTRUCTOR = "instructor"
        BETA_TESTERS = "beta_testers"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="roles")
    role = models.CharField(max_length=20, choices=Role)

    class Meta:
        app_label = APP_LABEL
        constraints = [models.UniqueConstraint(fields=("course", "user", "role"), name="standalone_role")]

    def __str__(self) -> str:
        """Return the role."""
        return self.role


class Cohort(models.Model):
    """A named set of learners of a course, which may stand for one group of a user partition."""

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="cohorts")
    name = models.CharField(max_length=255)
    partition_id = models.IntegerField(null=True, blank=True)
    group_id = models.IntegerField(null=True, blank=True)

    class Meta:
        app_label = APP_LABEL
        constraints = [models.UniqueConstraint(fields=("course", "name"), name="standalone_cohort")]

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class CohortMembership(models.Model):
    """The one cohort of a learner in a course."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # The course of the cohort, again, so that the database holds a learner to one cohort per course.
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="+")
    cohort = models.ForeignKey(Cohort, on_delete=models.CASCADE, related_name="memberships")

    class Meta:
        app_label = APP_LABEL
        constraints = [models.UniqueConstraint(fields=("course", "user"), name="standalone_membership")]

    def __str__(self) -> str:
        """Return what the membership ties together."""
        return f"cohort {self.cohort_id}"


class GroupAssignment(models.Model):
    """The group that a learner was given in a partition of the ``random`` scheme."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="+")
    partition_id = models.IntegerField()
    group_id = models.IntegerField()

    class Meta:
        app_label = APP_LABEL
        constraints = [models.UniqueConstraint(fields=("course", "user", "partition_id"), name="standalone_assignment")]

    def __str__(self) -> str:
        """Return the partition and the group."""
        return f"partition {self.partition_id}: group {self.group_id}"


class LmsUser(models.Model):
    """Which of our users an account of the LMS is. ``named_at``: when the LMS told the username; null: not yet."""

    lms_id = models.BigIntegerField(unique=True)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    named_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = APP_LABEL

    def __str__(self) -> str:
        """Return the id that the LMS knows."""
        return f"LMS user {self.lms_id}"


class LastEvent(models.Model):
    """When the LMS last told something of a learner in a course; what it told before that changes nothing any more."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=40)  # the enrollment, the cohort, or one role
    moment = models.DateTimeField()

    class Meta:
        app_label = APP_LABEL
        constraints = [models.UniqueConstraint(fields=("user", "course", "subject"), name="standalone_last_event")]

    def __str__(self) -> str:
        """Return what was told when."""
        return f"{self.subject} at {self.moment}"


class RejectedEvent(models.Model):
    """An event of the LMS that could not be taken, without names and addresses of people."""

    event_id = models.CharField(max_length=36, unique=True)
    event_type = models.CharField(max_length=255)
    moment = models.DateTimeField(null=True)
    reason = models.CharField(max_length=255)
    data = models.TextField(blank=True)
    received = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = APP_LABEL

    def __str__(self) -> str:
        """Return the reason."""
        return self.reason


class LogPosition(models.Model):
    """How far the completions of a store of tracking logs are taken in; it moves with them, in one transaction.

    ``load_id`` tells whether the store is still the one that the position is of.
    """

    store = models.CharField(max_length=255, unique=True)
    position = models.CharField(max_length=100, blank=True)
    load_id = models.CharField(max_length=64, blank=True)
    moved = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = APP_LABEL

    def __str__(self) -> str:
        """Return the store and the place in it."""
        return f"{self.store}: {self.position or 'nothing yet'}"
