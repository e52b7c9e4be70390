"""Several transformers, as one."""

from openedx.core.djangoapps.content.block_structure.exceptions import TransformerDataIncompatible, TransformerException
from openedx.core.djangoapps.content.block_structure.transformer import FilteringTransformerMixin, combine_filters
from openedx.core.djangoapps.content.block_structure.transformer_registry import TransformerRegistry


class BlockStructureTransformers:
    """A list of transformers and what they are asked for: filters first, whatever their place in the list."""

    def __init__(self, transformers=None, usage_info=None):
        self.usage_info = usage_info
        self._filtering = []
        self._others = []
        if transformers:
            self.__iadd__(transformers)

    def __iadd__(self, transformers):
        unregistered = TransformerRegistry.find_unregistered(transformers)
        if unregistered:
            raise TransformerException(f"Not registered: {', '.join(sorted(unregistered))}")
        for each in transformers:
            (self._filtering if isinstance(each, FilteringTransformerMixin) else self._others).append(each)
        return self

    @classmethod
    def collect(cls, block_structure):
        """Let every registered transformer collect."""
        for transformer in TransformerRegistry.get_registered_transformers():
            block_structure._add_transformer(transformer)
            transformer.collect(block_structure)
        block_structure._collect_requested_xblock_fields()

    @classmethod
    def verify_versions(cls, block_structure):
        """Raise TransformerDataIncompatible if a registered transformer reads more than was collected."""
        outdated = [
            each.name()
            for each in TransformerRegistry.get_registered_transformers()
            if block_structure._get_transformer_data_version(each) < each.READ_VERSION
        ]
        if outdated:
            raise TransformerDataIncompatible(f"Outdated: {', '.join(sorted(outdated))}")
        return True

    def transform(self, block_structure):
        """Change the structure for one learner: one pass of all filters, the others in their order, then pruning."""
        if self._filtering:
            filters = [
                each
                for transformer in self._filtering
                for each in transformer.transform_block_filters(self.usage_info, block_structure)
            ]
            block_structure.filter_topological_traversal(combine_filters(block_structure, filters))
        for transformer in self._others:
            transformer.transform(self.usage_info, block_structure)
        block_structure._prune_unreachable()
