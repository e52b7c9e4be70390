"""The task that collects a course some time after it was published."""

from celery import shared_task
from opaque_keys.edx.keys import CourseKey

from openedx.core.djangoapps.content.block_structure import api


@shared_task(name="openedx.core.djangoapps.content.block_structure.tasks.update_course_in_cache_v2")
def update_course_in_cache_v2(**kwargs):
    """Collect the course ``course_id``, if it is needed."""
    api.update_course_in_cache(CourseKey.from_string(kwargs["course_id"]))
