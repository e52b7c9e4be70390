"""The comparison that operators run: what it finds, what it expects, what it says."""

import json
from collections import Counter
from datetime import timedelta
from io import StringIO
from typing import Any

import lms_counters
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from lms.djangoapps.course_blocks.transformers.split_test import SplitTestTransformer
from lms.djangoapps.course_blocks.transformers.start_date import StartDateTransformer
from lms.djangoapps.course_blocks.transformers.visibility import VisibilityTransformer

from completion_aggregator.platforms.openedx import content, exact, lms, parity
from completion_aggregator.platforms.openedx.parity import NOT_FILTERED, PASSED_OVER, VISITED, Comparison, Difference
from completion_aggregator.platforms.openedx.platform import OpenEdxPlatform
from tests.platforms.openedx.authoring import KEY, author, block, partition, split_test
from tests.platforms.openedx.people import audit_and_verified, cohort, draw, enroll, give_role, learner, overview, tag

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("new_process")]

PLATFORM = OpenEdxPlatform()


def key(kind: str, block_id: str) -> str:
    return str(KEY.make_usage_key(kind, block_id))


def compare(user: Any) -> Comparison:
    return parity.compare(PLATFORM, KEY, user.pk)


def run(*args: str) -> tuple[str, str]:
    """Run the command; return what it prints and the error that it ends with."""
    out, error = StringIO(), ""
    try:
        call_command("aggregator_check_parity", str(KEY), *args, stdout=out, stderr=StringIO())
    except CommandError as found:
        error = str(found)
    return out.getvalue(), error


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """An LMS that has changed a rule under a name that we know: it shows to everybody what is for staff."""
    monkeypatch.setattr(
        VisibilityTransformer, "transform_block_filters", lambda self, info, found: [found.create_universal_filter()]
    )


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """An LMS in which nothing has begun but the course."""

    def filters(self: Any, usage_info: Any, found: Any) -> list[Any]:
        return [found.create_removal_filter(lambda key: key != found.root_block_usage_key)]

    monkeypatch.setattr(StartDateTransformer, "transform_block_filters", filters)


# --- what it finds -------------------------------------------------------------------------------------------------


def test_trees_that_agree_do_not_differ() -> None:
    author(block("chapter", "one", block("html", "a"), block("html", "b", visible_to_staff_only=True)))

    assert compare(ann := learner("ann")) == Comparison(ann.pk, (), ())
    assert lms_counters.counts["get_course_blocks"] == 1


def test_what_only_the_lms_shows_is_told_with_what_is_below_it_and_the_rule(forgetful: None) -> None:
    author(
        block(
            "chapter", "one",
            block("html", "a"),
            block("vertical", "hidden", block("html", "b"), block("html", "c"), visible_to_staff_only=True),
            start=(start := timezone.now() - timedelta(days=9)),
        )
    )  # fmt: skip
    ann = learner("ann")

    assert compare(ann).differences == (
        Difference(
            block=key("vertical", "hidden"), parent=key("chapter", "one"), ours=0, theirs=1, below=2,
            rules=f"staff only, starts {start.isoformat()}",
        ),
    )  # fmt: skip
    # Looked at twice: the course may have changed in between.
    assert lms_counters.counts["get_course_blocks"] == 2


def test_what_only_we_count_is_told(strict: None) -> None:
    author(block("chapter", "one", block("html", "a")), start=None, days_early_for_beta=30_000)
    beta = learner("beta")
    give_role("beta_testers", beta, KEY)

    (difference,) = compare(beta).differences
    assert (difference.block, difference.ours, difference.theirs, difference.below) == (key("chapter", "one"), 1, 0, 1)


def test_each_rule_has_its_words() -> None:
    author(
        block("library_content", "bank", block("html", "a"), block("html", "b"), max_count=1),
        split_test("split", 100, {1: block("vertical", "left")}),
        partitions=(partition(100, 1, 2, scheme="random"),), start=None,
    )  # fmt: skip
    rules = parity._Rules(content.graph(KEY)[1])

    later = "starts 2030-01-01T00:00:00+00:00"
    assert rules.of(key("html", "a")) == f"{later}, drawn by {key('library_content', 'bank')}"
    assert rules.of(key("vertical", "left")) == f"{later}, groups [1] of partition 100 (random)"
    assert rules.of(key("split_test", "split")) == f"{later}, split test"
    assert rules.of(key("html", "new")) == "the block is not in the content that we compiled"


def test_a_block_without_rules_says_so() -> None:
    graph = author_plain()

    assert parity._Rules(graph).of(graph.keys[0]) == "no rule bears on the block"


def author_plain() -> Any:
    from tests.course_graph.builders import course, leaf

    return course(leaf("a"))


def test_below_a_hidden_course_nothing_is_seen() -> None:
    author(
        block("chapter", "one", block("html", "a"), days_early_for_beta=5.0),
        start=(start := timezone.now() + timedelta(days=2)),
    )
    beta = learner("beta")
    give_role("beta_testers", beta, KEY)

    assert compare(beta) == Comparison(beta.pk, (), ())
    graph = PLATFORM.course_graph(KEY)[1]
    sight = PLATFORM.sights(KEY, graph, [beta.pk], now=timezone.now())[beta.pk]
    assert parity.our_tree(graph, sight) == {key("course", "course"): Counter()}
    assert sight.valid_until == start


def test_the_number_of_the_gate_alone_makes_no_gate() -> None:
    overview(KEY)
    audit_and_verified(KEY)
    author(block("html", "a", group_access={51: [1]}), partitions=[partition(51, 1, 2, scheme="cohort")])
    ann = learner("ann")
    enroll(ann, KEY, "audit")

    assert compare(ann) == Comparison(ann.pk, (), ())


# --- what it expects -----------------------------------------------------------------------------------------------


def test_a_group_that_the_visit_has_given_is_expected() -> None:
    author(
        split_test("split", 100, {1: block("vertical", "left"), 2: block("vertical", "right")}),
        partitions=(partition(100, 1, 2, scheme="random"),),
    )
    ann = learner("ann")

    with lms_counters.counting() as happened:
        assert compare(ann) == Comparison(ann.pk, (), (VISITED,))
    assert happened["tag_writes"] == 1
    assert compare(ann) == Comparison(ann.pk, (), ())


def test_a_draw_that_the_visit_has_made_or_filled_up_is_expected() -> None:
    course = author(block("library_content", "bank", *(block("html", f"p{n}") for n in range(5)), max_count=2))
    ann, ben = learner("ann"), learner("ben")
    draw(ben, course.usage("bank"), [course.usage("p1")])

    for each in (ann, ben):
        assert compare(each) == Comparison(each.pk, (), (VISITED,))
        assert compare(each) == Comparison(each.pk, (), ())


def test_a_release_that_shows_all_of_an_itembank_is_expected() -> None:
    children = [block("vertical", f"v{n}", block("html", f"p{n}")) for n in range(4)]
    course = author(block("itembank", "bank", *children, max_count=2), block("html", "text"))
    ann = learner("ann")
    draw(ann, course.usage("bank"), [course.usage("v0"), course.usage("v3")])

    with lms_counters.switched(only_library_content_is_filtered=True):
        assert compare(ann) == Comparison(ann.pk, (), (NOT_FILTERED,))
    assert compare(ann) == Comparison(ann.pk, (), ())


def test_what_differs_beside_an_itembank_is_still_told(forgetful: None) -> None:
    course = author(
        block("itembank", "bank", *(block("html", f"p{n}") for n in range(4)), max_count=2),
        block("html", "hidden", visible_to_staff_only=True),
    )
    ann = learner("ann")
    draw(ann, course.usage("bank"), [course.usage("p0"), course.usage("p3")])

    with lms_counters.switched(only_library_content_is_filtered=True):
        found = compare(ann)
    assert [each.block for each in found.differences] == [key("html", "hidden")]
    assert found.expected == (NOT_FILTERED,)


def test_a_block_of_two_parents_that_the_lms_passes_over_is_expected() -> None:
    shared = block("vertical", "shared", block("html", "a"), visible_to_staff_only=True)
    author(
        block("chapter", "hidden", block("sequential", "below", shared), visible_to_staff_only=True),
        block("chapter", "seen", shared, block("html", "text")),
    )
    ann = learner("ann")

    assert compare(ann) == Comparison(ann.pk, (), (PASSED_OVER,))
    with lms_counters.switched(skipped_blocks_count_as_visited=True):
        assert compare(ann) == Comparison(ann.pk, (), ())


def test_a_block_in_a_split_test_that_the_lms_never_comes_to_is_expected() -> None:
    shared = block("html", "a", visible_to_staff_only=True)
    hidden = block("chapter", "hidden", split_test("split", 101, {}, shared), start=timezone.now() + timedelta(days=9))
    author(hidden, block("chapter", "seen", shared), partitions=(partition(101, 1, 2, scheme="random"),))

    assert compare(ann := learner("ann")) == Comparison(ann.pk, (), (PASSED_OVER,))


def test_what_is_below_a_split_test_that_is_hidden_itself_is_out_of_reach() -> None:
    shared = block("html", "a", start=timezone.now() + timedelta(days=9))
    hidden = split_test("split", 101, {}, block("vertical", "unit", shared), visible_to_staff_only=True)
    author(block("chapter", "seen", hidden, shared), partitions=(partition(101, 1, 2, scheme="random"),))

    assert compare(ann := learner("ann")) == Comparison(ann.pk, (), (PASSED_OVER,))


def test_a_split_test_that_the_lms_passes_over_is_expected() -> None:
    inner = split_test("inner", 101, {1: block("vertical", "one", block("html", "a"))})
    shared = split_test("outer", 101, {1: inner, 2: block("html", "b")}, block("html", "c"))
    author(
        block("chapter", "hidden", block("sequential", "below", shared), visible_to_staff_only=True),
        block("chapter", "seen", shared, block("html", "text")),
        partitions=(partition(101, 1, 2, scheme="random"),),
    )
    ann = learner("ann")
    tag(ann, KEY, 101, 1)

    assert compare(ann) == Comparison(ann.pk, (), (PASSED_OVER,))
    with lms_counters.switched(skipped_blocks_count_as_visited=True):
        assert compare(ann) == Comparison(ann.pk, (), ())


def test_below_a_split_test_what_the_lms_shows_is_told(forgetful: None) -> None:
    branch = block("vertical", "one", block("html", "secret", visible_to_staff_only=True))
    author(split_test("split", 101, {1: branch}), partitions=(partition(101, 1, 2, scheme="random"),))
    ann = learner("ann")
    tag(ann, KEY, 101, 1)

    (difference,) = compare(ann).differences
    assert (difference.block, difference.parent) == (key("html", "secret"), key("vertical", "one"))


def test_a_split_test_that_stays_for_another_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SplitTestTransformer, "transform", lambda *_: None)
    author(split_test("split", 101, {}, block("html", "a")), partitions=(partition(101, 1, 2, scheme="random"),))

    found = compare(learner("ann"))
    assert {each.block for each in found.differences} == {key("split_test", "split"), key("html", "a")}
    assert found.expected == ()


def test_a_block_with_a_hidden_parent_is_asked_about_and_told(forgetful: None) -> None:
    later = timezone.now() + timedelta(days=9)
    shared = block("vertical", "shared", block("html", "a"), visible_to_staff_only=True)
    author(block("chapter", "hidden", shared, start=later), block("chapter", "seen", shared))

    (difference,) = compare(learner("ann")).differences
    assert (difference.block, difference.parent) == (key("vertical", "shared"), key("chapter", "seen"))


@pytest.mark.parametrize("mode", ["completable", "excluded"])
def test_what_is_below_a_bank_that_is_no_aggregator_is_not_compared(settings: Any, mode: str) -> None:
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {"library_content": mode}
    problems = [block("html", f"p{n}") for n in range(3)]
    author(block("library_content", "bank", block("vertical", "unit", *problems), block("html", "b"), max_count=1))

    for name in ("ann", "ben", "cid"):
        assert compare(user := learner(name)) == Comparison(user.pk, (), ())


def test_a_bank_that_is_completed_by_viewing_it_is_no_aggregator(settings: Any) -> None:
    settings.MARK_LIBRARY_CONTENT_BLOCK_COMPLETE_ON_VIEW = True
    author(block("library_content", "bank", *(block("html", f"p{n}") for n in range(3)), max_count=1))

    assert compare(ann := learner("ann")) == Comparison(ann.pk, (), ())


def test_what_was_published_meanwhile_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    course = author(block("html", "a"))
    ann, visit = learner("ann"), lms.visible_structure
    content.version(KEY)
    course.add("course", block("html", "b")).release()

    def then_renewed(*args: Any, **options: Any) -> Any:
        found = visit(*args, **options)
        content.renew(KEY)
        return found

    monkeypatch.setattr(lms, "visible_structure", then_renewed)
    assert compare(ann) == Comparison(ann.pk, (), ())
    assert lms_counters.counts["get_course_blocks"] == 2


def test_unreleased_blocks_are_compared_where_the_site_counts_them(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS = True
    author(block("html", "later", start=timezone.now() + timedelta(days=9)))

    assert compare(learner("ann")).differences == ()


# --- whom it takes -------------------------------------------------------------------------------------------------


def test_a_sample_has_every_kind_of_learner_and_is_drawn_again_by_its_seed() -> None:
    author(
        block("html", "a", group_access={100: [1]}),
        block("html", "b", start=timezone.now() + timedelta(days=9), days_early_for_beta=30),
        partitions=(partition(100, 1, 2),),
    )
    people = [learner(f"user{number:02}") for number in range(40)]
    for each in people:
        enroll(each, KEY)
    teacher, beta, member = people[7], people[19], people[31]
    give_role("staff", teacher, KEY)
    give_role("beta_testers", beta, KEY)
    cohort(KEY, "one", partition=100, group=1, members=[member])

    drawn = parity.sample(PLATFORM, KEY, 6, seed=1)
    assert {teacher.pk, beta.pk, member.pk} < set(drawn)
    assert len(drawn) == 6
    assert parity.sample(PLATFORM, KEY, 6, seed=1) == drawn
    assert parity.sample(PLATFORM, KEY, 6, seed=2) != drawn
    assert parity.sample(PLATFORM, KEY, 100, seed=1) == [each.pk for each in people]
    assert lms_counters.counts["get_course_blocks"] == 0


def test_a_sample_of_nobody_is_empty() -> None:
    author()

    assert parity.sample(PLATFORM, KEY, 5, seed=1) == []


def test_a_sample_where_rules_are_unknown_visits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    author(block("html", "a"))
    monkeypatch.setattr(exact, "KNOWN_TRANSFORMERS", frozenset())
    for number in range(9):
        enroll(learner(f"user{number}"), KEY)

    assert len(parity.sample(PLATFORM, KEY, 5, seed=1)) == 5
    assert lms_counters.counts["get_course_blocks"] == 0


# --- the command ---------------------------------------------------------------------------------------------------


def test_the_command_tells_that_all_agree() -> None:
    author(block("html", "a"))
    for name in ("ann", "ben"):
        enroll(learner(name), KEY)

    assert run("--seed", "5") == (f"{KEY}: 2 learners compared, drawn with --seed 5.\n", "")


def test_the_command_tells_what_differs_and_fails(forgetful: None) -> None:
    author(block("chapter", "hidden", block("html", "a"), visible_to_staff_only=True), start=None)
    ann = enroll(learner("ann"), KEY).user_id
    ben = enroll(learner("ben"), KEY).user_id
    give_role("staff", learner("cid"), KEY)
    author(block("chapter", "hidden", block("html", "a"), visible_to_staff_only=True))
    out, error = run("--seed", "5")

    line = (
        f"{key('chapter', 'hidden')} is only in theirs, below {key('course', 'course')}, with 1 blocks more; staff only"
    )
    assert [each.split(", starts")[0] for each in out.splitlines()] == [
        f"user {ann}: {line}", f"user {ben}: {line}", f"{KEY}: 2 learners compared, drawn with --seed 5.",
    ]  # fmt: skip
    assert error == "2 of 2 learners see another tree than we count by."


def test_the_command_takes_learners_by_name() -> None:
    branches = {1: block("html", "a"), 2: block("html", "b")}
    author(split_test("s", 100, branches), partitions=(partition(100, 1, 2, scheme="random"),))
    learner("ann")
    learner("ben")

    out, error = run("--user", "ann")
    assert out == f"As expected, of 1 learners: {VISITED}.\n{KEY}: 1 learners compared.\n"
    assert error == ""
    assert run("--user", "ann", "--user", "zoe") == ("", "There is no user zoe.")


def test_the_command_speaks_to_machines(forgetful: None) -> None:
    author(block("html", "a", visible_to_staff_only=True))
    ann = enroll(learner("ann"), KEY).user_id
    out, error = run("--seed", "7", "--json")

    assert error == "1 of 1 learners see another tree than we count by."
    found = json.loads(out)
    (difference,) = found["learners"][0].pop("differences")
    assert found == {"course_id": str(KEY), "seed": 7, "learners": [{"user_id": ann, "expected": []}]}
    assert (difference["block"], difference["ours"], difference["theirs"]) == (key("html", "a"), 0, 1)


def test_the_command_compares_the_newest_content() -> None:
    course = author(block("html", "a"))
    content.version(KEY)
    course.add("course", block("html", "b")).release()
    enroll(learner("ann"), KEY)

    assert run()[1] == ""
    assert lms_counters.counts["get_course_blocks"] == 1


def test_the_command_knows_no_course_that_is_not_there() -> None:
    assert run() == ("", f"There is no course {KEY}.")


def test_a_site_of_its_own_has_nothing_to_compare_with(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_PLATFORM = "tests.fakes.platform.FakePlatform"

    assert run() == ("", "There is no LMS here to compare with: this site has courses of its own.")
