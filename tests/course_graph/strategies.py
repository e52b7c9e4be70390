"""Random courses and learners: every shape and rule that the definitions speak of, and the doubles that hurt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from completion_aggregator.course_graph.blocks import Block, CompletionMode, Partition
from tests.course_graph.oracle import Learner

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)
_DATES = [MONDAY + timedelta(days=days) for days in (0, 1, 2, 7)]
#: Moments on, just before and just after every date, and where beta testers find it.
MOMENTS = [
    date - early + side
    for date in _DATES
    for early in (timedelta(0), timedelta(days=0.3), timedelta(days=1), timedelta(days=2.5))
    for side in (-_INSTANT, timedelta(0), _INSTANT)
]
PARTITIONS = (
    Partition(1, "cohort", frozenset({1, 2, 3}), "Cohorts"),
    Partition(2, "random", frozenset({1, 2, 3})),
    Partition(51, "content_type_gate", frozenset({1, 2})),
)
_MODES = {
    "vertical": CompletionMode.AGGREGATOR, "library_content": CompletionMode.AGGREGATOR,
    "split_test": CompletionMode.AGGREGATOR, "html": CompletionMode.COMPLETABLE,
    "discussion": CompletionMode.EXCLUDED,
}  # fmt: skip

#: Completions that rounding, comparison with 0 or 1, or a narrower type would give away.
NASTY = [0.0, 1.0, 0.1, 0.2, 0.3, 0.7, 1 / 3, 2 / 3, 5e-324, 2.2250738585072014e-308, 2**-53, 1 - 2**-53, 0.5 + 2**-53]
completion_values = st.one_of(st.sampled_from(NASTY), st.floats(0, 1))

_group_sets = st.frozensets(st.integers(1, 3), max_size=3)
_no_access: st.SearchStrategy[dict[int, frozenset[int]]] = st.builds(dict)
_rare_access = st.one_of(
    _no_access, _no_access, _no_access,
    st.dictionaries(st.sampled_from([1, 2, 51, 99]), _group_sets, min_size=1, max_size=2),
)  # fmt: skip


@dataclass(frozen=True)
class _Sketch:
    """One block before it knows its children. ``places``: choices that decide on its parents and its place there."""

    kind: str
    odd_mode: CompletionMode | None
    optional: bool
    start: datetime | None
    staff_only: bool
    access: dict[int, frozenset[int]]
    early: float | None
    bank_size: int
    places: list[tuple[int, int]]


def _rarely(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), st.none(), st.none(), st.none(), strategy)


_sketches = st.builds(
    _Sketch,
    kind=st.sampled_from([*["html", "vertical"] * 5, *["split_test", "library_content"] * 2, "discussion"]),
    odd_mode=st.one_of(*[st.none()] * 11, st.sampled_from(CompletionMode)),
    optional=st.sampled_from([False, False, False, True]),
    start=_rarely(st.sampled_from(_DATES)),
    staff_only=st.sampled_from([False] * 9 + [True]),
    access=_rare_access,
    early=_rarely(st.sampled_from([0.0, 0.3, 1.0, 2.5, -1.0, 1e12, -1e12])),
    bank_size=st.integers(-1, 4),
    places=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 8)), min_size=1, max_size=3),
)  # fmt: skip


@st.composite
def courses(draw: st.DrawFn, *, max_blocks: int = 40) -> list[Block]:
    """Random courses: multi-parent graphs with every mode, option and rule. The root is ``b0``; the order is none."""
    sketches = [
        _Sketch("course", None, False, None, False, {}, None, 0, []),
        *draw(st.lists(_sketches, max_size=max_blocks - 1)),
    ]
    children: list[list[str]] = [[] for _ in sketches]
    for number, sketch in enumerate(sketches):
        for choice, place in sketch.places:
            parent = _parent(sketches[:number], sketch, choice)
            # No real bank holds a split test or the same block twice, and what that would mean is defined nowhere.
            if sketches[parent].kind != "library_content" or f"b{number}" not in children[parent]:
                children[parent].insert(place % (len(children[parent]) + 1), f"b{number}")
    blocks = [_block(number, sketch, children[number]) for number, sketch in enumerate(sketches)]
    return draw(st.permutations(blocks)) if len(blocks) < 8 else blocks[::-1]


def _parent(above: Sequence[_Sketch], sketch: _Sketch, choice: int) -> int:
    allowed = [n for n, each in enumerate(above) if each.kind != "library_content" or sketch.kind != "split_test"]
    usual = [n for n in allowed if above[n].kind not in ("html", "discussion")]
    return (allowed if choice % 8 == 7 else usual)[choice // 8 % len(allowed if choice % 8 == 7 else usual)]


def _block(number: int, sketch: _Sketch, children: list[str]) -> Block:
    return Block(
        key=f"b{number}", type=sketch.kind, title=f"Block {number}", children=tuple(children),
        mode=CompletionMode.AGGREGATOR if number == 0 else sketch.odd_mode or _MODES[sketch.kind],
        optional=sketch.optional, start=sketch.start, staff_only=sketch.staff_only, group_access=sketch.access,
        days_early_for_beta=sketch.early, bank_size=sketch.bank_size if sketch.kind == "library_content" else None,
    )  # fmt: skip


_sights = st.builds(
    Learner,
    now=st.sampled_from(MOMENTS),
    staff=st.sampled_from([False] * 5 + [True]),
    beta=st.booleans(),
    groups=st.dictionaries(st.sampled_from([1, 2, 51]), st.sampled_from([None, 1, 2, 3, 7])),
    messaging=st.sampled_from([frozenset[int](), frozenset({51}), frozenset({2, 51})]),
    unreleased=st.sampled_from([False] * 5 + [True]),
)


def sights() -> st.SearchStrategy[Learner]:
    """Learners who have completed nothing yet."""
    return _sights


@st.composite
def classes(draw: st.DrawFn, blocks: Sequence[Block]) -> list[Learner]:
    """Random learners of a course; some of them share what they see."""
    return [
        Learner(
            now=sight.now, staff=sight.staff, beta=sight.beta, groups=sight.groups, messaging=sight.messaging,
            unreleased=sight.unreleased, completions=draw(_completions(blocks)), draws=draw(_draws(blocks)),
        )
        for sight in draw(st.lists(_sights, min_size=1, max_size=3))
        for _ in range(draw(st.integers(1, 3)))
    ]  # fmt: skip


@st.composite
def _completions(draw: st.DrawFn, blocks: Sequence[Block]) -> dict[str, tuple[float, int]]:
    found = draw(
        st.lists(
            st.one_of(st.none(), st.tuples(completion_values, st.integers(-(2**62), 2**62))),
            min_size=len(blocks), max_size=len(blocks),
        )
    )  # fmt: skip
    return {block.key: each for block, each in zip(blocks, found, strict=True) if each is not None}


@st.composite
def _draws(draw: st.DrawFn, blocks: Sequence[Block]) -> dict[str, list[str]]:
    stored = {}
    for block in blocks:
        if block.bank_size is not None and draw(st.booleans()):
            stored[block.key] = draw(st.lists(st.sampled_from([*block.children, "gone"]), max_size=5))
    return stored
