"""Collected structures on their way to a row and a file, and back. The cache is asked first, for the small ones."""

import pickle
import zlib
from hashlib import sha1

from django.core.files.base import ContentFile

from openedx.core.djangoapps.content.block_structure.block_structure import BlockStructureBlockData
from openedx.core.djangoapps.content.block_structure.exceptions import BlockStructureNotFound
from openedx.core.djangoapps.content.block_structure.models import VERSION_FIELDS, BlockStructureModel
from openedx.core.djangoapps.content.block_structure.transformer_registry import TransformerRegistry

LARGEST_CACHED = 2 * 1024 * 1024


class BlockStructureStore:
    """The stored structures."""

    def __init__(self, cache):
        self._cache = cache

    def add(self, block_structure):
        """Store a structure in place of the one before."""
        data = self._serialize(block_structure)
        root = block_structure.root_block_usage_key
        versions = self._versions(block_structure.get_xblock(root))
        row, _ = BlockStructureModel.objects.update_or_create(data_usage_key=root, defaults=versions)
        row.data.save(f"{row.pk}-{versions['data_version']}", ContentFile(data), save=True)
        self._remember(row, data)

    def get(self, root_block_usage_key):
        """Return a structure. Raises BlockStructureNotFound."""
        row = self._row(root_block_usage_key)
        data = self._cache.get(_cache_key(row))
        if data is None:
            data = self._read(row)
            self._remember(row, data)
        return self._deserialize(root_block_usage_key, data)

    def delete(self, root_block_usage_key):
        """Forget a structure. Raises BlockStructureNotFound."""
        row = self._row(root_block_usage_key)
        self._cache.delete(_cache_key(row))
        row.data.delete(save=False)
        row.delete()

    def is_up_to_date(self, root_block_usage_key, modulestore):
        """Return whether what is stored is what would be collected now."""
        versions = self._versions(modulestore.get_item(root_block_usage_key))
        return BlockStructureModel.objects.filter(data_usage_key=root_block_usage_key, **versions).exists()

    @staticmethod
    def _versions(root_block):
        return dict(
            zip(
                VERSION_FIELDS,
                (
                    root_block.course_version, root_block.subtree_edited_on,
                    TransformerRegistry.get_write_version_hash(), str(BlockStructureBlockData.VERSION),
                ),
                strict=True,
            )
        )  # fmt: skip

    @staticmethod
    def _row(root_block_usage_key):
        try:
            return BlockStructureModel.objects.get(data_usage_key=root_block_usage_key)
        except BlockStructureModel.DoesNotExist:
            raise BlockStructureNotFound(root_block_usage_key) from None

    @staticmethod
    def _read(row):
        try:
            with row.data.open("rb") as file:
                return file.read()
        except OSError:
            raise BlockStructureNotFound(row.data_usage_key) from None

    def _remember(self, row, data):
        if len(data) < LARGEST_CACHED:
            self._cache.set(_cache_key(row), data)

    @staticmethod
    def _serialize(structure):
        parts = structure._block_relations, structure.transformer_data, structure._block_data_map
        return zlib.compress(pickle.dumps(parts, pickle.HIGHEST_PROTOCOL))

    @staticmethod
    def _deserialize(root_block_usage_key, data):
        structure = BlockStructureBlockData(root_block_usage_key)
        parts = pickle.loads(zlib.decompress(data))
        structure._block_relations, structure.transformer_data, structure._block_data_map = parts
        return structure


def _cache_key(row):
    # The row as text, which is too long for some caches: the LMS has a key function for that.
    return sha1(str(row).encode(), usedforsecurity=False).hexdigest()
