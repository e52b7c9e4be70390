"""Split tests, which are never seen themselves."""

from openedx.core.djangoapps.content.block_structure.transformer import FilteringTransformerMixin


def _is_split_test(key):
    return key.block_type == "split_test"


class SplitTestTransformer(FilteringTransformerMixin):
    """Turns the branches of split tests into groups that have access, and puts the branches where the split test was.

    Works inside the transformer of user partitions, which does the rest.
    """

    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls):
        return "split_test"

    @classmethod
    def collect(cls, block_structure):
        root = block_structure.get_xblock(block_structure.root_block_usage_key)
        partitions = {each.id: each for each in root.user_partitions}
        for key in block_structure.topological_traversal(_is_split_test, yield_descendants_of_unyielded=True):
            split_test = block_structure.get_xblock(key)
            partition = partitions.get(split_test.user_partition_id)
            if partition is None:
                continue
            groups = {split_test.group_id_to_child.get(str(group.id)): group.id for group in partition.groups}
            for child in split_test.children:
                # In place, as in the LMS: from now on the block counts as having a value of its own.
                access = block_structure.get_xblock(child).group_access
                access[partition.id] = [groups[child]] if child in groups else []

    def transform_block_filters(self, usage_info, block_structure):
        return [block_structure.create_removal_filter(_is_split_test, keep_descendants=True)]
