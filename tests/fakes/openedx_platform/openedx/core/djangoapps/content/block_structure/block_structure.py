"""The blocks of a course, their relations, and what transformers have collected of them.

Relations alone tell which blocks there are: data may be left of blocks that are gone.
"""

from copy import deepcopy
from functools import partial

from openedx.core.djangoapps.content.block_structure.exceptions import TransformerException
from openedx.core.djangoapps.content.block_structure.traversal import in_post_order, in_topological_order

TRANSFORMER_VERSION_KEY = "_version"


class _Relations:
    def __init__(self):
        self.parents = []
        self.children = []


class BlockStructure:
    """Which blocks there are, and which is above which."""

    def __init__(self, root_block_usage_key):
        self.root_block_usage_key = root_block_usage_key
        self._block_relations = {root_block_usage_key: _Relations()}

    def __iter__(self):
        return self.get_block_keys()

    def __len__(self):
        return len(self._block_relations)

    def __contains__(self, usage_key):
        return usage_key in self._block_relations

    def get_block_keys(self):
        """Return an iterator of the keys."""
        return iter(self._block_relations)

    def get_parents(self, usage_key):
        """Return the list of parents itself, not a copy; an empty one for a block that is not there."""
        relations = self._block_relations.get(usage_key)
        return relations.parents if relations else []

    def get_children(self, usage_key):
        """Return the list of children itself, not a copy; an empty one for a block that is not there."""
        relations = self._block_relations.get(usage_key)
        return relations.children if relations else []

    def set_root_block(self, usage_key):
        """Begin at another block. Nothing is pruned."""
        self.root_block_usage_key = usage_key
        self._block_relations[usage_key].parents = []

    def topological_traversal(self, filter_func=None, yield_descendants_of_unyielded=False, start_node=None):
        """Yield keys, parents first."""
        return in_topological_order(
            start_node or self.root_block_usage_key, self.get_parents, self.get_children, filter_func,
            below_rejected=yield_descendants_of_unyielded,
        )  # fmt: skip

    def post_order_traversal(self, filter_func=None, start_node=None):
        """Yield keys, children first."""
        return in_post_order(start_node or self.root_block_usage_key, self.get_children, filter_func)

    def _prune_unreachable(self):
        reached = [key for key in self.post_order_traversal() if key in self._block_relations]
        pruned = {key: _Relations() for key in reached}
        for key in reached:
            for child in self._block_relations[key].children:
                if child in pruned:
                    pruned[key].children.append(child)
                    pruned[child].parents.append(key)
        self._block_relations = pruned

    def _add_relation(self, parent_key, child_key):
        parent = self._block_relations.setdefault(parent_key, _Relations())
        child = self._block_relations.setdefault(child_key, _Relations())
        parent.children.append(child_key)
        child.parents.append(parent_key)


class FieldData:
    """Values by name, read as attributes."""

    _own = ("fields",)

    def __init__(self):
        self.fields = {}

    def __getattr__(self, name):
        # Only what is no attribute comes here; while it is unpickled, not even `fields` is one.
        if name not in self._own and name in self.__dict__.get("fields", ()):
            return self.fields[name]
        raise AttributeError(f"There is no field {name}.")

    def __setattr__(self, name, value):
        if name in self._own:
            super().__setattr__(name, value)
        else:
            self.fields[name] = value

    def __delattr__(self, name):
        try:
            del self.fields[name]
        except KeyError:
            raise AttributeError(f"There is no field {name}.") from None


class TransformerData(FieldData):
    """What one transformer has collected."""


class TransformerDataMap(dict):
    """What transformers have collected, by transformer: its class, an instance or its name."""

    def __getitem__(self, transformer):
        return super().__getitem__(_name(transformer))

    def __setitem__(self, transformer, data):
        super().__setitem__(_name(transformer), data)

    def __delitem__(self, transformer):
        super().__delitem__(_name(transformer))

    def get_or_create(self, transformer):
        """Return the data of a transformer, made now if there is none."""
        return self.setdefault(_name(transformer), TransformerData())


class BlockData(FieldData):
    """What has been collected of one block."""

    _own = ("fields", "location", "transformer_data")

    def __init__(self, usage_key):
        super().__init__()
        self.location = usage_key
        self.transformer_data = TransformerDataMap()


class BlockStructureBlockData(BlockStructure):
    """Relations, and the data of blocks and transformers."""

    VERSION = 1

    def __init__(self, root_block_usage_key):
        super().__init__(root_block_usage_key)
        self._block_data_map = {}
        self.transformer_data = TransformerDataMap()

    def copy(self):
        """Return a deep copy."""
        twin = BlockStructureBlockData(self.root_block_usage_key)
        twin._block_relations = deepcopy(self._block_relations)
        twin.transformer_data = deepcopy(self.transformer_data)
        twin._block_data_map = deepcopy(self._block_data_map)
        return twin

    def __getitem__(self, usage_key):
        return self._block_data_map[usage_key]

    def iteritems(self):
        """Return an iterator of keys and data, perhaps of blocks that are gone."""
        return iter(self._block_data_map.items())

    def itervalues(self):
        """Return an iterator of data, perhaps of blocks that are gone."""
        return iter(self._block_data_map.values())

    def get_xblock_field(self, usage_key, field_name, default=None):
        """Return a collected field."""
        return getattr(self._block_data_map.get(usage_key), field_name, default)

    def override_xblock_field(self, usage_key, field_name, override_data):
        """Set a field, also one of a block that is gone: that does not bring it back."""
        setattr(self._get_or_create_block(usage_key), field_name, override_data)

    def get_transformer_data(self, transformer, key, default=None):
        """Return what a transformer keeps of the whole structure."""
        return getattr(self.transformer_data.get(_name(transformer)), key, default)

    def set_transformer_data(self, transformer, key, value):
        """Keep something of the whole structure."""
        setattr(self.transformer_data.get_or_create(transformer), key, value)

    def get_transformer_block_data(self, usage_key, transformer):
        """Return all that a transformer keeps of a block. Raises KeyError."""
        return self._block_data_map[usage_key].transformer_data[transformer]

    def get_transformer_block_field(self, usage_key, transformer, key, default=None):
        """Return something that a transformer keeps of a block."""
        try:
            return getattr(self.get_transformer_block_data(usage_key, transformer), key, default)
        except KeyError:
            return default

    def set_transformer_block_field(self, usage_key, transformer, key, value):
        """Keep something of a block."""
        setattr(self._get_or_create_block(usage_key).transformer_data.get_or_create(transformer), key, value)

    def remove_transformer_block_field(self, usage_key, transformer, key):
        """Keep something of a block no more."""
        try:
            delattr(self.get_transformer_block_data(usage_key, transformer), key)
        except (AttributeError, KeyError):
            return

    def remove_block(self, usage_key, keep_descendants):
        """Take a block out. Its children, if they are kept, come after the other children of each of its parents."""
        gone = self._block_relations[usage_key]
        for child in gone.children:
            self._block_relations[child].parents.remove(usage_key)
        for parent in gone.parents:
            self._block_relations[parent].children.remove(usage_key)
        del self._block_relations[usage_key]
        self._block_data_map.pop(usage_key, None)
        for child in gone.children if keep_descendants else ():
            for parent in gone.parents:
                self._add_relation(parent, child)

    def create_universal_filter(self):
        """Return a filter that keeps every block."""
        return lambda block_key: True

    def create_removal_filter(self, removal_condition, keep_descendants=False):
        """Return a filter that takes out the blocks of which the condition holds."""
        return partial(self.retain_or_remove, removal_condition=removal_condition, keep_descendants=keep_descendants)

    def retain_or_remove(self, block_key, removal_condition, keep_descendants=False):
        """Take the block out if the condition holds; return whether it stays."""
        if removal_condition(block_key):
            self.remove_block(block_key, keep_descendants)
            return False
        return True

    def remove_block_traversal(self, removal_condition, keep_descendants=False):
        """Take out the blocks of which the condition holds, in one pass."""
        self.filter_topological_traversal(self.create_removal_filter(removal_condition, keep_descendants))

    def filter_topological_traversal(self, filter_func, **kwargs):
        """Visit every block with a filter."""
        for _ in self.topological_traversal(filter_func=filter_func, **kwargs):
            pass

    def _get_transformer_data_version(self, transformer):
        return self.get_transformer_data(transformer, TRANSFORMER_VERSION_KEY, 0)

    def _add_transformer(self, transformer):
        if transformer.WRITE_VERSION == 0:
            raise TransformerException(f"Transformer {transformer.name()} has no versions.")
        self.set_transformer_data(transformer, TRANSFORMER_VERSION_KEY, transformer.WRITE_VERSION)

    def _get_or_create_block(self, usage_key):
        return self._block_data_map.setdefault(usage_key, BlockData(usage_key))


class BlockStructureModulestoreData(BlockStructureBlockData):
    """A structure while it is collected: it has the blocks themselves."""

    def __init__(self, root_block_usage_key):
        super().__init__(root_block_usage_key)
        self._xblock_map = {}
        self._requested_xblock_fields = set()

    def request_xblock_fields(self, *field_names):
        """Have these fields collected of every block that has such an attribute."""
        self._requested_xblock_fields.update(field_names)

    def get_xblock(self, usage_key):
        """Return the block itself."""
        return self._xblock_map[usage_key]

    def _add_xblock(self, usage_key, xblock):
        self._xblock_map[usage_key] = xblock

    def _collect_requested_xblock_fields(self):
        for usage_key, xblock in self._xblock_map.items():
            data = self._get_or_create_block(usage_key)
            for name in self._requested_xblock_fields:
                if hasattr(xblock, name):
                    setattr(data, name, getattr(xblock, name))

    def _without_xblocks(self):
        collected = BlockStructureBlockData(self.root_block_usage_key)
        collected._block_relations = self._block_relations
        collected.transformer_data = self.transformer_data
        collected._block_data_map = self._block_data_map
        return collected


def _name(transformer):
    return transformer if isinstance(transformer, str) else transformer.name()
