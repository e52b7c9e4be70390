"""Dates of blocks, and of learners who were given others."""

from django.conf import settings
from django.db import models
from opaque_keys.edx.django.models import CourseKeyField, UsageKeyField


class DatePolicy(models.Model):
    """A date, or days after the beginning."""

    abs_date = models.DateTimeField(null=True, blank=True, db_index=True)
    rel_date = models.DurationField(null=True, blank=True, db_index=True)

    def __str__(self):
        return str(self.abs_date or self.rel_date)


class ContentDate(models.Model):
    """A date field of a block."""

    course_id = CourseKeyField(db_index=True, max_length=255)
    policy = models.ForeignKey(DatePolicy, on_delete=models.CASCADE)
    location = UsageKeyField(null=True, default=None, db_index=True, max_length=255)
    field = models.CharField(max_length=255, default="")
    active = models.BooleanField(default=True)
    block_type = models.CharField(max_length=255, null=True)

    class Meta:
        unique_together = ("policy", "location", "field")

    def __str__(self):
        return f"{self.location} {self.field}"


class UserDate(models.Model):
    """What one learner has in its place."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    content_date = models.ForeignKey(ContentDate, on_delete=models.CASCADE)
    abs_date = models.DateTimeField(null=True, blank=True)
    rel_date = models.DurationField(null=True, blank=True)

    def __str__(self):
        return f"{self.user_id} {self.content_date_id}"
