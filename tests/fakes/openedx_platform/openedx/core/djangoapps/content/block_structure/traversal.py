"""The orders in which the blocks of a structure are visited."""

import lms_counters


def in_topological_order(start, parents_of, children_of, accepts=None, *, below_rejected=False):
    """Yield blocks, a parent before its children, a child once the last of its parents has been visited.

    A block that *accepts* turns down has been visited, but is not yielded. A block none of whose parents was yielded is
    passed over, unless *below_rejected*; and as one that was passed over was not visited, a block that has it among its
    parents is never reached. The structure may change while this runs: relations are asked for as they are then.
    """
    accepts = accepts or (lambda key: True)
    within = _below(start, children_of) if lms_counters.switches["skipped_blocks_count_as_visited"] else None
    yielded = {}
    stack = [start]
    while stack:
        key = stack.pop()
        parents = parents_of(key) if key != start else []
        if within is not None:
            # Blocks that an earlier pass has cut off count as visited too.
            parents = [parent for parent in parents if parent in within]
        if key in yielded or any(parent not in yielded for parent in parents):
            continue
        passed_over = key != start and not below_rejected and not any(yielded[parent] for parent in parents)
        if passed_over and within is None:
            continue
        stack.extend(reversed(children_of(key)))
        if passed_over:
            yielded[key] = False
            continue
        answer = accepts(key)
        if answer:
            yield key
        yielded[key] = answer


def in_post_order(start, children_of, accepts=None):
    """Yield blocks, children before their parents, each once; what *accepts* turns down hides what is below it."""
    accepts = accepts or (lambda key: True)
    visited = set()
    stack = [(start, iter(children_of(start)))] if accepts(start) else []
    while stack:
        key, children = stack[-1]
        child = next((each for each in children if each not in visited and accepts(each)), None)
        if child is not None:
            stack.append((child, iter(children_of(child))))
            continue
        stack.pop()
        if key not in visited:
            visited.add(key)
            yield key


def _below(start, children_of):
    found, stack = set(), [start]
    while stack:
        key = stack.pop()
        if key not in found:
            found.add(key)
            stack.extend(children_of(key))
    return found
