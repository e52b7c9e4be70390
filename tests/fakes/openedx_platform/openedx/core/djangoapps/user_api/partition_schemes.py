"""Groups at random, remembered in a tag."""

import random

import lms_counters
from xmodule.partitions.partitions import NoSuchUserPartitionGroupError, UserPartitionError

from openedx.core.djangoapps.user_api.course_tag import api as course_tag_api


class RandomUserPartitionScheme:
    """The group in the learner's tag. Whoever has none is given one now, unless tags were prefetched."""

    @classmethod
    def get_group_for_user(cls, course_key, user, user_partition, assign=True):
        """Return the group, or None."""
        key = cls.key_for_partition(user_partition)
        group = cls._tagged(user_partition, course_tag_api.get_course_tag(user, course_key, key))
        if group is None and assign and not course_tag_api.BulkCourseTags.is_prefetched(course_key):
            return cls._assign(course_key, user, user_partition, key)
        return group

    @classmethod
    def key_for_partition(cls, user_partition):
        """Return the key of the tag."""
        return f"xblock.partition_service.partition_{user_partition.id}"

    @staticmethod
    def _tagged(user_partition, value):
        try:
            return None if value is None else user_partition.get_group(int(value))
        except (ValueError, NoSuchUserPartitionGroupError):
            return None

    @staticmethod
    def _assign(course_key, user, user_partition, key):
        if not user_partition.groups:
            raise UserPartitionError("Cannot assign user to an empty user partition")
        group = random.choice(user_partition.groups)
        course_tag_api.set_course_tag(user, course_key, key, str(group.id))
        lms_counters.count("tag_writes")
        lms_counters.emit(
            "xmodule.partitions.assigned_user_to_partition",
            {
                "group_id": group.id, "group_name": group.name,
                "partition_id": user_partition.id, "partition_name": user_partition.name,
            },
        )  # fmt: skip
        return group
