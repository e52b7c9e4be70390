"""What the rest of the LMS calls."""

import lms_counters
from django.core.cache import cache

from openedx.core.djangoapps.content.block_structure.manager import BlockStructureManager


def get_course_in_cache(course_key):
    """Return the collected structure of the course, which is collected now if there is none."""
    lms_counters.count("get_course_in_cache")
    return get_block_structure_manager(course_key).get_collected()


def update_course_in_cache(course_key):
    """Collect the course again if what is stored is not what is published."""
    get_block_structure_manager(course_key).update_collected_if_needed()


def clear_course_from_cache(course_key):
    """Forget what was collected of the course. Raises BlockStructureNotFound."""
    get_block_structure_manager(course_key).clear()


def get_block_structure_manager(course_key):
    """Return the manager of the course's structure."""
    from xmodule.modulestore.django import modulestore

    store = modulestore()
    return BlockStructureManager(store.make_course_usage_key(course_key), store, cache)
