"""What a block takes from those above, where it may be below several."""


def own_value(block, name, default=None):
    """Return the value that was set on this very block."""
    return getattr(block, name) if block.fields[name].is_set_on(block) else default


def collect_merged(block_structure, transformer, name, merge):
    """Keep of each block, under *name*, what ``merge(block, values of its parents)`` returns."""
    for key in block_structure.topological_traversal():
        above = [
            block_structure.get_transformer_block_field(parent, transformer, name)
            for parent in block_structure.get_parents(key)
        ]
        value = merge(block_structure.get_xblock(key), above)
        block_structure.set_transformer_block_field(key, transformer, name, value)
