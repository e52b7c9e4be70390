"""The modes that a course may be taken in."""

from datetime import datetime
from typing import NamedTuple

from django.db import models
from django.db.models import Q
from lms_counters import now
from openedx.core.djangoapps.content.course_overviews.models import CourseOverview


class Mode(NamedTuple):
    slug: str
    name: str
    min_price: int
    currency: str
    expiration_datetime: datetime | None


class CourseMode(models.Model):
    course = models.ForeignKey(
        CourseOverview, db_constraint=False, db_index=True, related_name="modes", on_delete=models.DO_NOTHING
    )
    mode_slug = models.CharField(max_length=100)
    mode_display_name = models.CharField(max_length=255)
    min_price = models.IntegerField(default=0)
    currency = models.CharField(default="usd", max_length=8)
    expiration_date = models.DateField(default=None, null=True, blank=True)
    _expiration_datetime = models.DateTimeField(default=None, null=True, blank=True, db_column="expiration_datetime")
    expiration_datetime_is_explicit = models.BooleanField(default=False)
    suggested_prices = models.CharField(max_length=255, blank=True, default="")
    description = models.TextField(null=True, blank=True)
    sku = models.CharField(max_length=255, null=True, blank=True)

    HONOR = "honor"
    PROFESSIONAL = "professional"
    NO_ID_PROFESSIONAL_MODE = "no-id-professional"
    VERIFIED = "verified"
    AUDIT = "audit"
    CREDIT_MODE = "credit"
    MASTERS = "masters"
    VERIFIED_MODES = (VERIFIED, PROFESSIONAL, MASTERS)
    CREDIT_MODES = (CREDIT_MODE,)
    DEFAULT_MODE_SLUG = AUDIT
    DEFAULT_MODE = Mode(AUDIT, "Audit", 0, "usd", None)

    class Meta:
        unique_together = ("course", "mode_slug", "currency")

    def __str__(self):
        return f"{self.course_id} : {self.mode_slug}, min={self.min_price}"

    @property
    def expiration_datetime(self):
        return self._expiration_datetime

    @expiration_datetime.setter
    def expiration_datetime(self, value):
        self._expiration_datetime = value

    @classmethod
    def modes_for_course(cls, course_id, include_expired=False, only_selectable=True, **_):
        """A course without rows has the default mode."""
        found = cls.objects.filter(course_id=course_id).order_by("id")
        if not include_expired:
            found = found.filter(Q(_expiration_datetime__isnull=True) | Q(_expiration_datetime__gte=now()))
        if only_selectable:
            found = found.exclude(mode_slug__in=cls.CREDIT_MODES)
        return [each.to_tuple() for each in found] or [cls.DEFAULT_MODE]

    @classmethod
    def modes_for_course_dict(cls, course_id=None, modes=None, **options):
        modes = cls.modes_for_course(course_id, **options) if modes is None else modes
        return {mode.slug: mode for mode in modes}

    @classmethod
    def verified_mode_for_course(cls, course_id=None, modes=None, include_expired=False, **_):
        found = cls.modes_for_course_dict(course_id, modes, include_expired=include_expired)
        return found.get(cls.VERIFIED) or found.get(cls.PROFESSIONAL)

    @classmethod
    def has_verified_mode(cls, modes_by_slug):
        return any(slug in modes_by_slug for slug in cls.VERIFIED_MODES)

    def to_tuple(self):
        return Mode(self.mode_slug, self.mode_display_name, self.min_price, self.currency, self.expiration_datetime)
