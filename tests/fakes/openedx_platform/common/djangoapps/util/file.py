"""Names of files."""

from django.utils.text import get_valid_filename


def course_filename_prefix_generator(course_id, separator="_"):
    return get_valid_filename(separator.join([course_id.org, course_id.course, course_id.run or ""]))
