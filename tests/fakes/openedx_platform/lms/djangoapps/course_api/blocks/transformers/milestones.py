"""Prerequisites and special exams. Not among the transformers that are asked by default."""

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer


class MilestonesAndSpecialExamsTransformer(BlockStructureTransformer):
    """Collects what it would need."""

    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls):
        return "milestones"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields("in_entrance_exam")

    def transform(self, usage_info, block_structure):
        raise NotImplementedError("The fake has it only to collect.")
