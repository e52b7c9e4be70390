"""Read and write the tags of users in courses."""

from collections import defaultdict

from edx_django_utils.cache import RequestCache

from openedx.core.djangoapps.user_api.models import UserCourseTag

COURSE_SCOPE = "course"


class BulkCourseTags:
    """Tags of many users, read once for the request; while a course is here, random groups are not assigned."""

    NAMESPACE = "user_api.course_tag.api"

    @classmethod
    def prefetch(cls, course_id, users):
        tags = defaultdict(dict)
        for tag in UserCourseTag.objects.filter(user__in=users, course_id=course_id):
            tags[tag.user_id][tag.key] = tag.value
        cls._cache()[str(course_id)] = tags

    @classmethod
    def get_course_tag(cls, user_id, course_id, key):
        """Raises KeyError where the tag was not read."""
        return cls._cache()[str(course_id)][user_id][key]

    @classmethod
    def is_prefetched(cls, course_id):
        return str(course_id) in cls._cache()

    @classmethod
    def _cache(cls):
        return RequestCache(cls.NAMESPACE).data


def get_course_tag(user, course_id, key):
    if BulkCourseTags.is_prefetched(course_id):
        try:
            return BulkCourseTags.get_course_tag(user.id, course_id, key)
        except KeyError:
            return None
    tag = UserCourseTag.objects.filter(user=user.id, course_id=course_id, key=key).first()
    return tag and tag.value


def set_course_tag(user, course_id, key, value):
    UserCourseTag.objects.update_or_create(user=user, course_id=course_id, key=key, defaults={"value": value})
