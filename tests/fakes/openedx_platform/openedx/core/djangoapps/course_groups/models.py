"""Cohorts, in the tables of the LMS."""

from common.djangoapps.student.models import user_data
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from opaque_keys.edx.django.models import CourseKeyField
from openedx_events.learning.data import CohortData, CourseData
from openedx_events.learning.signals import COHORT_MEMBERSHIP_CHANGED


class CourseUserGroup(models.Model):
    COHORT = "cohort"

    name = models.CharField(max_length=255)
    users = models.ManyToManyField(User, db_index=True, related_name="course_groups")
    course_id = CourseKeyField(max_length=255, db_index=True)
    group_type = models.CharField(max_length=20, choices=((COHORT, "Cohort"),))

    class Meta:
        unique_together = (("name", "course_id"),)

    def __str__(self):
        return self.name

    @classmethod
    def create(cls, name, course_id, group_type=COHORT):
        return cls.objects.get_or_create(course_id=course_id, group_type=group_type, name=name)


class CohortMembership(models.Model):
    course_user_group = models.ForeignKey(CourseUserGroup, on_delete=models.CASCADE)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    course_id = CourseKeyField(max_length=255)

    class Meta:
        unique_together = (("user", "course_id"),)

    def __str__(self):
        return f"{self.user_id} in {self.course_user_group_id}"

    def save(self, **options):
        if self.course_id is None:
            self.course_id = self.course_user_group.course_id
        if self.course_user_group.course_id != self.course_id:
            raise ValidationError("Non-matching course_ids provided")
        # As in the LMS: told before the row is written, so whoever reads the table now reads the old cohort.
        COHORT_MEMBERSHIP_CHANGED.send_event(
            cohort=CohortData(
                user=user_data(self.user),
                course=CourseData(course_key=self.course_id),
                name=self.course_user_group.name,
            )
        )
        super().save(**options)

    @classmethod
    def assign(cls, cohort, user):
        """Put the user into the cohort, out of the one they were in; return the membership and that cohort."""
        with transaction.atomic():
            membership = cls.objects.select_for_update().filter(user=user, course_id=cohort.course_id).first()
            previous = membership.course_user_group if membership else None
            if previous == cohort:
                raise ValueError(f"User {user.username} already present in cohort {cohort.name}")
            if previous:
                previous.users.remove(user)
            membership = membership or cls(user=user, course_id=cohort.course_id)
            membership.course_user_group = cohort
            membership.save()
            cohort.users.add(user)
        return membership, previous


@receiver(pre_delete, sender=CohortMembership, dispatch_uid="course_groups.remove_user_from_cohort")
def remove_user_from_cohort(instance, **_):
    instance.course_user_group.users.remove(instance.user)
    instance.course_user_group.save()


class CourseUserGroupPartitionGroup(models.Model):
    course_user_group = models.OneToOneField(CourseUserGroup, on_delete=models.CASCADE)
    partition_id = models.IntegerField()
    group_id = models.IntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self):
        return f"{self.course_user_group_id}: {self.partition_id}/{self.group_id}"


class CourseCohortsSettings(models.Model):
    is_cohorted = models.BooleanField(default=False)
    course_id = CourseKeyField(unique=True, max_length=255, db_index=True)
    _cohorted_discussions = models.TextField(db_column="cohorted_discussions", null=True, blank=True)
    always_cohort_inline_discussions = models.BooleanField(default=False)

    def __str__(self):
        return f"{self.course_id}: {self.is_cohorted}"


class CourseCohort(models.Model):
    RANDOM = "random"
    MANUAL = "manual"

    course_user_group = models.OneToOneField(CourseUserGroup, related_name="cohort", on_delete=models.CASCADE)
    assignment_type = models.CharField(max_length=20, choices=((RANDOM, "Random"), (MANUAL, "Manual")), default=MANUAL)

    def __str__(self):
        return f"{self.course_user_group_id}: {self.assignment_type}"

    @classmethod
    def create(cls, cohort_name=None, course_id=None, course_user_group=None, assignment_type=MANUAL):
        if course_user_group is None:
            course_user_group, _ = CourseUserGroup.create(cohort_name, course_id)
        made, _ = cls.objects.get_or_create(
            course_user_group=course_user_group, defaults={"assignment_type": assignment_type}
        )
        return made
