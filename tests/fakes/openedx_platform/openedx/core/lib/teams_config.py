"""Teams that are groups of content."""

from django.conf import settings


class _Flag:
    def is_enabled(self, course_key=None):
        """Return whether it is on in this course: in the fake, in all or in none."""
        return bool(settings.FEATURES.get("ENABLE_CONTENT_GROUPS_FOR_TEAMS"))


CONTENT_GROUPS_FOR_TEAMS = _Flag()
