from django.contrib.auth.models import User
from django.db import models
from opaque_keys.edx.django.models import CourseKeyField


class RoleAssignment(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    org = models.CharField(max_length=64)
    course_id = CourseKeyField(max_length=255)
    role = models.CharField(max_length=64)

    class Meta:
        unique_together = ("user", "course_id", "role")

    def __str__(self):
        return f"{self.user_id} is {self.role} of {self.course_id}"
