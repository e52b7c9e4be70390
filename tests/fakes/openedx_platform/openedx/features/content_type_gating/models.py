"""For which courses graded content is closed to those who did not pay, and since when."""

from common.djangoapps.course_modes.models import CourseMode
from django.contrib.auth.models import User
from django.contrib.sites.models import Site
from django.db import models
from django.db.models import Q
from lms_counters import now

from openedx.core.djangoapps.content.course_overviews.models import CourseOverview


class ContentTypeGatingConfig(models.Model):
    """One row per change; of each level the newest counts, and what is narrower wins where it says something."""

    FIELDS = ("enabled", "enabled_as_of", "studio_override_enabled")

    change_date = models.DateTimeField(auto_now_add=True)
    changed_by = models.ForeignKey(User, null=True, editable=False, on_delete=models.PROTECT)
    enabled = models.BooleanField(default=None, null=True)
    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.CASCADE)
    org = models.CharField(max_length=255, db_index=True, null=True, blank=True)
    org_course = models.CharField(max_length=255, db_index=True, null=True, blank=True)
    course = models.ForeignKey(CourseOverview, null=True, blank=True, on_delete=models.DO_NOTHING)
    enabled_as_of = models.DateTimeField(default=None, null=True, blank=True)
    studio_override_enabled = models.BooleanField(default=None, null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["site", "org", "course"]),
            models.Index(fields=["site", "org", "org_course", "course"]),
        ]

    def __str__(self):
        return f"gating of {self.course_id or self.org or 'all'}: {self.enabled}"

    @classmethod
    def current(cls, site=None, org=None, org_course=None, course_key=None):
        """Return the effective settings, as a row that is not saved."""
        org = course_key.org if course_key else org
        org_course = f"{course_key.org}+{course_key.course}" if course_key else org_course
        rows = cls.objects.filter(
            Q(site=None) | Q(site=site),
            Q(org=None) | Q(org=org),
            Q(org_course=None) | Q(org_course=org_course),
            Q(course__isnull=True) | Q(course_id=course_key) if course_key else Q(course__isnull=True),
        ).order_by("id")
        effective = cls(enabled=False)
        for row in sorted({each.level: each for each in rows}.values(), key=lambda row: row.level):
            for name in cls.FIELDS:
                if getattr(row, name) is not None:
                    setattr(effective, name, getattr(row, name))
        return effective

    @property
    def level(self):
        return tuple(value is not None for value in (self.course_id, self.org_course, self.org, self.site_id))

    @classmethod
    def enabled_for_course(cls, course_key):
        return cls.current(course_key=course_key).enabled_as_of_datetime(now())

    @classmethod
    def enabled_for_enrollment(cls, user=None, course_key=None, user_partition=None):
        """Whether the gate is closed for this learner by her enrollment; roles are the partition scheme's business."""
        from common.djangoapps.student.models import CourseEnrollment, FBEEnrollmentExclusion

        enrollment = CourseEnrollment.get_enrollment(user, course_key)
        if enrollment and FBEEnrollmentExclusion.objects.filter(enrollment=enrollment).exists():
            return False
        if enrollment and enrollment.is_active and enrollment.mode != CourseMode.AUDIT:
            return False
        modes = CourseMode.modes_for_course_dict(course_key, include_expired=True)
        if not {CourseMode.AUDIT, CourseMode.VERIFIED} <= set(modes):
            return False
        return cls.current(course_key=course_key).enabled_as_of_datetime(enrollment.created if enrollment else now())

    def enabled_as_of_datetime(self, target):
        return bool(self.enabled and self.enabled_as_of and self.enabled_as_of <= target)
