"""Who sees which blocks, and which learners share a profile."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.course_graph.blocks import Partition
from completion_aggregator.course_graph.graph import CourseGraph, compile_graph
from completion_aggregator.course_graph.visibility import Profile, microseconds, moment_of
from tests.course_graph.builders import COURSE, chapter, course, leaf, seen, split_test, tallies_of, vertical
from tests.course_graph.oracle import Course, Learner, Tally
from tests.course_graph.strategies import MONDAY, PARTITIONS, courses, sights

COHORTS, TRIAL, GATE = PARTITIONS
INSTANT = timedelta(microseconds=1)
TUESDAY = MONDAY + timedelta(days=1)


def profile_of(graph: CourseGraph, learner: Learner) -> tuple[Profile, datetime | None]:
    return graph.rules.profile(
        now=learner.now, staff=learner.staff, beta=learner.beta, groups=learner.groups,
        messaging=learner.messaging, unreleased=learner.unreleased,
    )  # fmt: skip


def seen_by(graph: CourseGraph, **about: object) -> set[str]:
    """Return what counts for such a learner, the course itself left out."""
    learner = Learner(**{"now": TUESDAY, **about})  # type: ignore[arg-type]
    return seen(graph, profile_of(graph, learner)[0]) - {"course"}


# --- against the definition ----------------------------------------------------------------------------------------


@given(st.data())
def test_a_learner_sees_what_the_definition_lets_her_see(data: st.DataObject) -> None:
    blocks, learner = data.draw(courses()), data.draw(sights())
    graph = compile_graph(COURSE, blocks, PARTITIONS)

    assert seen(graph, profile_of(graph, learner)[0]) == Course(blocks, PARTITIONS).counted_tree(learner).keys()


@settings(max_examples=50)
@given(st.data())
def test_learners_of_one_profile_see_one_tree(data: st.DataObject) -> None:
    blocks = data.draw(courses(max_blocks=8))
    graph, oracle = compile_graph(COURSE, blocks, PARTITIONS), Course(blocks, PARTITIONS)
    trees: dict[Profile, object] = {}

    for learner in data.draw(st.lists(sights(), min_size=5, max_size=20)):
        tree = oracle.counted_tree(learner)
        assert trees.setdefault(profile_of(graph, learner)[0], tree) == tree


@given(st.data())
def test_a_profile_holds_until_its_moment_and_no_longer(data: st.DataObject) -> None:
    graph, learner = compile_graph(COURSE, data.draw(courses()), PARTITIONS), data.draw(sights())
    profile, until = profile_of(graph, learner)
    last = datetime.max.replace(tzinfo=UTC)

    def at(moment: datetime) -> Profile:
        return profile_of(graph, replace(learner, now=moment))[0]

    assert learner.now <= (until or last)
    assert at(until or last) == profile
    assert until is None or until == last or at(until + INSTANT) != profile


# --- release dates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "expected"), [(MONDAY - INSTANT, set()), (MONDAY, set()), (MONDAY + INSTANT, {"a"})])
def test_a_block_opens_after_its_start_and_not_at_it(now: datetime, expected: set[str]) -> None:
    assert seen_by(course(leaf("a", start=MONDAY)), now=now) == expected


def test_a_course_that_has_not_opened_is_seen_empty() -> None:
    graph = course(leaf("a"), start=TUESDAY, staff_only=True, group_access={1: frozenset()}, partitions=[COHORTS])

    assert seen(graph, graph.rules.profile(now=MONDAY)[0]) == {"course"}


def test_below_a_course_that_is_hidden_nothing_is_seen_whatever_its_own_rules_are() -> None:
    early = course(leaf("a", days_early_for_beta=5.0), start=MONDAY)
    gated = course(
        leaf("a", group_access={51: frozenset({2})}), group_access={1: frozenset({1})}, partitions=[COHORTS, GATE]
    )
    profile, until = early.rules.profile(now=MONDAY - timedelta(days=1), beta=True)

    assert seen(early, profile) == {"course"}
    assert tallies_of(early, {}, profile=profile) == {"course": Tally(0.0, 0.0, 0.0, 0.0, None)}
    # Not before the course opens: the date of what is below passes unnoticed.
    assert until == MONDAY
    assert seen_by(early, now=MONDAY + INSTANT, beta=True) == {"a"}
    assert seen_by(gated, groups={1: 2, 51: 1}, messaging=frozenset({51})) == set()
    assert seen_by(gated, groups={1: 1, 51: 1}, messaging=frozenset({51})) == {"a"}


def test_a_block_waits_for_the_latest_of_its_own_date_and_its_parents() -> None:
    graph = course(chapter("one", leaf("a", start=MONDAY - timedelta(days=9)), leaf("b", start=TUESDAY), start=MONDAY))

    assert seen_by(graph, now=MONDAY) == set()
    assert seen_by(graph, now=MONDAY + INSTANT) == {"one", "a"}
    assert seen_by(graph, now=TUESDAY + INSTANT) == {"one", "a", "b"}


def test_a_block_of_two_parents_opens_with_the_earlier() -> None:
    shared = leaf("shared")
    graph = course(chapter("one", shared, start=TUESDAY), chapter("two", shared, start=MONDAY))

    assert seen_by(graph, now=MONDAY + INSTANT) == {"two", "shared"}


def test_a_parent_without_a_date_opens_its_children() -> None:
    shared = leaf("shared")

    assert seen_by(course(chapter("one", shared, start=TUESDAY), chapter("two", shared)), now=MONDAY) == {
        "two",
        "shared",
    }


@pytest.mark.parametrize("days", [0.1, 0.3, 0.7, 1.1, 1.0, 30.0])
def test_beta_testers_come_early_to_the_microsecond(days: float) -> None:
    graph = course(leaf("a", start=MONDAY, days_early_for_beta=days))
    opening = MONDAY - timedelta(days=days)

    assert seen_by(graph, now=opening, beta=True) == set()
    assert seen_by(graph, now=opening + INSTANT, beta=True) == {"a"}
    assert seen_by(graph, now=opening + INSTANT) == set()


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (1e300, {"a"}),
        (float("inf"), {"a"}),
        (3_700_000.0, {"a"}),
        (-3_700_000.0, set()),
        (-1e300, set()),
        (float("-inf"), set()),
    ],
)
def test_days_beyond_the_calendar_mean_always_or_never(days: float, expected: set[str]) -> None:
    graph = course(leaf("a", start=MONDAY, days_early_for_beta=days))
    profile, until = graph.rules.profile(now=TUESDAY, beta=True)

    assert seen(graph, profile) - {"course"} == expected
    assert until == (None if expected else datetime.max.replace(tzinfo=UTC))


def test_unreleased_blocks_are_seen_when_asked_for_and_nothing_else_is() -> None:
    graph = course(leaf("a", start=TUESDAY), leaf("b", staff_only=True))
    profile, until = graph.rules.profile(now=MONDAY, unreleased=True)

    assert seen(graph, profile) == {"course", "a"}
    assert until is None


# --- staff ---------------------------------------------------------------------------------------------------------


def test_a_block_is_for_staff_if_it_says_so_or_all_its_parents_are() -> None:
    shared, hidden = leaf("shared"), leaf("hidden")
    graph = course(
        chapter("one", shared, hidden, staff_only=True),
        chapter("two", hidden, staff_only=True),
        chapter("three", shared, leaf("own", staff_only=True)),
    )

    assert seen_by(graph) == {"three", "shared"}
    assert seen_by(graph, staff=True) == {"one", "two", "three", "shared", "hidden", "own"}


def test_staff_see_everything_but_split_tests() -> None:
    graph = course(
        split_test("split", leaf("a", group_access={1: frozenset()}), start=TUESDAY, staff_only=True),
        partitions=[COHORTS],
    )

    assert seen_by(graph, now=MONDAY, staff=True) == {"a"}
    assert graph.rules.profile(now=MONDAY, staff=True, beta=True, groups={1: 1}) == (Profile(staff=True), None)


# --- groups --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "expected"), [(1, {"a", "c"}), (2, {"b", "c"}), (None, {"c"}), (7, {"c"})])
def test_a_block_shows_to_the_groups_it_names(group: int | None, expected: set[str]) -> None:
    graph = course(
        leaf("a", group_access={1: frozenset({1})}), leaf("b", group_access={1: frozenset({2})}), leaf("c"),
        partitions=[COHORTS],
    )  # fmt: skip

    assert seen_by(graph, groups={1: group}) == expected


def test_no_partition_may_deny() -> None:
    graph = course(leaf("a", group_access={1: frozenset({1}), 2: frozenset({1})}), partitions=[COHORTS, TRIAL])

    assert seen_by(graph, groups={1: 1, 2: 2}) == set()
    assert seen_by(graph, groups={1: 1, 2: 1}) == {"a"}


def test_groups_are_its_own_cut_by_what_any_parent_lets_in() -> None:
    shared = leaf("shared", group_access={1: frozenset({2, 3})})
    graph = course(
        chapter("one", shared, group_access={1: frozenset({1})}),
        chapter("two", shared, group_access={1: frozenset({2})}),
        partitions=[COHORTS],
    )

    assert "shared" in seen_by(graph, groups={1: 2})
    assert "shared" not in seen_by(graph, groups={1: 1})
    assert "shared" not in seen_by(graph, groups={1: 3})


def test_a_split_test_cuts_the_groups_of_its_children_though_it_gives_way() -> None:
    branch = leaf("branch", group_access={1: frozenset({1, 2})})
    graph = course(split_test("split", branch, group_access={1: frozenset({1})}), partitions=[COHORTS])

    assert seen_by(graph, groups={1: 1}) == {"branch"}
    assert seen_by(graph, groups={1: 2}) == set()


def test_a_parent_that_lets_everybody_in_passes_no_restriction_on() -> None:
    shared = leaf("shared")
    graph = course(
        chapter("one", shared, group_access={1: frozenset({1})}), chapter("two", shared), partitions=[COHORTS]
    )

    assert seen_by(graph, groups={1: 2}) == {"two", "shared"}


def test_an_empty_set_of_groups_lets_nobody_in() -> None:
    graph = course(leaf("a", group_access={1: frozenset()}), partitions=[COHORTS])

    assert seen_by(graph, groups={1: 1}) == seen_by(graph) == set()


def test_groups_of_a_partition_that_the_course_lacks_mean_nothing() -> None:
    assert seen_by(course(leaf("a", group_access={99: frozenset({1})}), partitions=[COHORTS])) == {"a"}


def test_a_denial_with_a_message_leaves_the_block_whoever_else_denies() -> None:
    graph = course(leaf("a", group_access={51: frozenset({2}), 1: frozenset({1})}), partitions=[COHORTS, GATE])
    gated = frozenset({51})

    assert seen_by(graph, groups={51: 1, 1: 1}, messaging=gated) == {"a"}
    assert seen_by(graph, groups={51: 1, 1: 2}, messaging=gated) == {"a"}
    assert seen_by(graph, groups={51: 2, 1: 2}, messaging=gated) == set()
    assert seen_by(graph, groups={51: 1, 1: 1}) == set()


# --- split tests ---------------------------------------------------------------------------------------------------


def branches() -> CourseGraph:
    return course(
        split_test(
            "split",
            vertical("control", leaf("a"), group_access={2: frozenset({1})}),
            vertical("variant", leaf("b"), group_access={2: frozenset({2})}),
        ),
        partitions=[TRIAL],
    )


def test_each_group_of_a_split_test_sees_its_branch() -> None:
    assert seen_by(branches(), groups={2: 1}) == {"control", "a"}
    assert seen_by(branches(), groups={2: 2}) == {"variant", "b"}
    assert seen_by(branches()) == set()
    assert seen_by(branches(), staff=True) == {"control", "a", "variant", "b"}


def test_a_split_test_denied_by_groups_alone_still_gives_way() -> None:
    shared = leaf("shared")
    graph = course(
        split_test("split", shared, leaf("a"), group_access={1: frozenset({1})}),
        vertical("unit", shared),
        partitions=[COHORTS],
    )
    view = graph.view(graph.rules.profile(now=MONDAY, groups={1: 2})[0])

    assert seen_by(graph, groups={1: 2}) == {"unit", "shared"}
    assert len(view.leaves) == 1
    # Twice in the course: below the unit, and in the place of the split test.
    assert view.fixed_possible is not None
    assert view.fixed_possible[0][view.root].tolist() == [2.0]


@pytest.mark.parametrize("hiding", [{"start": TUESDAY}, {"staff_only": True}])
def test_a_split_test_that_is_hidden_takes_its_children_along(hiding: dict[str, object]) -> None:
    shared = leaf("shared")

    assert seen_by(course(split_test("split", shared, **hiding), vertical("unit", shared)), now=MONDAY) == {
        "unit",
        "shared",
    }
    assert seen_by(course(split_test("split", leaf("a"), **hiding)), now=MONDAY) == set()


def test_split_tests_in_split_tests_all_give_way() -> None:
    assert seen_by(course(split_test("outer", split_test("inner", leaf("a"), split_test("empty"))))) == {"a"}


def test_a_course_that_is_a_split_test_stays() -> None:
    graph = compile_graph(COURSE, split_test("course", leaf("a"), leaf("b", staff_only=True)))

    assert seen(graph, Profile()) == {"course", "a"}


# --- profiles ------------------------------------------------------------------------------------------------------

EVERYBODY = Profile(), None


def test_what_cannot_matter_is_left_out_of_a_profile() -> None:
    plain = course(leaf("a"), partitions=[COHORTS, GATE])

    assert plain.rules.profile(now=MONDAY, beta=True, groups={1: 1, 51: 1}, messaging=[51]) == EVERYBODY


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"days_early_for_beta": 5.0}, id="nothing to be early for"),
        pytest.param({"days_early_for_beta": 0.0, "start": MONDAY}, id="not a day early"),
        pytest.param({"start": MONDAY}, id="no days early"),
    ],
)
def test_beta_testers_share_the_profile_of_all_where_they_see_the_same(fields: dict[str, object]) -> None:
    graph = course(leaf("a", **fields))

    assert graph.rules.profile(now=MONDAY, beta=True) == graph.rules.profile(now=MONDAY)


def test_beta_testers_have_their_own_where_they_do_not() -> None:
    graph = course(leaf("a", start=MONDAY, days_early_for_beta=1.0))

    assert graph.rules.profile(now=MONDAY, beta=True) == (Profile(beta=True, released=1), None)
    assert graph.rules.profile(now=MONDAY) == (Profile(), MONDAY)
    assert graph.rules.profile(now=MONDAY, beta=True, unreleased=True) == (Profile(released=1), None)


def test_a_group_that_nothing_names_is_as_good_as_none_but_for_the_gate() -> None:
    graph = course(leaf("a", group_access={1: frozenset({1}), 51: frozenset({2})}), partitions=PARTITIONS)

    profile, _ = graph.rules.profile(now=MONDAY, groups={1: 3, 2: 1, 51: 1}, messaging=[2, 51])

    assert profile == Profile(groups=((1, None), (51, 1)), messaging=(51,))


def test_moments_between_two_release_dates_share_a_profile() -> None:
    graph = course(leaf("a", start=MONDAY), leaf("b", start=TUESDAY), leaf("c", start=MONDAY))

    assert graph.rules.profile(now=MONDAY) == (Profile(), MONDAY)
    assert graph.rules.profile(now=MONDAY + INSTANT) == (Profile(released=1), TUESDAY)
    assert graph.rules.profile(now=TUESDAY) == (Profile(released=1), TUESDAY)
    assert graph.rules.profile(now=TUESDAY + INSTANT) == (Profile(released=2), None)


def test_restricting_partitions_are_those_that_keep_somebody_out() -> None:
    graph = course(
        chapter("one", leaf("a", group_access={1: frozenset({2})}), group_access={1: frozenset({1, 2})}),
        leaf("b", group_access={51: frozenset(), 99: frozenset({1})}),
        partitions=PARTITIONS,
    )

    assert graph.rules.restricting_partitions() == {1: frozenset({1, 2}), 51: frozenset()}


def test_a_digest_stands_for_its_profile() -> None:
    profiles = [
        Profile(), Profile(staff=True), Profile(beta=True), Profile(released=1), Profile(groups=((1, None),)),
        Profile(groups=((1, 1),)), Profile(groups=((1, 1),), messaging=(1,)), Profile(messaging=(1,)),
    ]  # fmt: skip

    assert len({profile.digest for profile in profiles}) == len(profiles)
    assert Profile(groups=((1, 2),)).digest == Profile(groups=((1, 2),)).digest
    assert len(Profile().digest) == 16


def test_where_the_platform_names_the_tree_no_rule_is_asked() -> None:
    graph = course(chapter("one", leaf("a"), leaf("b", staff_only=True)), leaf("c", start=TUESDAY))
    number = {key: block for block, key in enumerate(graph.keys)}
    tree: list[tuple[int, ...]] = [()] * len(graph)
    tree[0], tree[number["one"]] = (number["one"],), (number["b"],)
    profile = Profile(tree=tuple(tree))

    assert seen(graph, profile) == {"course", "one", "b"}
    assert graph.view(profile) is graph.view(Profile(staff=True, tree=tuple(tree)))
    assert len({profile.digest, Profile().digest, Profile(tree=((),)).digest}) == 3


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_moments_survive_as_microseconds(moment: datetime) -> None:
    assert moment_of(microseconds(moment)) == moment.astimezone(UTC)


def test_partitions_without_a_restriction_ask_no_groups() -> None:
    graph = course(leaf("a"), partitions=[Partition(5, "team", frozenset({1}))])

    assert graph.rules.restricting_partitions() == {}
