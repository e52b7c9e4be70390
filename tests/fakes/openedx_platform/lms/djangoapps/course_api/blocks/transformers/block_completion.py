"""How far a learner has got, as the course home shows it."""

from completion.models import BlockCompletion
from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer
from xblock.completable import XBlockCompletionMode


class BlockCompletionTransformer(BlockStructureTransformer):
    """Tells of each block its completion, and whether it is complete: a container, if all that counts in it is."""

    WRITE_VERSION = 1
    READ_VERSION = 1
    COMPLETION = "completion"
    COMPLETE = "complete"

    @classmethod
    def name(cls):
        return "blocks_api:completion"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields("completion_mode")

    def transform(self, usage_info, block_structure):
        rows = BlockCompletion.user_learning_context_completion_queryset(usage_info.user, usage_info.course_key)
        stored = {row.full_block_key: row.completion for row in rows}
        for key in block_structure.topological_traversal():
            countable = self._mode(block_structure, key) == XBlockCompletionMode.COMPLETABLE
            block_structure.override_xblock_field(key, self.COMPLETION, stored.get(key, 0.0) if countable else None)
        if any(value == 1.0 for value in stored.values()):
            self._mark_complete(block_structure, stored)

    def _mark_complete(self, block_structure, stored):
        for key in block_structure.post_order_traversal():
            if self._mode(block_structure, key) == XBlockCompletionMode.AGGREGATOR:
                complete = all(
                    block_structure.get_xblock_field(child, self.COMPLETE)
                    for child in block_structure.get_children(key)
                    if self._mode(block_structure, child) != XBlockCompletionMode.EXCLUDED
                )
            else:
                complete = stored.get(key) == 1.0
            block_structure.override_xblock_field(key, self.COMPLETE, complete)

    @staticmethod
    def _mode(block_structure, key):
        return block_structure.get_xblock_field(key, "completion_mode", XBlockCompletionMode.COMPLETABLE)
