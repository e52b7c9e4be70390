"""The roles of the forums, some of which the content-type gate does not close for."""

from django.contrib.auth.models import User
from django.db import models
from opaque_keys.edx.django.models import CourseKeyField

FORUM_ROLE_ADMINISTRATOR = "Administrator"
FORUM_ROLE_MODERATOR = "Moderator"
FORUM_ROLE_GROUP_MODERATOR = "Group Moderator"
FORUM_ROLE_COMMUNITY_TA = "Community TA"
FORUM_ROLE_STUDENT = "Student"


class Role(models.Model):
    name = models.CharField(max_length=30)
    users = models.ManyToManyField(User, related_name="roles")
    course_id = CourseKeyField(max_length=255, blank=True, db_index=True)

    class Meta:
        # From when the app was called django_comment_client.
        db_table = "django_comment_client_role"

    def __str__(self):
        return f"{self.name} for {self.course_id}"
