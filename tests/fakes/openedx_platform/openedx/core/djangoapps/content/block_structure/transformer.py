"""What every transformer is made of."""

from abc import ABC, abstractmethod


class BlockStructureTransformer(ABC):
    """Collects once for all learners, and then changes the structure for one."""

    # A structure that was written by an older version than what is read now is collected again.
    WRITE_VERSION = 0
    READ_VERSION = 0

    @classmethod
    def name(cls):
        """Return the name that it is registered by."""
        raise NotImplementedError

    @classmethod  # noqa: B027 (many have nothing to collect)
    def collect(cls, block_structure):
        """Collect what ``transform`` needs."""

    @abstractmethod
    def transform(self, usage_info, block_structure):
        """Change the structure for one learner."""


class FilteringTransformerMixin(BlockStructureTransformer):
    """A transformer that does no more than take blocks out."""

    @abstractmethod
    def transform_block_filters(self, usage_info, block_structure):
        """Return filters: each takes a key, and returns whether the block stays."""

    def transform(self, usage_info, block_structure):
        """Use the filters by themselves."""
        filters = self.transform_block_filters(usage_info, block_structure)
        block_structure.filter_topological_traversal(combine_filters(block_structure, filters))


def combine_filters(block_structure, filters):
    """Return one filter that asks these in turn, until one says no."""
    return lambda block_key: all(each(block_key) for each in filters)
