"""Partitions of the learners of a course into groups."""

from functools import cache
from importlib.metadata import entry_points

MINIMUM_UNUSED_PARTITION_ID = 100
ENROLLMENT_TRACK_PARTITION_ID = 50


class UserPartitionError(Exception):
    """Something is wrong with a partition."""


class NoSuchUserPartitionError(UserPartitionError):
    """There is no partition with this id."""


class NoSuchUserPartitionGroupError(UserPartitionError):
    """There is no group with this id in the partition."""


class Group:
    """A group, by its id."""

    VERSION = 1

    def __init__(self, id, name):  # noqa: A002 (as in the LMS)
        self.id = int(id)
        self.name = name

    def __eq__(self, other):
        return isinstance(other, Group) and (self.id, self.name) == (other.id, other.name)

    def __hash__(self):
        return hash((self.id, self.name))

    def __repr__(self):
        return f"Group({self.id}, {self.name!r})"


class UserPartition:
    """A partition. Its scheme tells who is in which group."""

    VERSION = 3

    def __init__(self, id, name, description, groups, scheme=None, parameters=None, active=True):  # noqa: A002, PLR0917
        self.id = int(id)
        self.name = name
        self.description = description
        self._groups = groups
        self.scheme = scheme or self.get_scheme("random")
        self.parameters = parameters or {}
        self.active = active

    @property
    def groups(self):
        return self._groups

    def __repr__(self):
        return f"<UserPartition {self.id} {self.name!r}>"

    @staticmethod
    def get_scheme(name):
        """Return the scheme with this name. Raises UserPartitionError."""
        try:
            scheme = _EXTRA_SCHEMES.get(name) or _schemes()[name].load()
        except KeyError:
            raise UserPartitionError(f"Unrecognized scheme '{name}'") from None
        scheme.name = name
        return scheme

    def get_group(self, group_id):
        """Return the group with this id. Raises NoSuchUserPartitionGroupError."""
        for group in self.groups:
            if group.id == group_id:
                return group
        raise NoSuchUserPartitionGroupError(f"Partition {self.id} has no group {group_id!r}.")

    def access_denied_message(self, block_key, user, user_group, allowed_groups):
        """Return what to tell a learner whom this partition keeps out; None hides the block instead."""


#: Schemes that a test brings; see ``tests.platforms.openedx.authoring.scheme``.
_EXTRA_SCHEMES = {}


@cache
def _schemes():
    return {each.name: each for each in entry_points(group="openedx.user_partition_scheme")}
