"""Our tree of a course beside the one that the LMS shows, learner by learner.

To ask the LMS for a learner's tree is a visit of that learner: groups are assigned, draws made and written. So ours is
worked out from what is stored after the visit; what the visit changed is told, and is no difference.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final, TypeAlias

from django.contrib.auth import get_user_model
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import setting
from completion_aggregator.course_graph.graph import SPLIT_TEST, CompletionMode, CourseGraph
from completion_aggregator.course_graph.visibility import ALWAYS, Profile, moment_of
from completion_aggregator.platforms.openedx import lms
from completion_aggregator.ports import Platform, Sight

#: Learners of whom the kind is worked out, for each one that is compared.
_POOL: Final = 50
_DRAWN_EVERYWHERE: Final = "library_content"

VISITED: Final = "the visit gave the learner a group or drew from an item bank"
NOT_FILTERED: Final = "this release shows all children of an itembank; we count the drawn ones, as the learner sees"
PASSED_OVER: Final = "the LMS asks no rule about a block of several parents if one of them is out of sight"

#: The children that are seen of every block that is seen, in any order: that of a bank's children is the learner's own.
Tree: TypeAlias = Mapping[str, Counter[str]]


@dataclass(frozen=True, slots=True)
class Difference:
    """A block that one tree has below a parent, and the other has not, or has fewer times.

    ``below``: how many more blocks differ because of it. ``rules``: what of the course's rules bears on the block.
    """

    block: str
    parent: str
    ours: int
    theirs: int
    below: int
    rules: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the trees of one learner compare. ``expected``: what is known to differ, and does."""

    user_id: int
    differences: tuple[Difference, ...]
    expected: tuple[str, ...]


def compare(
    platform: Platform, course_key: CourseKey, user_id: int, *, clock: Callable[[], datetime] = timezone.now
) -> Comparison:
    """Compare the trees of one learner; a difference is looked at twice, for time passes and courses change."""
    found = _compare(platform, course_key, user_id, clock)
    return _compare(platform, course_key, user_id, clock) if found.differences else found


def sample(platform: Platform, course_key: CourseKey, size: int, *, seed: int) -> list[int]:
    """Return enrolled learners by id: of each kind that we tell apart one, as far as they go, and others at random."""
    random = Random(seed)  # noqa: S311 (to be drawn again by whoever has the seed)
    enrolled = list(platform.enrolled_user_ids(course_key))
    pool = random.sample(enrolled, min(len(enrolled), size * _POOL))
    teaching = sorted(set(platform.role_holders(course_key)).intersection(enrolled).difference(pool))
    pool += random.sample(teaching, min(len(teaching), size))
    _, graph = platform.course_graph(course_key)
    if not pool or platform.asks_one_by_one(course_key, graph):
        return sorted(pool[:size])  # to learn of what kind they are would be to visit for all of them
    sights = platform.sights(course_key, graph, pool, now=timezone.now())
    kinds = {sights[user_id].profile: user_id for user_id in reversed(pool)}
    chosen = dict.fromkeys([*kinds.values(), *pool])
    return sorted(list(chosen)[:size])


def tree_of(structure: Any) -> Tree:
    """Return the tree that the LMS shows. Where it hides the course itself, that has no children here."""
    root = structure.root_block_usage_key
    seen = structure.topological_traversal() if root in structure else ()
    tree = {str(each): Counter(str(child) for child in structure.get_children(each)) for each in seen}
    return tree or {str(root): Counter()}


def our_tree(graph: CourseGraph, sight: Sight, *, whole: Collection[str] = ()) -> Tree:
    """Return the tree that we count by; item banks of the types *whole* with all their children."""
    children, keys, types = graph.children, graph.keys, graph.types
    shown = [list(each) for each in graph.rules.visible_children(children, sight.profile)]
    for bank, size in graph.banks.items():
        drawn = sight.selections.get(keys[bank], ())[:size]
        if 0 <= size < len(children[bank]) and types[bank] not in whole:
            shown[bank] = [child for child in shown[bank] if keys[child] in drawn]
    seen = {0}
    for block, below in enumerate(shown):
        seen.update(below if block in seen else ())
    return {keys[block]: Counter(keys[child] for child in shown[block]) for block in sorted(seen)}


def _compare(platform: Platform, course_key: CourseKey, user_id: int, clock: Callable[[], datetime]) -> Comparison:
    _, graph = platform.course_graph(course_key)
    ask = platform.visit if platform.asks_one_by_one(course_key, graph) else platform.sights
    before = our_tree(graph, ask(course_key, graph, [user_id], now=clock())[user_id])
    shown = tree_of(_visit(course_key, user_id))
    sight = ask(course_key, graph, [user_id], now=clock())[user_id]
    ours = our_tree(graph, sight)
    expected = [VISITED] if ours != before else []
    passed_over = _PassedOver(graph, shown, sight.profile)
    theirs = passed_over.without_split_tests(shown)
    differences = list(_differences(graph, ours, theirs))
    if differences:
        newer = {kind for kind in lms.bank_types() if kind != _DRAWN_EVERYWHERE}
        unfiltered = list(_differences(graph, our_tree(graph, sight, whole=newer), theirs))
        if len(unfiltered) < len(differences):
            differences, expected = unfiltered, [*expected, NOT_FILTERED]
    told = [each for each in differences if each.ours or each.block not in passed_over]
    if len(told) < len(differences) or theirs.keys() < shown.keys():
        expected.append(PASSED_OVER)
    return Comparison(user_id, tuple(told), tuple(expected))


def _visit(course_key: CourseKey, user_id: int) -> Any:
    # Loaded anew: what the LMS keeps on the instances of requests is not to be had from the last visit.
    user = get_user_model()._default_manager.get(pk=user_id)
    return lms.visible_structure(user, course_key, unreleased=setting("AGGREGATE_UNRELEASED_BLOCKS"))


def _differences(graph: CourseGraph, ours: Tree, theirs: Tree) -> Iterator[Difference]:
    """Yield what differs below blocks that both have; what differs for being below that is counted."""
    rules = _Rules(graph)
    ours, theirs = _that_count(graph, ours), _that_count(graph, theirs)
    for parent in ours:
        if parent in theirs and ours[parent] != theirs[parent]:
            for child in {**ours[parent], **theirs[parent]}:
                ours_has, theirs_has = ours[parent][child], theirs[parent][child]
                if ours_has != theirs_has:
                    more, fewer = (ours, theirs) if ours_has > theirs_has else (theirs, ours)
                    below = len(_below(more, child) - fewer.keys() - {child})
                    yield Difference(child, parent, ours_has, theirs_has, below, rules.of(child))


def _that_count(graph: CourseGraph, tree: Tree) -> Tree:
    """Return *tree* without what is below blocks that are no aggregators: whoever sees it, it is not counted."""
    whole = {key for key, mode in zip(graph.keys, graph.modes, strict=True) if mode is not CompletionMode.AGGREGATOR}
    found, todo = dict[str, Counter[str]](), [graph.keys[0]]
    while todo:
        key = todo.pop()
        if key not in found:
            found[key] = Counter() if key in whole else tree.get(key, Counter())
            todo += found[key]
    return found


def _below(tree: Tree, key: str) -> set[str]:
    found, todo = set[str](), [key]
    while todo:
        each = todo.pop()
        if each not in found:
            found.add(each)
            todo += tree.get(each, ())
    return found


class _PassedOver:
    """The blocks that the LMS shows because it never came to ask whether to.

    It asks its rules about a block after all parents of it, and never comes to a parent all of whose own are hidden. So
    nothing is asked about a block of several parents if one of them is such a parent, nor about what is below that
    block. To hide it is what its author wants, and what a learner meets who opens it.
    """

    def __init__(self, graph: CourseGraph, theirs: Tree, profile: Profile) -> None:
        keys, children = graph.keys, graph.children
        hidden = graph.rules.hidden(profile)
        self._theirs = theirs
        self._split_tests = {key for key, kind in zip(keys, graph.types, strict=True) if kind == SPLIT_TEST}
        self._parents: dict[str, set[str]] = {key: set() for key in keys}
        # A split test that is not hidden gives way to its children: what is above it is above them.
        self._above: dict[str, set[str]] = {key: set() for key in keys}
        for block, below in enumerate(children):
            gives_way = block and keys[block] in self._split_tests and not hidden[block]
            for child in below:
                self._parents[keys[child]].add(keys[block])
                self._above[keys[child]] |= self._above[keys[block]] if gives_way else {keys[block]}

    def __contains__(self, key: str) -> bool:
        asked, todo = set[str](), [key]
        while todo:
            block = todo.pop()
            parents = self._parents.get(block, set())
            if any(self._is_out_of_reach(parent) for parent in parents):
                return True
            # What is hidden was parted from its children when its turn came.
            found = (parents | self._above.get(block, set())) & self._theirs.keys() - asked
            asked |= found
            todo += found
        return False

    def without_split_tests(self, theirs: Tree) -> Tree:
        """Return *theirs* as it were had those split tests given way that were passed over."""
        tree = {key: Counter(below) for key, below in theirs.items()}
        for key in theirs:  # parents first
            if key in self._split_tests and key in self:
                branches = tree.pop(key)
                for below in tree.values():
                    for _ in range(below.pop(key, 0)):
                        below.update(branches)
        return tree

    def _is_out_of_reach(self, key: str) -> bool:
        return key not in self._theirs and not self._above[key] & self._theirs.keys()


class _Rules:
    """Say in words which rules of a course bear on a block."""

    def __init__(self, graph: CourseGraph) -> None:
        self.graph = graph
        self.number = {key: block for block, key in enumerate(graph.keys)}

    def of(self, key: str) -> str:
        block = self.number.get(key)
        if block is None:
            return "the block is not in the content that we compiled"
        return ", ".join(self._words(block)) or "no rule bears on the block"

    def _words(self, block: int) -> Iterator[str]:
        rules, keys = self.graph.rules, self.graph.keys
        if rules.staff_only[block]:
            yield "staff only"
        if rules.start[block] != ALWAYS:
            yield f"starts {moment_of(int(rules.start[block])).isoformat()}"
        for partition, allowed in rules.access_table[rules.access[block]]:
            scheme = self.graph.partitions[partition].scheme
            yield f"groups {sorted(allowed)} of partition {partition} ({scheme})"
        children: Sequence[Sequence[int]] = self.graph.children
        yield from (f"drawn by {keys[bank]}" for bank in self.graph.banks if block in children[bank])
        if rules.split[block]:
            yield "split test"
