"""What the rest of the LMS calls."""

import lms_counters
from django.conf import settings
from edx_when.field_data import DateOverrideTransformer
from openedx.core.djangoapps.content.block_structure.api import get_block_structure_manager
from openedx.core.djangoapps.content.block_structure.transformers import BlockStructureTransformers
from openedx.features.content_type_gating.block_transformers import ContentTypeGateTransformer

from lms.djangoapps.course_blocks.transformers import library_content, start_date, user_partitions, visibility
from lms.djangoapps.course_blocks.transformers.load_override_data import OverrideDataTransformer
from lms.djangoapps.course_blocks.usage_info import CourseUsageInfo

INDIVIDUAL_STUDENT_OVERRIDE_PROVIDER = (
    "lms.djangoapps.courseware.student_field_overrides.IndividualStudentOverrideProvider"
)


def has_individual_student_override_provider():
    """Return whether learners may have fields of their own."""
    return INDIVIDUAL_STUDENT_OVERRIDE_PROVIDER in getattr(settings, "FIELD_OVERRIDE_PROVIDERS", ())


def get_course_block_access_transformers(user):
    """Return the transformers that decide what this user may see."""
    transformers = [
        library_content.ContentLibraryTransformer(),
        library_content.ContentLibraryOrderTransformer(),
        start_date.StartDateTransformer(),
        ContentTypeGateTransformer(),
        user_partitions.UserPartitionTransformer(),
        visibility.VisibilityTransformer(),
        DateOverrideTransformer(user),
    ]
    if has_individual_student_override_provider():
        transformers.append(OverrideDataTransformer(user))
    return transformers


def get_course_blocks(  # noqa: PLR0917 (as in the LMS)
    user,
    starting_block_usage_key,
    transformers=None,
    collected_block_structure=None,
    allow_start_dates_in_future=False,
    include_completion=False,
    include_has_scheduled_content=False,
):
    """Return the structure that the user may see, from this block on. Writes what the user has not been given yet."""
    lms_counters.count("get_course_blocks")
    course_key = starting_block_usage_key.course_key
    if not transformers:
        transformers = BlockStructureTransformers(get_course_block_access_transformers(user))
    if include_completion:
        from lms.djangoapps.course_api.blocks.transformers.block_completion import BlockCompletionTransformer

        transformers += [BlockCompletionTransformer()]
    transformers.usage_info = CourseUsageInfo(
        course_key, user, allow_start_dates_in_future, include_has_scheduled_content
    )
    return get_block_structure_manager(course_key).get_transformed(
        transformers, starting_block_usage_key, collected_block_structure, user
    )
