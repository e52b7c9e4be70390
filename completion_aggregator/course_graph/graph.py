"""A course version, compiled: blocks as integers in topological order, edges, modes, rules; immutable."""

import json
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from hashlib import sha256
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.course_graph.blocks import SPLIT_TEST, Block, CompletionMode, Partition
from completion_aggregator.course_graph.rollup import View, lay_out
from completion_aggregator.course_graph.visibility import Profile, Rules, merge_rules
from completion_aggregator.exceptions import DamagedGraph, InvalidCourse

__all__ = ["SPLIT_TEST", "Block", "CompletionMode", "CourseGraph", "Partition", "compile_graph"]

#: Views kept per graph. A course has one per reachable combination of groups and release dates: few, in real life.
VIEWS_KEPT: Final = 128
_FORMAT: Final = b"CG1\n"
_HASH_BYTES: Final = 16
_MODES: Final = (CompletionMode.COMPLETABLE, CompletionMode.AGGREGATOR, CompletionMode.EXCLUDED)
_SEPARATOR: Final = "\x1f"
_NOT_OURS: Final = "\x1e"
_NO_BANK: Final = int(np.iinfo(np.int32).min)
_ARRAYS: Final = {
    "type_numbers": "<u2", "modes": "<u1", "optional": "<u1", "bank_sizes": "<i4", "widths": "<u4", "edges": "<u4",
    "start": "<i8", "days_early": "<f8", "staff_only": "<u1", "access": "<u4",
}  # fmt: skip


class CourseGraph:
    """The blocks of one content version of a course, under 100 bytes each.

    Blocks are numbered in topological order, 0 is the course itself. Equal content has an equal ``content_hash``,
    whatever it was read from. Made by ``compile_graph`` or ``from_bytes``; pickles as its bytes.
    """

    def __init__(self, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.course_key: Final[str] = header["course_key"]
        self.partitions: Final = {
            p["id"]: Partition(p["id"], p["scheme"], frozenset(p["groups"]), p["name"]) for p in header["partitions"]
        }
        self._header = header
        self._arrays = arrays
        self._views: OrderedDict[Profile, View] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._arrays["modes"])

    def __repr__(self) -> str:
        return f"<CourseGraph {self.course_key} {len(self)} blocks {self.content_hash[:8]}>"

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return CourseGraph.from_bytes, (self.to_bytes(),)

    @property
    def keys(self) -> tuple[str, ...]:
        """Usage keys by block number; put together on each call, so that a graph at rest stays small."""
        return tuple(self.keys_of(range(len(self))).values())

    def keys_of(self, blocks: Iterable[int]) -> dict[int, str]:
        """Return the usage keys of some blocks."""
        before, names, types = self._key_start, self._header["types"], self._arrays["type_numbers"].tolist()
        ids = self._header["ids"].split(_SEPARATOR)
        return {
            block: ids[block][1:]
            if ids[block].startswith(_NOT_OURS)
            else f"{before}{names[types[block]]}+block@{ids[block]}"
            for block in blocks
        }

    @property
    def types(self) -> tuple[str, ...]:
        """Block types by block number."""
        names = self._header["types"]
        return tuple(names[number] for number in self._arrays["type_numbers"].tolist())

    def of_types(self, types: Collection[str]) -> NDArray[np.bool_]:
        """Return, by block number, which blocks are of these types."""
        wanted = np.array([name in types for name in self._header["types"]], dtype=np.bool_)
        chosen: NDArray[np.bool_] = wanted[self._arrays["type_numbers"]]
        return chosen

    @property
    def titles(self) -> tuple[str, ...]:
        """Display names by block number."""
        return tuple(self._header["titles"].split(_SEPARATOR))

    @property
    def modes(self) -> tuple[CompletionMode, ...]:
        """Completion modes by block number."""
        return tuple(_MODES[number] for number in self._arrays["modes"])

    @property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Children by block number, in their order, before any rule is applied."""
        edges = iter(self._arrays["edges"].tolist())
        return tuple(tuple(next(edges) for _ in range(width)) for width in self._arrays["widths"].tolist())

    @property
    def banks(self) -> dict[int, int]:
        """Item banks: block number to how many children a learner draws, negative for all."""
        sizes = self._arrays["bank_sizes"]
        return {int(block): int(sizes[block]) for block in np.flatnonzero(sizes != _NO_BANK)}

    @property
    def completable_keys(self) -> tuple[str, ...]:
        """Usage keys of every completable block, seen by somebody or not: the ones that get leaf numbers."""
        modes = self._arrays["modes"]
        return tuple(key for key, mode in zip(self.keys, modes, strict=True) if mode == 0)

    @property
    def completable_positions(self) -> NDArray[np.intp]:
        """By block number, the position of a completable block among ``completable_keys``; of no use for others."""
        return np.cumsum(self._arrays["modes"] == 0) - 1

    @cached_property
    def rules(self) -> Rules:
        """The merged visibility rules."""
        table = tuple(
            tuple((partition, frozenset(groups)) for partition, groups in access) for access in self._header["access"]
        )
        arrays = self._arrays
        types = self._header["types"]
        split = np.array([name == SPLIT_TEST for name in types], dtype=np.bool_)[arrays["type_numbers"]]
        return Rules(
            start=arrays["start"], days_early=arrays["days_early"], staff_only=arrays["staff_only"].astype(np.bool_),
            split=split, access=arrays["access"], access_table=table,
        )  # fmt: skip

    @cached_property
    def content_hash(self) -> str:
        """Thirty-two hexadecimal digits that stand for this content."""
        return _hash(self._payload())

    @property
    def tag(self) -> str:
        """Sixteen hexadecimal digits that tell this content from others of the same course."""
        return self.content_hash[:16]

    def view(self, profile: Profile) -> View:
        """Return the tree that *profile* sees; worked out once and kept with the most recent ``VIEWS_KEPT``."""
        with self._lock:
            if profile in self._views:
                self._views.move_to_end(profile)
                return self._views[profile]
        children = self.children
        view = lay_out(
            self.rules.visible_children(children, profile), self.modes,
            self._arrays["optional"].astype(bool).tolist(),
            {bank: (size, children[bank]) for bank, size in self.banks.items()}, self.keys,
        )  # fmt: skip
        with self._lock:
            # Two profiles may see the same tree: keep one copy.
            view = next((kept for kept in self._views.values() if kept.digest == view.digest), view)
            self._views[profile] = view
            while len(self._views) > VIEWS_KEPT:
                self._views.popitem(last=False)
        return view

    def to_bytes(self) -> bytes:
        """Return the whole graph, compactly; ``from_bytes`` reads it back."""
        return _FORMAT + bytes.fromhex(self.content_hash) + zlib.compress(self._payload(), 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> "CourseGraph":
        """Read a graph that ``to_bytes`` wrote. Raises DamagedGraph."""
        start = len(_FORMAT) + _HASH_BYTES
        try:
            payload = zlib.decompress(data[start:])
        except zlib.error as error:
            raise DamagedGraph(f"These {len(data)} bytes are no course graph: {error}") from error
        if bytes(data[:start]) != _FORMAT + bytes.fromhex(_hash(payload)):
            raise DamagedGraph(f"These {len(data)} bytes are no course graph: the content is not that of its hash")
        header, _, rest = payload.partition(b"\n")
        fields = json.loads(header)
        return cls(fields, dict(_read_arrays(rest, fields["lengths"])))

    @property
    def _key_start(self) -> str:
        return _key_start(self.course_key)

    def _payload(self) -> bytes:
        header = {**self._header, "lengths": {name: len(self._arrays[name]) for name in _ARRAYS}}
        text = json.dumps(header, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return (
            text.encode()
            + b"\n"
            + b"".join(self._arrays[name].astype(kind).tobytes() for name, kind in _ARRAYS.items())
        )


def compile_graph(course_key: str, blocks: Iterable[Block], partitions: Iterable[Partition] = ()) -> CourseGraph:
    """Compile *blocks*; raise InvalidCourse, naming the block, unless they form one acyclic graph with one root."""
    by_key = _by_key(blocks)
    order = _topological(by_key)
    if by_key[order[0]].mode is not CompletionMode.AGGREGATOR:
        raise InvalidCourse(f"Block {order[0]} is the root and must be an aggregator, not {by_key[order[0]].mode}.")
    number = {key: n for n, key in enumerate(order)}
    ordered = [by_key[key] for key in order]
    children = [[number[child] for child in block.children] for block in ordered]
    known = sorted(partitions, key=lambda partition: partition.id)
    rules = merge_rules(ordered, children, known)
    types = sorted({block.type for block in ordered})
    header = {
        "course_key": course_key,
        "types": types,
        "ids": _SEPARATOR.join(_short(block, _key_start(course_key)) for block in ordered),
        "titles": _SEPARATOR.join(_printable(block.title) for block in ordered),
        "access": [[[p, sorted(groups)] for p, groups in access] for access in rules.access_table],
        "partitions": [
            {"id": p.id, "scheme": p.scheme, "groups": sorted(p.groups), "name": _printable(p.name)} for p in known
        ],
    }
    columns: dict[str, Any] = {
        "type_numbers": [types.index(block.type) for block in ordered],
        "modes": [_MODES.index(block.mode) for block in ordered],
        "optional": [block.optional for block in ordered],
        "bank_sizes": [_NO_BANK if block.bank_size is None else _size(block.bank_size) for block in ordered],
        "widths": [len(each) for each in children],
        "edges": [child for each in children for child in each],
        "start": rules.start, "days_early": rules.days_early, "staff_only": rules.staff_only, "access": rules.access,
    }  # fmt: skip
    return CourseGraph(header, {name: np.asarray(columns[name]).astype(kind) for name, kind in _ARRAYS.items()})


def _hash(payload: bytes) -> str:
    return sha256(payload).digest()[:_HASH_BYTES].hex()


def _by_key(blocks: Iterable[Block]) -> dict[str, Block]:
    by_key: dict[str, Block] = {}
    for block in blocks:
        if block.key in by_key:
            raise InvalidCourse(f"Block {block.key} is listed twice.")
        if _printable(block.key) != block.key:
            raise InvalidCourse(f"Block {block.key!r} has control characters in its key.")
        by_key[block.key] = block
    for block in by_key.values():
        for child in block.children:
            if child not in by_key:
                raise InvalidCourse(f"Block {block.key} has the child {child}, which is not among the blocks.")
    return by_key


def _topological(by_key: Mapping[str, Block]) -> list[str]:
    """Return the keys, parents before children and otherwise in document order, after checking the shape."""
    import networkx as nx

    shape = nx.DiGraph()
    shape.add_nodes_from(by_key)
    shape.add_edges_from((block.key, child) for block in by_key.values() for child in block.children)
    if not nx.is_directed_acyclic_graph(shape):
        loop = [edge[0] for edge in nx.find_cycle(shape)]
        raise InvalidCourse(f"Block {loop[0]} is below itself: {' > '.join([*loop, loop[0]])}")
    roots = [key for key, degree in shape.in_degree() if degree == 0]
    if len(roots) != 1:
        found = ", ".join(roots[:5]) + (", ..." if len(roots) > 5 else "")
        raise InvalidCourse(
            f"A course has one block that is nobody's child; here are {len(roots)}: {found or 'no blocks'}"
        )
    return _depth_first(roots[0], by_key)


def _depth_first(root: str, by_key: Mapping[str, Block]) -> list[str]:
    """Return the reversed post-order of a walk, last children first: topological, and document order in a tree."""
    finished: list[str] = []
    seen = {root}
    stack: list[tuple[str, Iterator[str]]] = [(root, reversed(by_key[root].children))]
    while stack:
        key, rest = stack[-1]
        child = next((each for each in rest if each not in seen), None)
        if child is None:
            finished.append(key)
            stack.pop()
        else:
            seen.add(child)
            stack.append((child, reversed(by_key[child].children)))
    return finished[::-1]


def _key_start(course_key: str) -> str:
    return f"block-v1:{course_key.partition(':')[2]}+type@"


def _short(block: Block, start: str) -> str:
    """Return what of the key the course key and the type do not tell."""
    before = f"{start}{block.type}+block@"
    rest = block.key.removeprefix(before)
    return rest if rest != block.key else _NOT_OURS + block.key


def _printable(text: str) -> str:
    """Return *text* without our separators, and without the halves of characters that JSON lets through."""
    return "".join(" " if ord(each) < 32 else "\ufffd" if "\ud800" <= each <= "\udfff" else each for each in text)


def _size(drawn: int) -> int:
    """Return a bank's size as 32 bits hold it: negative for all, beyond them there is no course."""
    return min(max(drawn, -1), int(np.iinfo(np.int32).max))


def _read_arrays(data: bytes, lengths: Mapping[str, int]) -> Iterator[tuple[str, NDArray[Any]]]:
    offset = 0
    for name, kind in _ARRAYS.items():
        yield name, np.frombuffer(data, dtype=kind, count=lengths[name], offset=offset)
        offset += lengths[name] * np.dtype(kind).itemsize
