"""Counting bits, against adding up: equal to the last bit, wherever counting says that it tells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.course_graph import coverage
from completion_aggregator.course_graph.coverage import Coverage, exact
from completion_aggregator.course_graph.graph import CourseGraph, compile_graph
from completion_aggregator.course_graph.rollup import View, roll_up
from completion_aggregator.course_graph.vector import Read, pack, read
from completion_aggregator.course_graph.visibility import Profile
from tests.course_graph.builders import COURSE, bank, chapter, course, leaf, vertical
from tests.course_graph.strategies import NASTY, PARTITIONS, courses

EVERYBODY = Profile()

exact_values = st.sampled_from([np.nan, np.nan, 0.0, 1.0, 1.0, 0.5, 0.25, 2**-20, 1 - 2**-20])


def of(view: View) -> Coverage | None:
    return Coverage.of(view, np.arange(len(view.leaves)), len(view.leaves))


@settings(max_examples=200)
@given(st.data())
def test_what_is_counted_is_what_is_added_up_bit_for_bit(data: st.DataObject) -> None:
    graph = compile_graph(COURSE, data.draw(courses()), PARTITIONS)
    view = graph.view(Profile(staff=data.draw(st.booleans())))
    leaves = len(view.leaves)
    count = leaves + data.draw(st.integers(0, 20))
    numbers = np.array(data.draw(st.permutations(range(count)))[:leaves], dtype=np.intp)
    found = Coverage.of(view, numbers, count)
    if found is None:
        assert any(view.banks) or _counts_twice(view)
        return
    shape = (data.draw(st.integers(1, 4)), count)
    cells = data.draw(st.lists(exact_values, min_size=shape[0] * count, max_size=shape[0] * count))
    values = np.array(cells).reshape(shape)
    learners = np.repeat(np.arange(shape[0]), len(view.aggregators))
    rows = np.tile(np.arange(len(view.aggregators)), shape[0])

    earned, apart = found.earned(read(pack(values), width=(count + 7) // 8), learners, rows)
    tallies = roll_up(view, np.nan_to_num(values[:, numbers].T))

    assert earned.tolist() == tallies.earned.T.reshape(-1).tolist()
    assert apart.tolist() == tallies.optional_earned.T.reshape(-1).tolist()
    assert found.possible.tolist() == tallies.possible[:, 0].tolist()
    assert found.optional_possible.tolist() == tallies.optional_possible[:, 0].tolist()
    for position, number in enumerate(numbers.tolist()):
        above = roll_up(view, (np.arange(leaves) == position)[:, None].astype(float))
        assert set(found.above(number).tolist()) == set(
            np.flatnonzero(above.earned[:, 0] + above.optional_earned[:, 0]).tolist()
        )


def _counts_twice(view: View) -> bool:
    """Whether some leaf alone earns more than it is worth somewhere."""
    tallies = roll_up(view, np.eye(len(view.leaves)))
    return bool((tallies.earned + tallies.optional_earned > 1.0).any())


@pytest.mark.parametrize(
    "graph",
    [
        course(chapter("c", vertical("v", leaf("a")), vertical("w", leaf("a")))),
        course(chapter("c", bank("k", 1, leaf("a"), leaf("b")))),
    ],
    ids=["a block below two others", "an item bank"],
)
def test_where_counting_does_not_tell_there_is_none(graph: CourseGraph) -> None:
    assert of(graph.view(EVERYBODY)) is None


def test_a_course_that_takes_too_much_memory_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    view = course(chapter("c", leaf("a"))).view(EVERYBODY)
    assert of(view) is not None
    monkeypatch.setattr(coverage, "MOST_BYTES", 1)
    assert of(view) is None


def test_numpy_1_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    view = course(*(leaf(f"l{n}") for n in range(300))).view(EVERYBODY)
    found, done = of(view), read(pack(np.arange(600).reshape(2, 300) % 7 / 6 // 1), width=38)
    assert found is not None
    both = np.array([0, 1]), np.array([0, 0])
    new = found.earned(done, *both)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    old = found.earned(done, *both)
    assert [each.tolist() for each in old] == [each.tolist() for each in new]
    assert sum(new[0]) > 0


def test_only_what_can_be_added_in_any_order_is_exact() -> None:
    assert exact(np.array([0.0, 1.0, 0.5, 0.75, 2**-20])).all()
    assert not exact(np.array([each for each in NASTY if each not in (0.0, 1.0)] + [2**-21, np.nan])).any()


@given(st.data())
def test_a_completion_is_found_by_its_place(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 40)))
    cells = data.draw(st.lists(exact_values, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    values = np.array(cells).reshape(shape)
    rows, numbers = (each.reshape(-1) for each in np.indices(shape))

    found: Read = read(pack(values), width=(shape[1] + 7) // 8)

    np.testing.assert_array_equal(found.at(rows, numbers).reshape(shape), values)
