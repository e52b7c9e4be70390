"""Blocks for some groups only."""

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer
from xmodule.partitions.partitions_service import (
    get_all_partitions_for_course,
    get_partition_from_id,
    get_user_partition_groups,
)

from lms.djangoapps.course_blocks.transformers.merging import collect_merged, own_value
from lms.djangoapps.course_blocks.transformers.split_test import SplitTestTransformer
from lms.djangoapps.courseware.access import has_access


class UserPartitionTransformer(BlockStructureTransformer):
    """Takes out blocks whose groups the learner is not in, but for those whose partition has something to say."""

    WRITE_VERSION = 1
    READ_VERSION = 1
    MERGED = "merged_group_access"

    @classmethod
    def name(cls):
        return "user_partitions"

    @classmethod
    def collect(cls, block_structure):
        # First, as it writes into group_access.
        SplitTestTransformer.collect(block_structure)
        root = block_structure.get_xblock(block_structure.root_block_usage_key)
        partitions = get_all_partitions_for_course(root, active_only=True)
        block_structure.set_transformer_data(cls, "user_partitions", partitions)
        if partitions:
            ids = [each.id for each in partitions]
            collect_merged(
                block_structure, cls, cls.MERGED,
                lambda block, above: MergedGroupAccess(ids, own_value(block, "group_access", {}), above),
            )  # fmt: skip

    def transform(self, usage_info, block_structure):
        SplitTestTransformer().transform(usage_info, block_structure)
        if has_access(usage_info.user, "staff", usage_info.course_key):
            return
        partitions = block_structure.get_transformer_data(self, "user_partitions")
        if not partitions:
            return
        groups = get_user_partition_groups(usage_info.course_key, partitions, usage_info.user, "id")
        for key in block_structure.topological_traversal():
            access = block_structure.get_transformer_block_field(key, self, self.MERGED)
            ids = access.get_access_denying_partitions(groups) if access else []
            if ids:
                denying = [get_partition_from_id(partitions, each) for each in ids]
                message = _message(key, usage_info.user, denying, access, groups)
                _deny(block_structure, key, denying[0].name, message)


def _message(key, user, denying, access, groups):
    allowed = access.get_allowed_groups()
    messages = (each.access_denied_message(key, user, groups.get(each.id), allowed[each.id]) for each in denying)
    # All are asked, as in the LMS: each may cost a query.
    return next(filter(None, list(messages)), None)


def _deny(block_structure, key, reason, message):
    if message is None:
        block_structure.remove_block(key, keep_descendants=False)
        return
    block_structure.override_xblock_field(key, "authorization_denial_reason", reason)
    block_structure.override_xblock_field(key, "authorization_denial_message", message)


class MergedGroupAccess:
    """Who gets to a block: the groups of each partition that restricts it, here or above."""

    def __init__(self, partition_ids, own, above):
        self._access = {}
        for partition in partition_ids:
            # An empty list, as None, restricts nothing.
            sets = [set(own[partition])] if own.get(partition) else []
            if above and all(partition in each._access for each in above):
                sets.append(set().union(*(each._access[partition] for each in above)))
            if sets:
                self._access[partition] = set.intersection(*sets)

    def get_allowed_groups(self):
        """Return the groups allowed, by partition."""
        return self._access

    def get_access_denying_partitions(self, user_groups):
        """Return the partitions that keep out a learner in these groups."""
        return [
            partition
            for partition, allowed in self._access.items()
            if partition not in user_groups or user_groups[partition].id not in allowed
        ]

    def check_group_access(self, user_groups):
        """Return whether a learner in these groups gets to the block."""
        return not self.get_access_denying_partitions(user_groups)
