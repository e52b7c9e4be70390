"""What is kept of a user in a course by key, such as the random group of a partition; and who is to be retired."""

from django.contrib.auth.models import User
from django.db import models
from opaque_keys.edx.django.models import CourseKeyField


class UserCourseTag(models.Model):
    user = models.ForeignKey(User, db_index=True, related_name="+", on_delete=models.CASCADE)
    key = models.CharField(max_length=255, db_index=True)
    course_id = CourseKeyField(max_length=255, db_index=True)
    value = models.TextField()

    class Meta:
        unique_together = ("user", "course_id", "key")

    def __str__(self):
        return f"{self.key} of {self.user_id} in {self.course_id}"


class UserRetirementStatus(models.Model):
    user = models.OneToOneField(User, related_name="+", on_delete=models.CASCADE)
    original_username = models.CharField(max_length=150, db_index=True)

    def __str__(self):
        return f"retirement of {self.user_id}"
