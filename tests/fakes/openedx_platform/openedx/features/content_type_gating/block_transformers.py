"""The gate, put on the fields of blocks after the fact: it hides nothing by itself."""

from openedx.core.djangoapps.content.block_structure.transformer import BlockStructureTransformer
from openedx.features.content_type_gating.field_override import gate_is_enabled
from openedx.features.content_type_gating.helpers import CONTENT_GATING_PARTITION_ID, FULL_ACCESS


class ContentTypeGateTransformer(BlockStructureTransformer):
    """Writes the gate into the collected ``group_access`` of graded, scored blocks."""

    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls):
        return "content_type_gate"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields("group_access", "graded", "has_score", "weight")

    def transform(self, usage_info, block_structure):
        if not gate_is_enabled(usage_info.course_key):
            return
        for key in block_structure.topological_traversal():
            field = {name: block_structure.get_xblock_field(key, name) for name in ("graded", "has_score", "weight")}
            if field["graded"] and field["has_score"] and field["weight"] != 0:
                access = dict(block_structure.get_xblock_field(key, "group_access") or {})
                access.setdefault(CONTENT_GATING_PARTITION_ID, [FULL_ACCESS.id])
                block_structure.override_xblock_field(key, "group_access", access)
