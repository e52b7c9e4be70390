"""What grades need to know of blocks."""

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer


class GradesTransformer(BlockStructureTransformer):
    """Collects the fields that grades are worked out from."""

    WRITE_VERSION = 4
    READ_VERSION = 4

    @classmethod
    def name(cls):
        return "grades"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields(
            "due", "format", "graded", "has_score", "weight", "course_version", "subtree_edited_on"
        )

    def transform(self, usage_info, block_structure):
        raise NotImplementedError("The fake has it only to collect.")
