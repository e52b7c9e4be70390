"""Structures out of the modulestore."""

from openedx.core.djangoapps.content.block_structure.block_structure import BlockStructureModulestoreData


class BlockStructureFactory:
    """Makes structures."""

    @classmethod
    def create_from_modulestore(cls, root_block_usage_key, modulestore):
        """Return the structure of the course with its blocks. Raises ItemNotFoundError."""
        structure = BlockStructureModulestoreData(root_block_usage_key)
        blocks = dict(modulestore.load(root_block_usage_key.course_key))
        for key, block in blocks.items():
            structure._add_xblock(key, block)
            for child in getattr(block, "children", ()):
                if child in blocks:
                    structure._add_relation(key, child)
        return structure
