"""Blocks that have not begun."""

from datetime import timedelta

import lms_counters
from common.djangoapps.student.roles import CourseBetaTesterRole
from django.conf import settings
from openedx.core.djangoapps.content.block_structure.transformer import FilteringTransformerMixin
from xmodule.course_metadata_utils import DEFAULT_START_DATE

from lms.djangoapps.course_blocks.transformers.merging import collect_merged, own_value
from lms.djangoapps.courseware.masquerade import get_course_masquerade, is_masquerading_as_student


class StartDateTransformer(FilteringTransformerMixin):
    """Takes out blocks that begin later: by their own date, or by that of every parent."""

    WRITE_VERSION = 1
    READ_VERSION = 1
    MERGED_START_DATE = "merged_start_date"

    @classmethod
    def name(cls):
        return "start_date"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields("days_early_for_beta")
        collect_merged(block_structure, cls, cls.MERGED_START_DATE, _later)

    def transform_block_filters(self, usage_info, block_structure):
        if usage_info.has_staff_access or usage_info.allow_start_dates_in_future:
            return [block_structure.create_universal_filter()]

        def is_to_come(key):
            start = block_structure.get_transformer_block_field(key, self, self.MERGED_START_DATE)
            early = block_structure.get_xblock_field(key, "days_early_for_beta")
            return not has_begun(usage_info.user, usage_info.course_key, start=start, days_early=early)

        return [block_structure.create_removal_filter(is_to_come)]


def has_begun(user, course_key, *, start, days_early):
    """Return whether a block that begins then is open to the user: strictly after that moment."""
    disabled = getattr(settings, "DISABLE_START_DATES", None) or settings.FEATURES.get("DISABLE_START_DATES")
    if disabled and not is_masquerading_as_student(user, course_key):
        return True
    if start is None or get_course_masquerade(user, course_key):
        return True
    if days_early is not None and CourseBetaTesterRole(course_key).has_user(user):
        start -= timedelta(days=days_early)
    return lms_counters.now() > start


def _later(block, above):
    own = own_value(block, "start")
    if not above:
        return DEFAULT_START_DATE if own is None else own
    return min(above) if own is None else max(own, min(above))
