"""Item banks: of their children, each learner sees those that were drawn for them."""

import lms_counters
from common.djangoapps.track import contexts
from eventtracking import tracker
from openedx.core.djangoapps.content.block_structure.transformer import (
    BlockStructureTransformer,
    FilteringTransformerMixin,
)
from xblock.core import XBlock
from xmodule.item_bank_block import ItemBankMixin
from xmodule.modulestore.django import modulestore

from lms.djangoapps.course_blocks.utils import get_student_module_as_dict, save_student_module


def bank_class(key):
    """Return the class of an item bank; None for a block that is none, or was none in the release of the switch."""
    if lms_counters.switches["only_library_content_is_filtered"] and key.block_type != "library_content":
        return None
    found = XBlock.load_class(key.block_type, default=XBlock)
    return found if issubclass(found, ItemBankMixin) else None


class ContentLibraryTransformer(FilteringTransformerMixin):
    """Takes out the children of item banks that were not drawn. Draws what is missing, and writes it down."""

    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls):
        return "library_content"

    @classmethod
    def collect(cls, block_structure):
        block_structure.request_xblock_fields("max_count", "category")
        for key in block_structure.topological_traversal():
            for child in block_structure.get_children(key) if bank_class(key) else ():
                original, version = modulestore().get_block_original_usage(child)
                summary = {
                    "usage_key": str(child), "original_usage_key": original, "original_usage_version": version
                }  # fmt: skip
                block_structure.set_transformer_block_field(child, cls, "block_analytics_summary", summary)

    def transform_block_filters(self, usage_info, block_structure):
        in_banks = set()
        drawn = set()
        # In every bank of the course, also in one that another filter will hide.
        for key in block_structure:
            children = block_structure.get_children(key) if bank_class(key) else None
            if children:
                in_banks.update(children)
                drawn.update(self._draw(key, children, usage_info, block_structure))
        return [block_structure.create_removal_filter(lambda key: key in in_banks and key not in drawn)]

    def _draw(self, bank, children, usage_info, block_structure):
        course_key = usage_info.course_key
        size = block_structure.get_xblock_field(bank, "max_count")
        size = len(children) if size < 0 else size
        state = get_student_module_as_dict(usage_info.user, course_key, bank)
        # Told of as invalid is nothing: what is no child is left out before.
        before = [each for each in state.get("selected", []) if course_key.make_usage_key(*each) in children]
        draw = bank_class(bank).make_selection(before, children, size)
        if draw["invalid"] or draw["overlimit"] or draw["added"]:
            save_student_module(usage_info.user, course_key, bank, state | {"selected": draw["selected"]})
            lms_counters.count("selection_writes")
        self._tell(bank, draw, len(before), size, usage_info.user.id, block_structure)
        return [course_key.make_usage_key(*each) for each in draw["selected"]]

    def _tell(self, bank, draw, previous_count, size, user_id, block_structure):  # noqa: PLR0917
        block_class = bank_class(bank)

        def summaries(keys):
            return [
                block_structure.get_transformer_block_field(
                    bank.course_key.make_usage_key(*each), self, "block_analytics_summary"
                )
                for each in keys
            ]

        def publish(what, result, **more):
            name = f"{block_class.get_selected_event_prefix()}.{what}"
            data = {
                "location": str(bank), "previous_count": previous_count, "result": summaries(result), "max_count": size
            }  # fmt: skip
            context = contexts.course_context_from_course_id(bank.course_key) | {"user_id": user_id}
            with tracker.get_tracker().context(name, context):
                lms_counters.emit(name, data | more)

        block_class.publish_selected_children_events(draw, summaries, publish)


class ContentLibraryOrderTransformer(BlockStructureTransformer):
    """Puts the children of item banks into the order in which they were drawn."""

    WRITE_VERSION = 1
    READ_VERSION = 1

    @classmethod
    def name(cls):
        return "library_content_randomize"

    def transform(self, usage_info, block_structure):
        for key in block_structure:
            children = block_structure.get_children(key) if bank_class(key) else None
            if not children:
                continue
            state = get_student_module_as_dict(usage_info.user, usage_info.course_key, key)
            order = {block_id: place for place, (_, block_id) in enumerate(state.get("selected", []))}
            # Another transformer may have taken some of them: then the order stays.
            if {child.block_id for child in children} == order.keys():
                children.sort(key=lambda child: order[child.block_id])
