"""Grades that were computed, in the tables of the LMS; who has no row has no grade yet."""

from django.db import models
from model_utils.models import TimeStampedModel
from opaque_keys.edx.django.models import CourseKeyField, UsageKeyField


class PersistentCourseGrade(TimeStampedModel):
    id = models.BigAutoField(primary_key=True)
    user_id = models.IntegerField(blank=False, db_index=True)
    course_id = CourseKeyField(blank=False, max_length=255)
    course_edited_timestamp = models.DateTimeField("Last content edit timestamp", blank=True, null=True)
    course_version = models.CharField("Course content version identifier", blank=True, max_length=255)
    grading_policy_hash = models.CharField("Hash of grading policy", blank=False, max_length=255)
    percent_grade = models.FloatField(blank=False)
    letter_grade = models.CharField("Letter grade for course", blank=False, max_length=255)
    passed_timestamp = models.DateTimeField("Date learner earned a passing grade", blank=True, null=True)

    class Meta:
        unique_together = [("course_id", "user_id")]
        indexes = [
            models.Index(fields=["passed_timestamp", "course_id"], name="grades_cg_passed"),
            models.Index(fields=["modified", "course_id"], name="grades_cg_modified_course"),
            models.Index(fields=["modified"], name="grades_cg_modified"),
        ]

    def __str__(self):
        return f"{self.percent_grade} of {self.user_id} in {self.course_id}"


class PersistentSubsectionGrade(TimeStampedModel):
    id = models.BigAutoField(primary_key=True)
    user_id = models.IntegerField(blank=False)
    course_id = CourseKeyField(blank=False, max_length=255)
    usage_key = UsageKeyField(blank=False, max_length=255)
    subtree_edited_timestamp = models.DateTimeField("Last content edit timestamp", blank=True, null=True)
    course_version = models.CharField("Guid of latest course version", blank=True, max_length=255)
    earned_all = models.FloatField(blank=False)
    possible_all = models.FloatField(blank=False)
    earned_graded = models.FloatField(blank=False)
    possible_graded = models.FloatField(blank=False)
    first_attempted = models.DateTimeField(null=True, blank=True)
    visible_blocks_hash = models.CharField(max_length=100)

    class Meta:
        unique_together = [("course_id", "user_id", "usage_key")]
        indexes = [
            models.Index(fields=["modified", "course_id", "usage_key"], name="grades_sg_modified"),
            models.Index(fields=["first_attempted", "course_id", "user_id"], name="grades_sg_attempted"),
        ]

    def __str__(self):
        return f"{self.earned_all}/{self.possible_all} of {self.user_id} in {self.usage_key}"
