"""The state of learners in blocks, in the table of the LMS."""

from django.contrib.auth.models import User
from django.db import models
from opaque_keys.edx.django.models import LearningContextKeyField, UsageKeyField


class StudentModule(models.Model):
    id = models.BigAutoField(primary_key=True)
    module_type = models.CharField(max_length=32, db_index=True)
    module_state_key = UsageKeyField(max_length=255, db_column="module_id")
    student = models.ForeignKey(User, db_index=True, db_constraint=False, on_delete=models.CASCADE)
    course_id = LearningContextKeyField(max_length=255, db_index=True)
    state = models.TextField(null=True, blank=True)
    grade = models.FloatField(null=True, blank=True, db_index=True)
    max_grade = models.FloatField(null=True, blank=True)
    done = models.CharField(
        max_length=8,
        choices=(("na", "NOT_APPLICABLE"), ("f", "FINISHED"), ("i", "INCOMPLETE")),
        default="na",
    )
    created = models.DateTimeField(auto_now_add=True, db_index=True)
    modified = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        unique_together = (("student", "module_state_key", "course_id"),)
        indexes = [models.Index(fields=["module_state_key", "grade", "student"], name="courseware_stats")]

    def __str__(self):
        return f"state of {self.student_id} in {self.module_state_key}"
