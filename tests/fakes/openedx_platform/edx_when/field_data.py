"""Dates that learners have been given."""

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer

from edx_when.models import ContentDate, UserDate


class DateOverrideTransformer(BlockStructureTransformer):
    """Puts the dates of a learner into the fields of blocks; takes nothing out, for starts have been looked at."""

    WRITE_VERSION = 1
    READ_VERSION = 1

    def __init__(self, user):
        self.user = user

    @classmethod
    def name(cls):
        return "load_date_data"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields("due", "start", "end")

    def transform(self, usage_info, block_structure):
        dates = ContentDate.objects.filter(course_id=usage_info.course_key, active=True).select_related("policy")
        found = {(each.location, each.field): each.policy.abs_date for each in dates}
        mine = UserDate.objects.filter(
            user=self.user, content_date__course_id=usage_info.course_key
        ).select_related("content_date")  # fmt: skip
        found |= {(each.content_date.location, each.content_date.field): each.abs_date for each in mine}
        for (location, field), date in found.items():
            if location in block_structure and date is not None:
                block_structure.override_xblock_field(location, field, date)
