"""The structure of one course: collected, stored, transformed."""

import lms_counters
from xmodule.modulestore import ModuleStoreEnum

from openedx.core.djangoapps.content.block_structure.exceptions import (
    BlockStructureNotFound,
    TransformerDataIncompatible,
    UsageKeyNotInBlockStructure,
)
from openedx.core.djangoapps.content.block_structure.factory import BlockStructureFactory
from openedx.core.djangoapps.content.block_structure.store import BlockStructureStore
from openedx.core.djangoapps.content.block_structure.transformers import BlockStructureTransformers


class BlockStructureManager:
    """Gets the structure of one course, wherever it is."""

    def __init__(self, root_block_usage_key, modulestore, cache):
        self.root_block_usage_key = root_block_usage_key
        self.modulestore = modulestore
        self.store = BlockStructureStore(cache)

    def get_transformed(
        self, transformers, starting_block_usage_key=None, collected_block_structure=None, user=None
    ):  # fmt: skip
        """Return the structure as these transformers leave it. Raises UsageKeyNotInBlockStructure."""
        structure = collected_block_structure.copy() if collected_block_structure else self.get_collected(user)
        if starting_block_usage_key:
            if starting_block_usage_key not in structure:
                raise UsageKeyNotInBlockStructure(f"{starting_block_usage_key} not in {self.root_block_usage_key}")
            structure.set_root_block(starting_block_usage_key)
        transformers.transform(structure)
        return structure

    def get_collected(self, user=None):
        """Return the collected structure; what is missing, or too old for a transformer, is collected now."""
        try:
            structure = self.store.get(self.root_block_usage_key)
            BlockStructureTransformers.verify_versions(structure)
        except (BlockStructureNotFound, TransformerDataIncompatible):
            return self._update_collected()
        return structure

    def update_collected_if_needed(self):
        """Collect again if what is stored is not what is published."""
        with self._published():
            current = self.store.is_up_to_date(self.root_block_usage_key, self.modulestore)
        if not current:
            self._update_collected()

    def clear(self):
        """Forget what was collected. Raises BlockStructureNotFound."""
        self.store.delete(self.root_block_usage_key)

    def _update_collected(self):
        lms_counters.count("collections")
        with self._published(), self.modulestore.bulk_operations(self.root_block_usage_key.course_key):
            structure = BlockStructureFactory.create_from_modulestore(self.root_block_usage_key, self.modulestore)
            BlockStructureTransformers.collect(structure)
            self.store.add(structure)
            return structure._without_xblocks()

    def _published(self):
        course_key = self.root_block_usage_key.course_key
        return self.modulestore.branch_setting(ModuleStoreEnum.Branch.published_only, course_key)
