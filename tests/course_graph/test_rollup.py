"""Sums over a course: whole tallies, for several learners at once, against the definition."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.course_graph.graph import compile_graph
from completion_aggregator.course_graph.rollup import NEVER, View, ratio, roll_up
from completion_aggregator.course_graph.visibility import Profile
from tests.course_graph.builders import (
    COURSE,
    bank,
    by_block,
    chapter,
    completions_of,
    course,
    discussion,
    leaf,
    split_test,
    tallies_of,
    vertical,
)
from tests.course_graph.oracle import Course, Learner, Tally
from tests.course_graph.strategies import NASTY, PARTITIONS, classes, courses

EVERYBODY = Profile()


def bits(tally: Tally) -> tuple[str, ...]:
    """Return what tells any two different doubles apart, the sign of zero included."""
    numbers = (*tally[:4], tally.percent, tally.optional_percent)
    return (*(number.hex() for number in numbers), str(tally.newest))


# --- against the definition ----------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.data())
def test_every_tally_of_every_learner_is_that_of_the_definition_bit_for_bit(data: st.DataObject) -> None:
    blocks = data.draw(courses())
    learners = data.draw(classes(blocks))
    graph, oracle = compile_graph(COURSE, blocks, PARTITIONS), Course(blocks, PARTITIONS)
    profiles = [profile_of(graph.rules.profile, learner) for learner in learners]

    for profile, positions in groupby(
        sorted(range(len(learners)), key=lambda n: repr(profiles[n])), profiles.__getitem__
    ):
        alike = [learners[position] for position in positions]
        view = graph.view(profile)
        values, times = completions_of(graph, view, [learner.completions for learner in alike])
        tallies = roll_up(view, values, times=times, draws=[learner.draws for learner in alike])
        for column, learner in enumerate(alike):
            found = {key: bits(tally) for key, tally in by_block(graph, tallies, column).items()}
            assert found == {key: bits(tally) for key, tally in oracle.tallies(learner).items()}


def profile_of(profile, learner: Learner) -> Profile:
    found, _ = profile(
        now=learner.now, staff=learner.staff, beta=learner.beta, groups=learner.groups,
        messaging=learner.messaging, unreleased=learner.unreleased,
    )  # fmt: skip
    assert isinstance(found, Profile)
    return found


@settings(max_examples=50)
@given(st.data())
def test_percentages_are_the_quotients_of_the_sums_bit_for_bit(data: st.DataObject) -> None:
    blocks = data.draw(courses(max_blocks=15))
    graph = compile_graph(COURSE, blocks, PARTITIONS)
    view = graph.view(Profile(staff=True))
    learners = data.draw(classes(blocks))
    values, _ = completions_of(graph, view, [learner.completions for learner in learners])

    tallies = roll_up(view, values)

    for column in range(len(learners)):
        root = by_block(graph, tallies, column)["b0"]
        assert tallies.percent[tallies.view.root, column].hex() == root.percent.hex()
        assert tallies.optional_percent[tallies.view.root, column].hex() == root.optional_percent.hex()


@settings(max_examples=50)
@given(st.data())
def test_times_change_no_sum(data: st.DataObject) -> None:
    blocks = data.draw(courses())
    learners = data.draw(classes(blocks))
    graph = compile_graph(COURSE, blocks, PARTITIONS)
    view = graph.view(Profile(staff=True))
    values, times = completions_of(graph, view, [learner.completions for learner in learners])
    draws = [learner.draws for learner in learners]

    with_times, without = roll_up(view, values, times=times, draws=draws), roll_up(view, values, draws=draws)

    assert without.newest is None
    for name in ("earned", "possible", "optional_earned", "optional_possible"):
        assert getattr(with_times, name).tobytes() == getattr(without, name).tobytes()


def test_what_is_handed_in_stays_as_it_was() -> None:
    graph = course(bank("bank", 1, leaf("a"), leaf("b", optional=True)), leaf("c", optional=True))
    view = graph.view(EVERYBODY)
    values, times = np.full((3, 2), 0.3), np.full((3, 2), 7, dtype=np.int64)
    values.flags.writeable = times.flags.writeable = False

    roll_up(view, values, times=times)

    assert values.tolist() == [[0.3, 0.3]] * 3
    assert times.tolist() == [[7, 7]] * 3


# --- the definition, one sentence at a time ------------------------------------------------------------------------


def test_an_empty_chapter_counts_as_complete() -> None:
    assert tallies_of(course(chapter("week 1")), {}) == {
        "week 1": Tally(0.0, 0.0, 0.0, 0.0, None),
        "course": Tally(0.0, 0.0, 0.0, 0.0, None),
    }
    tallies = roll_up(course(chapter("week 1")).view(EVERYBODY), np.zeros((0, 1)))
    assert tallies.percent.tolist() == tallies.optional_percent.tolist() == [[1.0], [1.0]]


def test_a_course_of_its_root_alone_is_complete_for_every_learner() -> None:
    tallies = roll_up(course().view(EVERYBODY), np.zeros((0, 3)), times=np.zeros((0, 3), dtype=np.int64))

    assert tallies.percent.tolist() == [[1.0, 1.0, 1.0]]
    assert tallies.newest is not None
    assert tallies.newest.tolist() == [[NEVER] * 3]


def test_no_learners_have_no_tallies() -> None:
    assert roll_up(course(leaf("a")).view(EVERYBODY), np.zeros((1, 0))).earned.shape == (1, 0)


def test_an_excluded_block_takes_all_below_it_along() -> None:
    graph = course(vertical("unit", leaf("a"), discussion("talk", leaf("b"), vertical("deep", leaf("c")))))

    assert tallies_of(graph, {"a": 0.5, "b": 1.0, "c": 1.0}) == {
        "unit": Tally(0.5, 1.0, 0.0, 0.0, None),
        "course": Tally(0.5, 1.0, 0.0, 0.0, None),
    }


def test_what_is_below_an_excluded_block_counts_where_another_parent_holds_it() -> None:
    shared = leaf("shared")

    found = tallies_of(course(discussion("talk", shared), vertical("unit", shared)), {"shared": 1.0})

    assert found["course"] == Tally(1.0, 1.0, 0.0, 0.0, None)


def test_a_completable_block_counts_once_and_its_descendants_do_not() -> None:
    graph = course(leaf("poll", leaf("question")))

    assert tallies_of(graph, {"poll": 0.25, "question": 1.0}) == {"course": Tally(0.25, 1.0, 0.0, 0.0, None)}


def test_optional_leaves_count_apart_whatever_their_parents_are() -> None:
    graph = course(vertical("unit", leaf("a"), leaf("b", optional=True), optional=True))

    assert tallies_of(graph, {"a": 0.5, "b": 0.25})["unit"] == Tally(0.5, 1.0, 0.25, 1.0, None)


def test_a_block_of_two_parents_counts_in_each_and_twice_above_both() -> None:
    shared = vertical("shared", leaf("a"))

    found = tallies_of(course(chapter("one", shared), chapter("two", shared, leaf("b"))), {"a": 0.5})

    assert found["one"] == Tally(0.5, 1.0, 0.0, 0.0, None)
    assert found["two"] == Tally(0.5, 2.0, 0.0, 0.0, None)
    assert found["course"] == Tally(1.0, 3.0, 0.0, 0.0, None)


def test_children_are_added_in_their_order() -> None:
    graph = course(leaf("a"), leaf("b"), leaf("c"))
    forward, backward = {"a": 0.1, "b": 0.2, "c": 0.3}, {"a": 0.3, "b": 0.2, "c": 0.1}

    assert tallies_of(graph, forward)["course"].earned == 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    assert tallies_of(graph, backward)["course"].earned == 0.3 + 0.2 + 0.1


def test_a_long_row_of_nasty_doubles_is_added_one_by_one() -> None:
    # Pairwise or compensated sums would be closer to the truth, and different.
    values = {f"leaf {number}": NASTY[number % len(NASTY)] for number in range(1000)}
    one_by_one = 0.0
    for value in values.values():
        one_by_one += value

    assert tallies_of(course(*map(leaf, values)), values)["course"].earned.hex() == one_by_one.hex()


def test_a_completion_of_zero_has_a_time_and_earns_nothing() -> None:
    graph = course(vertical("unit", leaf("a"), leaf("b", optional=True)), vertical("other", leaf("c")))
    view = graph.view(EVERYBODY)
    values, times = completions_of(graph, view, [{"a": (0.0, 5)}, {"b": (1.0, 9), "a": (1.0, -3)}, {}])

    found = [by_block(graph, roll_up(view, values, times=times), learner) for learner in range(3)]

    assert [each["unit"].newest for each in found] == [5, 9, None]
    assert [each["course"].newest for each in found] == [5, 9, None]
    assert [each["other"].newest for each in found] == [None, None, None]
    assert found[0]["unit"].earned == 0.0


def test_a_split_test_gives_way_to_its_children_at_the_end() -> None:
    # 0.1 + (0.3 + 0.2) in the order of the author, 0.1 + 0.2 + 0.3 in the order that learners' sums have.
    graph = course(split_test("split", leaf("b"), leaf("c")), leaf("a"))

    assert tallies_of(graph, {"a": 0.1, "b": 0.2, "c": 0.3}) == {"course": Tally(0.1 + 0.2 + 0.3, 3.0, 0.0, 0.0, None)}
    assert 0.1 + 0.2 + 0.3 != 0.2 + 0.3 + 0.1


def test_nothing_possible_is_everything_done() -> None:
    assert ratio(np.array([[0.0, 0.5]]), np.array([[0.0, 2.0]])).tolist() == [[1.0, 0.25]]


# --- item banks ----------------------------------------------------------------------------------------------------

FOUR = [leaf(name) for name in "abcd"]


@pytest.mark.parametrize(
    ("size", "draws", "done", "earned", "possible"),
    [
        pytest.param(2, {"bank": ("b", "d")}, "abcd", 2.0, 2.0, id="a stored draw counts and no other child"),
        pytest.param(2, {"bank": ("b", "d")}, "ac", 0.0, 2.0, id="what was not drawn earns nothing"),
        pytest.param(2, {"bank": ("d", "c", "a")}, "a", 0.0, 2.0, id="a draw too long is cut in its stored order"),
        pytest.param(2, {"bank": ("gone", "d")}, "ad", 1.0, 2.0, id="a missing draw is filled and not completed"),
        pytest.param(2, {"bank": ("d", "d", "a")}, "ad", 2.0, 2.0, id="a child drawn twice was drawn once"),
        pytest.param(2, {"bank": ()}, "abcd", 0.0, 2.0, id="an empty stored draw is a draw"),
        pytest.param(2, {}, "", 0.0, 2.0, id="nothing drawn yet counts as not completed"),
        pytest.param(2, {}, "d", 1.0, 2.0, id="without a stored draw what has anything earned was drawn"),
        pytest.param(2, {}, "bcd", 2.0, 2.0, id="and no more than the bank draws"),
        pytest.param(0, {}, "abcd", 0.0, 0.0, id="a bank of none counts nothing"),
        pytest.param(4, {"bank": ("a",)}, "abcd", 4.0, 4.0, id="a bank of all is no bank"),
        pytest.param(9, {}, "abcd", 4.0, 4.0, id="nor is a larger one"),
        pytest.param(-1, {"bank": ("a",)}, "abcd", 4.0, 4.0, id="a negative size means all"),
    ],
)
def test_item_bank(size: int, draws: dict[str, tuple[str, ...]], done: str, earned: float, possible: float) -> None:
    found = tallies_of(course(bank("bank", size, *FOUR)), dict.fromkeys(done, 1.0), draws=draws)

    assert found == {key: Tally(earned, possible, 0.0, 0.0, None) for key in ("bank", "course")}


def test_a_bank_of_unequal_children_is_worth_what_each_learner_drew() -> None:
    graph = course(bank("bank", 1, vertical("small", leaf("a")), vertical("large", leaf("b"), leaf("c"))))
    view = graph.view(EVERYBODY)
    values, times = completions_of(graph, view, [{"a": (1.0, 3), "b": (0.5, 8)}] * 2)

    tallies = roll_up(view, values, times=times, draws=[{"bank": ("small",)}, {"bank": ("large",)}])

    assert by_block(graph, tallies, 0)["bank"] == Tally(1.0, 1.0, 0.0, 0.0, 3)
    assert by_block(graph, tallies, 1)["bank"] == Tally(0.5, 2.0, 0.0, 0.0, 8)


def test_the_least_that_is_earned_shows_what_was_drawn() -> None:
    graph = course(bank("bank", 1, leaf("a"), leaf("b"), leaf("c", optional=True)))

    assert tallies_of(graph, {"a": 0.0, "b": 5e-324})["bank"] == Tally(5e-324, 1.0, 0.0, 0.0, None)
    assert tallies_of(graph, {"a": 0.0, "c": 5e-324})["bank"] == Tally(0.0, 0.0, 5e-324, 1.0, None)


def test_a_drawn_child_that_is_excluded_takes_its_place_in_the_draw() -> None:
    graph = course(bank("bank", 2, discussion("talk"), *FOUR[:2]))

    assert tallies_of(graph, {"b": 1.0}, draws={"bank": ("talk", "a")})["bank"] == Tally(0.0, 1.0, 0.0, 0.0, None)
    assert tallies_of(graph, {"b": 1.0})["bank"] == Tally(1.0, 2.0, 0.0, 0.0, None)


def test_a_drawn_child_that_is_hidden_takes_its_place_in_the_draw() -> None:
    graph = course(bank("bank", 2, leaf("secret", staff_only=True), *FOUR[:2]))

    found = tallies_of(graph, {"b": 1.0}, draws={"bank": ("secret", "a")}, profile=EVERYBODY)

    assert found["bank"] == Tally(0.0, 1.0, 0.0, 0.0, None)


# --- views ---------------------------------------------------------------------------------------------------------


def shape_of(view: View) -> tuple[object, ...]:
    return view.leaves.tolist(), view.aggregators.tolist(), view.optional.tolist(), view.digest


@settings(max_examples=50)
@given(st.data())
def test_a_view_lists_what_counts_and_the_course_last(data: st.DataObject) -> None:
    blocks = data.draw(courses())
    (learner, *_) = data.draw(classes(blocks))
    graph = compile_graph(COURSE, blocks, PARTITIONS)
    view = graph.view(profile_of(graph.rules.profile, learner))
    counted = Course(blocks, PARTITIONS).counted_tree(learner)

    leaves = {graph.keys[number] for number in view.leaves.tolist()}
    aggregators = [graph.keys[number] for number in view.aggregators.tolist()]
    assert leaves == {key for key, each in counted.items() if isinstance(each, bool)}
    assert set(aggregators) == counted.keys() - leaves
    assert len(aggregators) == len(set(aggregators))
    assert aggregators[view.root] == "b0"


@settings(max_examples=50)
@given(st.data())
def test_views_of_a_graph_have_one_digest_exactly_if_the_same_tree_counts(data: st.DataObject) -> None:
    blocks = data.draw(courses(max_blocks=15))
    learners = data.draw(classes(blocks))
    graph, oracle = compile_graph(COURSE, blocks, PARTITIONS), Course(blocks, PARTITIONS)
    views = [graph.view(profile_of(graph.rules.profile, learner)) for learner in learners]
    trees = [oracle.counted_tree(learner) for learner in learners]

    for view, tree in zip(views, trees, strict=True):
        for other_view, other_tree in zip(views, trees, strict=True):
            assert (view.digest == other_view.digest) == (tree == other_tree)
            assert (view is other_view) == (view.digest == other_view.digest)


def test_a_digest_outlives_an_edit_that_changes_nothing_counted() -> None:
    before = course(chapter("one", bank("bank", 1, *FOUR)))
    after = course(discussion("new"), chapter("one", bank("bank", 1, *FOUR), title="New title"))

    assert before.content_hash != after.content_hash
    assert before.view(EVERYBODY).digest == after.view(EVERYBODY).digest


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(course(chapter("one", bank("bank", 2, *FOUR))), id="size of a bank"),
        pytest.param(course(chapter("one", bank("bank", 1, *FOUR[:3]))), id="child gone"),
        pytest.param(course(chapter("one", bank("bank", 1, *FOUR, discussion("talk")))), id="child that may be drawn"),
        pytest.param(course(chapter("one", bank("bank", 1, *FOUR[:3], leaf("d", optional=True)))), id="optional"),
        pytest.param(course(chapter("one", bank("bank", 1, *FOUR[::-1]))), id="order"),
        pytest.param(course(chapter("two", bank("bank", 1, *FOUR))), id="key of an aggregator"),
    ],
)
def test_a_digest_changes_with_all_that_counts(changed) -> None:
    graph = course(chapter("one", bank("bank", 1, *FOUR)))

    assert graph.view(EVERYBODY).digest != changed.view(EVERYBODY).digest
