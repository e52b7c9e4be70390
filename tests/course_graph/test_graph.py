"""Compiled courses: what is refused, what survives, how large they are, and the views they keep."""

import pickle
import random
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.course_graph.blocks import Block, CompletionMode, Partition
from completion_aggregator.course_graph.graph import VIEWS_KEPT, CourseGraph, compile_graph
from completion_aggregator.course_graph.rollup import View, roll_up
from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.exceptions import DamagedGraph, InvalidCourse
from tests.course_graph.builders import COURSE, bank, block, chapter, course, discussion, leaf, seen, vertical
from tests.course_graph.strategies import MONDAY, PARTITIONS, courses

AGGREGATOR, COMPLETABLE = CompletionMode.AGGREGATOR, CompletionMode.COMPLETABLE


def described(graph: CourseGraph) -> tuple[object, ...]:
    """Return all that a graph says about itself."""
    rules = graph.rules
    arrays = (rules.start, rules.days_early, rules.staff_only, rules.split, rules.access)
    return (
        graph.course_key, graph.keys, graph.types, graph.titles, graph.modes, graph.children, graph.banks,
        graph.partitions, graph.completable_keys, rules.access_table, [each.tobytes() for each in arrays],
        graph.content_hash, len(graph),
    )  # fmt: skip


def large_course(*, sections: int = 12) -> list[Block]:
    """Return a course with twelve sections of 4 x 4 x 5: 960 leaves, with keys as long as Studio's."""
    generator = random.Random(1)

    def key(kind: str) -> str:
        return f"block-v1:Org+Course+Run+type@{kind}+block@{generator.getrandbits(128):032x}"

    def unit() -> tuple[Block, ...]:
        leaves = [leaf(key("html"), title=f"What number {n} is about") for n in range(5)]
        return vertical(key("vertical"), *leaves, title="A unit")

    def section() -> tuple[Block, ...]:
        parts = [
            block(key("sequential"), "sequential", AGGREGATOR, *(unit() for _ in range(4)), title="A subsection")
            for _ in range(4)
        ]
        return chapter(key("chapter"), *parts, title="A section", start=MONDAY)

    return list(block(key("course"), "course", AGGREGATOR, *(section() for _ in range(sections)), title="The course"))


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "one block that is nobody's child; here are 0: no blocks"),
        ([*vertical("top", leaf("a")), *leaf("stray")], "here are 2: top, stray"),
        ([leaf(f"leaf {n}")[0] for n in range(9)], "here are 9: leaf 0, leaf 1, leaf 2, leaf 3, leaf 4, ..."),
        (vertical("top", leaf("a"))[:1], "Block top has the child a, which is not among the blocks"),
        (vertical("top", leaf("a"), leaf("a")), "Block a is listed twice"),
        (leaf("top"), "Block top is the root and must be an aggregator, not completable"),
        (discussion("top"), "Block top is the root and must be an aggregator, not excluded"),
        ([Block(key="a", type="x", mode=AGGREGATOR, children=("a",))], "Block a is below itself: a > a"),
        (vertical("a\x1fb"), r"Block 'a\\x1fb' has control characters in its key"),
        (vertical("a\nb"), r"Block 'a\\nb' has control characters in its key"),
        (vertical("\ud800"), r"Block '\\ud800' has control characters in its key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_course_is_refused_by_the_name_of_the_block(blocks: list[Block], message: str) -> None:
    with pytest.raises(InvalidCourse, match=message):
        compile_graph(COURSE, blocks)


def test_a_cycle_is_refused_with_its_way_round() -> None:
    blocks = [
        Block(key="top", type="course", mode=AGGREGATOR, children=("a",)),
        Block(key="a", type="vertical", mode=AGGREGATOR, children=("leaf", "b")),
        Block(key="b", type="vertical", mode=AGGREGATOR, children=("a",)),
        *leaf("leaf"),
    ]

    with pytest.raises(InvalidCourse, match=r"Block (a is below itself: a > b > a|b is below itself: b > a > b)$"):
        compile_graph(COURSE, blocks)


# --- what is kept --------------------------------------------------------------------------------------------------


def test_blocks_are_numbered_in_document_order_and_after_all_their_parents() -> None:
    shared = leaf("shared")
    graph = course(chapter("one", shared, leaf("a")), chapter("two", vertical("unit", shared, leaf("b"))))

    assert graph.keys == ("course", "one", "a", "two", "unit", "shared", "b")
    assert graph.children == ((1, 3), (5, 2), (), (4,), (5, 6), (), ())


@given(courses())
def test_parents_are_numbered_before_their_children(blocks: list[Block]) -> None:
    graph = compile_graph(COURSE, blocks, PARTITIONS)

    assert sorted(graph.keys) == sorted(block.key for block in blocks)
    assert all(parent < child for parent, children in enumerate(graph.children) for child in children)


@given(courses())
def test_a_graph_says_what_its_blocks_said(blocks: list[Block]) -> None:
    graph = compile_graph(COURSE, blocks, PARTITIONS)
    by_key = {block.key: block for block in blocks}
    said = [by_key[key] for key in graph.keys]

    assert graph.types == tuple(block.type for block in said)
    assert graph.titles == tuple(block.title for block in said)
    assert graph.modes == tuple(block.mode for block in said)
    assert [[graph.keys[n] for n in children] for children in graph.children] == [
        list(block.children) for block in said
    ]
    assert graph.banks == {n: block.bank_size for n, block in enumerate(said) if block.bank_size is not None}
    assert graph.completable_keys == tuple(block.key for block in said if block.mode == "completable")
    assert graph.partitions == {partition.id: partition for partition in PARTITIONS}
    assert graph.course_key == COURSE


@given(courses())
def test_bytes_and_pickles_bring_the_same_graph_back(blocks: list[Block]) -> None:
    graph = compile_graph(COURSE, blocks, PARTITIONS)

    for copy in (CourseGraph.from_bytes(graph.to_bytes()), pickle.loads(pickle.dumps(graph))):
        assert described(copy) == described(graph)
        assert copy.to_bytes() == graph.to_bytes()
        assert copy.view(Profile()).digest == graph.view(Profile()).digest


TEXTS = [
    "",
    "plain",
    "block-v1:Org+Course+Run+type@html+block@x",
    "наука é 漢字 🚀",
    "'\"\\/<>&",
    "+block@",
    "\x7f",
    "\u2028",
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_key_type_and_title_survive(text: str) -> None:
    partition = Partition(7, text, frozenset({2**40}), text)
    graph = compile_graph(f"course-v1:{text}", [Block(key=text, type=text, mode=AGGREGATOR, title=text)], [partition])

    copy = CourseGraph.from_bytes(graph.to_bytes())

    assert (copy.keys, copy.types, copy.titles) == ((text,), (text,), (text,))
    assert copy.partitions == {7: partition}


def test_titles_are_cleaned_of_what_cannot_be_printed() -> None:
    partition = Partition(7, "cohort", frozenset(), "half \udfff")
    graph = course(leaf("a", title="two\nlines\x1fand half \ud800 a character"), partitions=[partition])

    copy = CourseGraph.from_bytes(graph.to_bytes())

    assert copy.titles == graph.titles == ("", "two lines and half \ufffd a character")
    assert copy.partitions[7].name == "half \ufffd"


@pytest.mark.parametrize(
    ("size", "kept"), [(0, 0), (3, 3), (-1, -1), (-(2**31), -1), (2**31, 2**31 - 1), (2**32 + 1, 2**31 - 1)]
)
def test_sizes_of_banks_are_never_mistaken(size: int, kept: int) -> None:
    assert CourseGraph.from_bytes(course(bank("bank", size, leaf("a"))).to_bytes()).banks == {1: kept}


def test_a_representation_names_the_course_and_its_size() -> None:
    graph = course(leaf("a"))

    assert repr(graph) == f"<CourseGraph {COURSE} 2 blocks {graph.content_hash[:8]}>"


# --- content hash --------------------------------------------------------------------------------------------------


@given(courses(), st.randoms(use_true_random=False))
def test_the_order_in_which_blocks_come_means_nothing(blocks: list[Block], shuffle: random.Random) -> None:
    graph = compile_graph(COURSE, blocks, PARTITIONS)
    other = list(blocks)
    shuffle.shuffle(other)

    again = compile_graph(COURSE, other, PARTITIONS[::-1])

    assert again.content_hash == graph.content_hash
    assert len(graph.content_hash) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"title": "new"}, {"optional": True}, {"start": MONDAY}, {"staff_only": True}, {"bank_size": 1},
        {"group_access": {1: frozenset({1})}}, {"days_early_for_beta": 1.0},
    ],
)  # fmt: skip
def test_any_edit_changes_the_content_hash(change: dict[str, object]) -> None:
    before, after = (course(vertical("unit", leaf("a"), **fields), partitions=PARTITIONS) for fields in ({}, change))

    assert before.content_hash != after.content_hash


# --- damage --------------------------------------------------------------------------------------------------------

GRAPH = compile_graph(COURSE, large_course(sections=1), PARTITIONS)
DATA = GRAPH.to_bytes()


@given(
    st.lists(
        st.tuples(st.integers(0, len(DATA) - 1), st.integers(1, 255)), min_size=1, max_size=4, unique_by=lambda p: p[0]
    )
)
def test_flipped_bits_are_damage_and_nothing_else(flips: list[tuple[int, int]]) -> None:
    data = bytearray(DATA)
    for at, mask in flips:
        data[at] ^= mask

    with pytest.raises(DamagedGraph):
        CourseGraph.from_bytes(bytes(data))


@given(st.integers(0, len(DATA) - 1))
def test_missing_bytes_are_damage_and_nothing_else(length: int) -> None:
    with pytest.raises(DamagedGraph, match=f"These {length} bytes are no course graph"):
        CourseGraph.from_bytes(DATA[:length])


@given(st.binary(max_size=200))
def test_noise_is_damage_and_nothing_else(noise: bytes) -> None:
    for data in (noise, DATA[:4] + noise, DATA[:20] + noise, DATA[:20] + zlib.compress(noise)):
        with pytest.raises(DamagedGraph):
            CourseGraph.from_bytes(data)


def test_sound_bytes_of_another_graph_or_version_are_damage() -> None:
    other = course(leaf("a")).to_bytes()

    for data in (DATA[:20] + other[20:], b"CG2\n" + DATA[4:]):
        with pytest.raises(DamagedGraph, match="the content is not that of its hash"):
            CourseGraph.from_bytes(data)


def test_what_databases_call_bytes_is_read() -> None:
    assert CourseGraph.from_bytes(memoryview(DATA)).content_hash == GRAPH.content_hash  # type: ignore[arg-type]


# --- size ----------------------------------------------------------------------------------------------------------


def test_a_graph_takes_less_than_a_hundred_bytes_per_block() -> None:
    data = compile_graph(COURSE, large_course(), PARTITIONS).to_bytes()
    tracemalloc.start()
    try:
        graph = CourseGraph.from_bytes(data)
        at_rest, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(graph) == 1 + 12 + 48 + 192 + 960
    assert len(data) / len(graph) < 100
    assert at_rest / len(graph) < 100


def test_a_course_of_5000_levels_is_a_course() -> None:
    levels = 5000
    blocks = [
        Block(key=f"level {n}", type="vertical", mode=AGGREGATOR, children=(f"level {n + 1}",), start=MONDAY)
        for n in range(levels)
    ]
    graph = compile_graph(COURSE, [*blocks, *leaf(f"level {levels}")])
    copy = pickle.loads(pickle.dumps(graph))
    view = copy.view(copy.rules.profile(now=MONDAY, unreleased=True)[0])

    tallies = roll_up(view, np.full((1, 2), 0.3))

    assert tallies.earned.shape == (levels, 2)
    assert tallies.percent[view.root].tolist() == [0.3, 0.3]
    assert len(copy.view(copy.rules.profile(now=MONDAY)[0]).aggregators) == 1


def test_a_cycle_of_5000_levels_is_refused() -> None:
    blocks = [
        Block(key=f"level {n}", type="vertical", mode=AGGREGATOR, children=(f"level {(n + 1) % 5000}",))
        for n in range(5000)
    ]

    with pytest.raises(InvalidCourse, match="is below itself"):
        compile_graph(COURSE, blocks)


# --- views ---------------------------------------------------------------------------------------------------------


def groups_course() -> CourseGraph:
    """Return a course of which every group sees another leaf."""
    groups = range(2 * VIEWS_KEPT)
    leaves = [leaf(f"leaf {n}", group_access={1: frozenset({n})}) for n in groups]
    return course(*leaves, partitions=[Partition(1, "cohort", frozenset(groups))])


def of_group(number: int) -> Profile:
    return Profile(groups=((1, number),))


def test_a_view_is_worked_out_once() -> None:
    graph = groups_course()

    assert graph.view(of_group(1)) is graph.view(of_group(1))
    assert graph.view(of_group(1)) is not graph.view(of_group(2))


def test_profiles_that_see_the_same_share_a_view() -> None:
    graph = course(leaf("a", start=MONDAY))

    assert graph.view(Profile(released=1)) is graph.view(Profile(staff=True))


def test_the_views_asked_for_last_are_kept_and_no_more() -> None:
    graph = groups_course()
    first = [graph.view(of_group(n)) for n in range(VIEWS_KEPT)]
    assert graph.view(of_group(0)) is first[0]

    graph.view(of_group(VIEWS_KEPT))

    assert graph.view(of_group(0)) is first[0]
    assert graph.view(of_group(2)) is first[2]
    assert graph.view(of_group(1)) is not first[1]
    assert len(graph._views) == VIEWS_KEPT


def test_threads_get_the_right_views() -> None:
    graph, threads = groups_course(), 8
    together = Barrier(threads)

    def ask(seed: int) -> list[tuple[int, View]]:
        generator = random.Random(seed)
        order = [generator.randrange(2 * VIEWS_KEPT) for _ in range(100)]
        together.wait()
        return [(number, graph.view(of_group(number))) for number in order]

    with ThreadPoolExecutor(threads) as pool:
        answers = [pair for each in pool.map(ask, range(threads)) for pair in each]

    expected = {number: groups_course().view(of_group(number)).digest for number in range(2 * VIEWS_KEPT)}
    assert len(set(expected.values())) == 2 * VIEWS_KEPT
    assert all(view.digest == expected[number] for number, view in answers)
    assert len(graph._views) == VIEWS_KEPT


def test_a_graph_at_work_stays_as_it_was() -> None:
    graph = course(chapter("one", leaf("a", staff_only=True), leaf("b")))
    before = described(graph)

    assert seen(graph, Profile()) == {"course", "one", "b"}
    assert seen(graph, Profile(staff=True)) == {"course", "one", "a", "b"}
    assert described(graph) == before
