"""What the Course Blocks API tells of blocks."""

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer


class BlocksAPITransformer(BlockStructureTransformer):
    """Collects the fields that the API tells."""

    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls):
        return "blocks_api"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields(
            "graded", "format", "display_name", "category", "due", "show_correctness", "has_score", "weight"
        )

    def transform(self, usage_info, block_structure):
        raise NotImplementedError("The fake has it only to collect.")
