"""Which partitions a course has, and in which of their groups a learner is."""

from functools import cache
from importlib.metadata import entry_points


@cache
def _generators():
    found = entry_points(group="openedx.dynamic_partition_generator")
    return [each.load() for each in sorted(found, key=lambda each: each.name)]


def get_all_partitions_for_course(course, active_only=False):
    """Return the partitions that the author made, and those that come by themselves."""
    dynamic = []
    for generate in _generators():
        made = generate(course)
        dynamic += made if isinstance(made, list) else [made] if made else []
    found = [*course.user_partitions, *dynamic]
    return [each for each in found if each.active] if active_only else found


def get_partition_from_id(partitions, partition_id):
    """Return the partition with this id, or None."""
    return next((each for each in partitions if each.id == partition_id), None)


def get_user_partition_groups(course_key, user_partitions, user, partition_dict_key="name"):
    """Return the user's group in each partition where there is one, by an attribute of the partition.

    Asking is not harmless: a scheme may put the user into a group now.
    """
    groups = {}
    for partition in user_partitions:
        group = partition.scheme.get_group_for_user(course_key, user, partition)
        if group is not None:
            groups[getattr(partition, partition_dict_key)] = group
    return groups
