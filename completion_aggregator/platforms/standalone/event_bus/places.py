"""The courses that events speak of, imported or not."""

from typing import Final

from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, LearningContextKey

from completion_aggregator.platforms.standalone.imports.courses import LONGEST_KEY, UnfitRow
from completion_aggregator.platforms.standalone.models import Course

REMEMBERED: Final = 50_000

#: Courses with content: one that has some does not lose it.
_with_content: set[CourseKey] = set()


def course_key_in(text: str) -> CourseKey | None:
    """Return the key of a course; None where it is that of something else, such as a library. Raises UnfitRow."""
    try:
        key = LearningContextKey.from_string(text)
    except InvalidKeyError as error:
        raise UnfitRow("not a course key") from error
    if not key.is_course or not isinstance(key, CourseKey):
        return None
    if len(text) > LONGEST_KEY or str(key) != text:
        raise UnfitRow("not a course key")
    return key


def has_content(key: CourseKey) -> bool:
    """Say whether the course was imported; if not, it is locked as by `course_in`."""
    if key not in _with_content:
        if course_in(key).current_id is None:
            return False
        if len(_with_content) >= REMEMBERED:
            _with_content.clear()
        _with_content.add(key)
    return True


def course_in(key: CourseKey, *, title: str = "") -> Course:
    """Return the course, made without content where it was never imported, in a transaction.

    Such a course stays locked until the transaction ends, so that its import sees what is written in it, or is seen.
    """
    course = Course.objects.filter(course_key=key, current__isnull=False).first()
    if course is not None:
        return course
    Course.objects.get_or_create(course_key=key, defaults={"title": title[:255]})
    return Course.objects.select_for_update().get(course_key=key)
