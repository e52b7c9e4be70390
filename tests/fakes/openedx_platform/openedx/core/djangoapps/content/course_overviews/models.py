"""What the LMS keeps of each course, to list it without the modulestore."""

from django.db import models
from model_utils.models import TimeStampedModel
from opaque_keys.edx.django.models import CourseKeyField, UsageKeyField


class CourseOverview(TimeStampedModel):
    VERSION = 19

    version = models.IntegerField()
    id = CourseKeyField(db_index=True, primary_key=True, max_length=255)
    _location = UsageKeyField(max_length=255)
    org = models.TextField(max_length=255, default="outdated_entry")
    display_name = models.TextField(null=True)
    display_number_with_default = models.TextField(default="")
    display_org_with_default = models.TextField(default="")
    start = models.DateTimeField(null=True)
    end = models.DateTimeField(null=True)
    # Dead columns: nobody reads them.
    start_date = models.DateTimeField(null=True)
    end_date = models.DateTimeField(null=True)
    advertised_start = models.TextField(null=True)
    announcement = models.DateTimeField(null=True)
    course_image_url = models.TextField(default="")
    social_sharing_url = models.TextField(null=True)
    end_of_course_survey_url = models.TextField(null=True)
    certificates_display_behavior = models.TextField(null=True)
    certificates_show_before_end = models.BooleanField(default=False)
    certificate_available_date = models.DateTimeField(default=None, null=True)
    cert_html_view_enabled = models.BooleanField(default=False)
    has_any_active_web_certificate = models.BooleanField(default=False)
    cert_name_short = models.TextField(default="")
    cert_name_long = models.TextField(default="")
    lowest_passing_grade = models.DecimalField(max_digits=5, decimal_places=2, null=True)
    days_early_for_beta = models.FloatField(null=True)
    mobile_available = models.BooleanField(default=False)
    visible_to_staff_only = models.BooleanField(default=False)
    enrollment_start = models.DateTimeField(null=True)
    enrollment_end = models.DateTimeField(null=True)
    enrollment_domain = models.TextField(null=True)
    invitation_only = models.BooleanField(default=False)
    max_student_enrollments_allowed = models.IntegerField(null=True)
    catalog_visibility = models.TextField(null=True)
    short_description = models.TextField(null=True)
    course_video_url = models.TextField(null=True)
    effort = models.TextField(null=True)
    self_paced = models.BooleanField(default=False)
    marketing_url = models.TextField(null=True)
    eligible_for_financial_aid = models.BooleanField(default=True)
    language = models.TextField(null=True)
    entrance_exam_enabled = models.BooleanField(default=False)
    entrance_exam_id = models.CharField(max_length=255, blank=True)
    entrance_exam_minimum_score_pct = models.FloatField(default=0.65)
    has_highlights = models.BooleanField(null=True, default=None)
    force_on_flexible_peer_openassessments = models.BooleanField(default=False)

    def __str__(self):
        return str(self.id)

    @property
    def location(self):
        return self._location

    @property
    def display_name_with_default(self):
        return self.display_name or self.id.course

    @classmethod
    def get_from_id(cls, course_id):
        """Return the row, made from the modulestore where it was missing."""
        try:
            return cls.objects.get(id=course_id)
        except cls.DoesNotExist:
            return cls.load_from_module_store(course_id)

    @classmethod
    def load_from_module_store(cls, course_id):
        from xmodule.modulestore.django import modulestore

        course = modulestore().get_course(course_id)
        if course is None:
            raise cls.DoesNotExist
        return cls._create(course_id, course)

    @classmethod
    def _create(cls, course_id, course):
        from xmodule.modulestore.django import modulestore

        names = ("display_name", "start", "end", "self_paced", "mobile_available", "days_early_for_beta")
        told = {name: getattr(course, name, None) for name in names}
        overview, _ = cls.objects.update_or_create(
            id=course_id,
            defaults={name: value for name, value in told.items() if value is not None}
            | {
                "version": cls.VERSION,
                "org": course_id.org,
                "_location": modulestore().make_course_usage_key(course_id),
            },
        )
        return overview

    @classmethod
    def get_all_course_keys(cls):
        return list(cls.objects.values_list("id", flat=True))
