"""Fields that single learners have of their own."""

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer


class OverrideDataTransformer(BlockStructureTransformer):
    """Overrides fields; takes nothing out. In the fake no learner has any."""

    WRITE_VERSION = 1
    READ_VERSION = 1

    def __init__(self, user):
        self.user = user

    @classmethod
    def name(cls):
        return "load_override_data"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields("start", "display_name", "due")

    def transform(self, usage_info, block_structure):
        return
