"""Teams, in the tables of the LMS."""

from uuid import uuid4

from common.djangoapps.student.models import CourseEnrollment
from django.contrib.auth.models import User
from django.db import models
from django.utils.text import slugify
from opaque_keys.edx.django.models import CourseKeyField


class NotEnrolledInCourseForTeam(Exception):
    pass


class AlreadyOnTeamInTeamset(Exception):
    pass


class CourseTeam(models.Model):
    team_id = models.SlugField(max_length=255, unique=True)
    discussion_topic_id = models.SlugField(max_length=255, unique=True)
    name = models.CharField(max_length=255, db_index=True)
    course_id = CourseKeyField(max_length=255, db_index=True)
    topic_id = models.CharField(default="", max_length=255, db_index=True, blank=True)
    date_created = models.DateTimeField(auto_now_add=True)
    description = models.CharField(max_length=300)
    country = models.CharField(max_length=2, default="", blank=True)
    language = models.CharField(max_length=16, default="", blank=True)
    last_activity_at = models.DateTimeField(auto_now_add=True, db_index=True)
    users = models.ManyToManyField(
        User, db_index=True, related_name="teams", through="CourseTeamMembership", through_fields=("team", "user")
    )
    team_size = models.IntegerField(default=0, db_index=True)
    organization_protected = models.BooleanField(default=False)

    def __str__(self):
        return f"{self.name} in {self.course_id}"

    @classmethod
    def create(cls, name, course_id, description, topic_id="", **told):
        """Return a team that is not saved yet."""
        return cls(
            team_id=f"{slugify(name)}-{uuid4().hex}",
            discussion_topic_id=uuid4().hex,
            name=name,
            course_id=course_id,
            topic_id=topic_id,
            description=description,
            **told,
        )

    def add_user(self, user):
        if not CourseEnrollment.is_enrolled(user, self.course_id):
            raise NotEnrolledInCourseForTeam
        if CourseTeamMembership.user_in_team_for_teamset(user, self.course_id, self.topic_id):
            raise AlreadyOnTeamInTeamset
        return CourseTeamMembership.objects.create(user=user, team=self)


class CourseTeamMembership(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    team = models.ForeignKey(CourseTeam, related_name="membership", on_delete=models.CASCADE)
    date_joined = models.DateTimeField(auto_now_add=True)
    last_activity_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        unique_together = (("user", "team"),)

    def __str__(self):
        return f"{self.user_id} in team {self.team_id}"

    def save(self, *args, **options):
        is_new = self.pk is None
        super().save(*args, **options)
        if is_new:
            self._recount()

    def delete(self, *args, **options):
        super().delete(*args, **options)
        self._recount()

    def _recount(self):
        self.team.team_size = CourseTeamMembership.objects.filter(team=self.team).count()
        self.team.save()

    @classmethod
    def user_in_team_for_teamset(cls, user, course_id, topic_id):
        return cls.objects.filter(user=user, team__course_id=course_id, team__topic_id=topic_id).exists()
