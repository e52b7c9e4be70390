"""Content that is hidden after it was due. Not among the transformers that are asked by default."""

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer

from lms.djangoapps.course_blocks.transformers.merging import collect_merged, own_value


class HiddenContentTransformer(BlockStructureTransformer):
    """Collects what it would need."""

    WRITE_VERSION = 3
    READ_VERSION = 3
    MERGED = "merged_hide_after_due"

    @classmethod
    def name(cls):
        return "hidden_content"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields("self_paced", "end", "due")
        collect_merged(
            block_structure, cls, cls.MERGED,
            lambda block, above: bool(own_value(block, "hide_after_due")) or (bool(above) and all(above)),
        )  # fmt: skip

    def transform(self, usage_info, block_structure):
        raise NotImplementedError("The fake has it only to collect.")
