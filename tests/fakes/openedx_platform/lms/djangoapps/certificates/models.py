"""Certificates, in the table of the LMS."""

import uuid

from django.contrib.auth.models import User
from django.db import models
from opaque_keys.edx.django.models import CourseKeyField


class CertificateStatuses:
    downloadable = "downloadable"
    notpassing = "notpassing"
    unavailable = "unavailable"


class GeneratedCertificate(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    course_id = CourseKeyField(max_length=255, blank=True, default=None)
    verify_uuid = models.CharField(max_length=32, blank=True, default="", db_index=True)
    grade = models.CharField(max_length=5, blank=True, default="")
    key = models.CharField(max_length=32, blank=True, default="")
    distinction = models.BooleanField(default=False)
    status = models.CharField(max_length=32, default=CertificateStatuses.unavailable)
    mode = models.CharField(max_length=32, default="honor")
    name = models.CharField(blank=True, max_length=255)
    created_date = models.DateTimeField(auto_now_add=True)
    modified_date = models.DateTimeField(auto_now=True)
    download_uuid = models.CharField(max_length=32, blank=True, default="")
    download_url = models.CharField(max_length=128, blank=True, default="")
    error_reason = models.CharField(max_length=512, blank=True, default="")

    class Meta:
        unique_together = (("user", "course_id"),)

    def __str__(self):
        return f"{self.status} certificate of {self.user_id} in {self.course_id}"

    def save(self, *args, **options):
        self.verify_uuid = self.verify_uuid or uuid.uuid4().hex
        super().save(*args, **options)
