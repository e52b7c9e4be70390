"""Blocks for staff only."""

from openedx.core.djangoapps.content.block_structure.transformer import FilteringTransformerMixin

from lms.djangoapps.course_blocks.transformers.merging import collect_merged, own_value


class VisibilityTransformer(FilteringTransformerMixin):
    """Takes out blocks that are for staff only, themselves or through every parent."""

    WRITE_VERSION = 1
    READ_VERSION = 1
    MERGED = "merged_visible_to_staff_only"

    @classmethod
    def name(cls):
        return "visibility"

    @classmethod
    def collect(cls, block_structure):
        collect_merged(
            block_structure, cls, cls.MERGED,
            lambda block, above: bool(own_value(block, "visible_to_staff_only")) or (bool(above) and all(above)),
        )  # fmt: skip

    def transform_block_filters(self, usage_info, block_structure):
        if usage_info.has_staff_access:
            return [block_structure.create_universal_filter()]
        return [
            block_structure.create_removal_filter(
                lambda key: block_structure.get_transformer_block_field(key, self, self.MERGED, False)
            )
        ]
