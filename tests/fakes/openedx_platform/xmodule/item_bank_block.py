"""Blocks of which each learner sees some of the children, drawn at random."""

import random

from django.conf import settings
from django.utils.functional import classproperty
from xblock.completable import XBlockCompletionMode
from xblock.core import XBlock, XBlockMixin
from xblock.fields import Integer, List, Scope


class ItemBankMixin(XBlockMixin):
    """A block that is an item bank. A child is named by its type and its id."""

    has_children = True
    max_count = Integer(default=1, scope=Scope.settings)
    selected = List(default=[], scope=Scope.user_state)

    @classproperty
    def completion_mode(cls):  # noqa: N805 (a property of the class)
        name = "MARK_LIBRARY_CONTENT_BLOCK_COMPLETE_ON_VIEW"
        if getattr(settings, name, None) or settings.FEATURES.get(name):
            return XBlockCompletionMode.COMPLETABLE
        return XBlockCompletionMode.AGGREGATOR

    @classmethod
    def make_selection(cls, selected, children, max_count):
        """Make a draw of *max_count* children out of the one before: what stays, what goes and why, what comes."""
        there = {(key.block_type, key.block_id) for key in children}
        before = [tuple(each) for each in selected]
        kept = [each for each in dict.fromkeys(before) if each in there]
        overlimit = random.sample(kept, max(0, len(kept) - max_count))
        kept = [each for each in kept if each not in overlimit]
        pool = sorted(there - set(kept) - set(overlimit))
        added = random.sample(pool, min(len(pool), max_count - len(kept))) if not overlimit else []
        invalid = [each for each in before if each not in there]
        drawn = kept + added
        if invalid or overlimit or added:
            random.shuffle(drawn)
        return {"selected": drawn, "invalid": invalid, "overlimit": overlimit, "added": added}

    @classmethod
    def publish_selected_children_events(cls, draw, format_keys, publish_event):
        """Tell of what went and of what came."""
        for reason in ("invalid", "overlimit"):
            if draw[reason]:
                publish_event("removed", draw["selected"], removed=format_keys(draw[reason]), reason=reason)
        if draw["added"]:
            publish_event("assigned", draw["selected"], added=format_keys(draw["added"]))

    @classmethod
    def get_selected_event_prefix(cls):
        """Return what the names of this type's events begin with."""
        raise NotImplementedError


class ItemBankBlock(ItemBankMixin, XBlock):
    """A bank of blocks that were put into it."""

    @classmethod
    def get_selected_event_prefix(cls):
        return "edx.itembankblock.content"


class LegacyLibraryContentBlock(ItemBankMixin, XBlock):
    """A bank of the blocks of a library."""

    @classmethod
    def get_selected_event_prefix(cls):
        return "edx.librarycontentblock.content"
