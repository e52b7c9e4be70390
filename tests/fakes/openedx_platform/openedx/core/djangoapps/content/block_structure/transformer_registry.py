"""Which transformers are installed."""

from base64 import b64encode
from functools import cache
from hashlib import sha1
from importlib.metadata import entry_points

#: Transformers that a test brings; see ``tests.platforms.openedx.authoring.transformer``.
_EXTRA = []


@cache
def _installed():
    return frozenset(each.load() for each in entry_points(group="openedx.block_structure_transformer"))


class TransformerRegistry:
    """The registered transformers, in no order."""

    USE_PLUGIN_MANAGER = True

    @classmethod
    def get_registered_transformers(cls):
        """Return the classes."""
        return set(_installed()).union(_EXTRA)

    @classmethod
    def get_write_version_hash(cls):
        """Return what changes when a transformer comes, goes or writes something new."""
        versions = sorted((each.name(), each.WRITE_VERSION) for each in cls.get_registered_transformers())
        return b64encode(sha1(repr(versions).encode(), usedforsecurity=False).digest()).decode()

    @classmethod
    def find_unregistered(cls, transformers):
        """Return the names of those among these that are not registered."""
        return {each.name() for each in transformers} - {each.name() for each in cls.get_registered_transformers()}
