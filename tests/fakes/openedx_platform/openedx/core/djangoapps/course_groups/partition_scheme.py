"""Groups by cohort."""

from xmodule.partitions.partitions import NoSuchUserPartitionGroupError

from openedx.core.djangoapps.course_groups.cohorts import get_cohort, get_group_info_for_cohort


class CohortPartitionScheme:
    """The group that the learner's cohort stands for. Whoever has no cohort is put into one now."""

    @classmethod
    def get_group_for_user(cls, course_key, user, user_partition, use_cached=True):
        """Return the group, or None."""
        cohort = get_cohort(user, course_key, use_cached=use_cached)
        group_id, partition_id = (None, None) if cohort is None else get_group_info_for_cohort(cohort, use_cached)
        if partition_id is None or partition_id != user_partition.id:
            return None
        try:
            return user_partition.get_group(group_id)
        except NoSuchUserPartitionGroupError:
            return None
