"""Which version of each course is the draft, and which one learners get."""

from django.db import models
from opaque_keys.edx.django.models import LearningContextKeyField


class SplitModulestoreCourseIndex(models.Model):
    """One course: the versions of its branches."""

    id = models.BigAutoField(primary_key=True)
    objectid = models.CharField(max_length=24, unique=True)
    # The only key column of the LMS that tells upper case from lower case on every database.
    course_id = LearningContextKeyField(max_length=255, db_index=True, unique=True, case_sensitive=True)
    org = models.CharField(max_length=255, db_index=True)
    draft_version = models.CharField(max_length=24, blank=True)
    published_version = models.CharField(max_length=24, blank=True)
    library_version = models.CharField(max_length=24, blank=True)
    wiki_slug = models.CharField(max_length=255, db_index=True, blank=True)
    base_store = models.CharField(max_length=20)
    edited_on = models.DateTimeField()
    last_update = models.DateTimeField()
    edited_by_id = models.IntegerField(null=True)

    class Meta:
        app_label = "split_modulestore_django"

    def __str__(self):
        return f"{self.course_id} ({self.published_version})"
