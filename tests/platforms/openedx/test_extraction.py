"""What of a collected structure becomes the blocks and the partitions of a graph."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openedx.core.djangoapps.content.block_structure.api import get_course_in_cache
from xmodule.modulestore.django import modulestore

from completion_aggregator.course_graph.blocks import Block, CompletionMode, Partition
from completion_aggregator.course_graph.graph import CourseGraph, compile_graph
from completion_aggregator.course_graph.visibility import ALWAYS, moment_of
from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.openedx import lms
from completion_aggregator.platforms.openedx.extraction import Content, extract
from tests.course_graph.builders import COURSE
from tests.course_graph.strategies import PARTITIONS, courses
from tests.platforms.openedx.authoring import KEY, LONG_AGO, author, block, partition, split_test

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
AGGREGATOR, COMPLETABLE, EXCLUDED = CompletionMode.AGGREGATOR, CompletionMode.COMPLETABLE, CompletionMode.EXCLUDED


@pytest.fixture(autouse=True)
def no_courses() -> Any:
    yield
    modulestore().clear()


def extracted(structure: Any = None, modes: Mapping[str, CompletionMode] | None = None) -> Content:
    return extract(structure or get_course_in_cache(KEY), banks=lms.bank_types(), modes=modes or {})


def key(kind: str, block_id: str) -> str:
    return str(KEY.make_usage_key(kind, block_id))


def of(block_id: str, found: Content | None = None) -> Block:
    return next(each for each in (found or extracted()).blocks if each.key.endswith(f"@{block_id}"))


def test_a_course_is_extracted_whole() -> None:
    author(
        block(
            "chapter", "week1",
            block("html", "text", display_name="Text", start=MONDAY, days_early_for_beta=1.5),
            block("problem", "quiz", visible_to_staff_only=True),
            block("discussion", "talk"),
            display_name="Week 1",
        )
    )  # fmt: skip
    found = extracted()

    course, week, text = key("course", "course"), key("chapter", "week1"), key("html", "text")
    quiz, talk = key("problem", "quiz"), key("discussion", "talk")
    assert [replace(each, group_access={}) for each in found.blocks] == [
        Block(key=course, type="course", mode=AGGREGATOR, children=(week,), title="A course", start=LONG_AGO),
        Block(
            key=week, type="chapter", mode=AGGREGATOR, children=(text, quiz, talk), title="Week 1", start=LONG_AGO
        ),
        Block(key=text, type="html", mode=COMPLETABLE, title="Text", start=MONDAY, days_early_for_beta=1.5),
        Block(key=quiz, type="problem", mode=COMPLETABLE, start=LONG_AGO, staff_only=True),
        Block(key=talk, type="discussion", mode=EXCLUDED, start=LONG_AGO),
    ]  # fmt: skip
    assert found.edition == get_course_in_cache(KEY).get_xblock_field(
        get_course_in_cache(KEY).root_block_usage_key, "course_version"
    )


def test_what_is_extracted_is_merged_already() -> None:
    author(
        block("chapter", "one", shared := block("html", "shared"), start=MONDAY, visible_to_staff_only=True),
        block("chapter", "two", shared, start=MONDAY + timedelta(days=1)),
        block("chapter", "three", block("html", "own", start=MONDAY), start=MONDAY + timedelta(days=1)),
    )
    found = extracted()

    assert (of("shared", found).start, of("shared", found).staff_only) == (MONDAY, False)
    assert of("own", found).start == MONDAY + timedelta(days=1)


def test_partitions_are_those_that_are_active_and_those_that_the_lms_makes_itself() -> None:
    author(partitions=(partition(100, 1, 2, scheme="cohort"), partition(200, 1, scheme="random", active=False)))
    found = {each.id: each for each in extracted().partitions}

    assert found[100] == Partition(100, "cohort", frozenset({1, 2}), "partition 100")
    assert found[50].scheme == "enrollment_track"
    assert 200 not in found


def test_groups_are_let_in_as_they_were_merged() -> None:
    author(
        block(
            "chapter", "one",
            block("html", "both", group_access={100: [2, 3]}),
            block("html", "nobody", group_access={100: [3]}),
            block("html", "all", group_access={100: []}),
            group_access={100: [1, 2]},
        ),
        block("html", "open", group_access={100: [], 777: [1]}),
        partitions=(partition(100, 1, 2, 3),),
    )  # fmt: skip
    found = extracted()

    assert of("both", found).group_access == {100: frozenset({2})}
    assert of("nobody", found).group_access == {100: frozenset()}
    assert of("all", found).group_access == {100: frozenset({1, 2})}
    assert of("open", found).group_access == {}


def test_branches_of_a_split_test_are_for_their_groups() -> None:
    control, variant, spare = block("vertical", "control"), block("vertical", "variant"), block("vertical", "spare")
    author(
        split_test("split", 100, {1: control, 2: variant}, spare),
        partitions=(partition(100, 1, 2, scheme="random"),),
    )
    found = extracted()

    assert of("split", found).type == "split_test"
    assert [of(each, found).group_access for each in ("control", "variant", "spare")] == [
        {100: frozenset({1})}, {100: frozenset({2})}, {},
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["library_content", "itembank"])
def test_item_banks_know_how_many_they_draw(kind: str) -> None:
    author(block(kind, "two", max_count=2), block(kind, "all", max_count=-1), block(kind, "usual"), block("html", "a"))
    found = extracted()

    assert [of(each, found).bank_size for each in ("two", "all", "usual", "a", "course")] == [2, -1, 1, None, None]


def test_a_bank_that_is_complete_when_it_is_seen_draws_nothing_that_counts(settings: Any) -> None:
    settings.MARK_LIBRARY_CONTENT_BLOCK_COMPLETE_ON_VIEW = True
    author(block("library_content", "bank", block("html", "a"), max_count=1))

    assert (of("bank").mode, of("bank").bank_size) == (COMPLETABLE, None)


def test_the_site_may_want_a_type_in_another_mode() -> None:
    author(block("library_content", "bank", max_count=1), block("html", "text"))
    found = extracted(modes={"library_content": COMPLETABLE, "html": EXCLUDED})

    assert (of("bank", found).mode, of("bank", found).bank_size) == (COMPLETABLE, None)
    assert of("text", found).mode is EXCLUDED


def test_a_block_of_a_type_that_nobody_has_installed_is_completable() -> None:
    author(block("gone", "block"))

    assert of("block").mode is COMPLETABLE


@pytest.mark.parametrize(("field", "value"), [("completion_mode", "seldom"), ("completion_mode", None)])
def test_a_mode_that_nobody_knows_is_completable(field: str, value: Any) -> None:
    course = author(block("html", "text"))
    structure = get_course_in_cache(KEY)
    structure.override_xblock_field(course.usage("text"), field, value)

    assert of("text", extracted(structure)).mode is COMPLETABLE


def test_blocks_are_optional_where_somebody_collects_that_they_are() -> None:
    course = author(block("html", "a"), block("html", "b"))
    structure = get_course_in_cache(KEY)
    structure.override_xblock_field(course.usage("a"), "optional_completion", True)
    found = extracted(structure)

    assert (of("a", found).optional, of("b", found).optional) == (True, False)


def test_data_of_blocks_that_are_gone_is_passed_over() -> None:
    course = author(block("chapter", "one", block("html", "a")), block("html", "b"))
    structure = get_course_in_cache(KEY)
    gone = course.usage("one")
    structure.remove_block(gone, keep_descendants=False)
    structure.override_xblock_field(gone, "display_name", "Here I am")

    assert [each.key for each in extracted(structure).blocks] == [key("course", "course"), key("html", "b")]


def test_a_child_that_is_named_twice_is_one() -> None:
    course = author(block("html", "a"), block("html", "b"))
    structure = get_course_in_cache(KEY)
    structure._add_relation(course.root, course.usage("a"))

    assert of("course", extracted(structure)).children == (key("html", "a"), key("html", "b"))


# --- what may come back otherwise ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (MONDAY.replace(tzinfo=None), MONDAY),
        ("2026-03-02T09:00:00Z", MONDAY),
        ("2026-03-02T09:00:00", MONDAY),
        ("2026-03-02T10:00:00+01:00", MONDAY),
        (MONDAY.astimezone(timezone(timedelta(hours=5))), MONDAY),
        (None, None),
    ],
)
def test_dates_are_read_however_they_come_back(stored: Any, expected: datetime | None) -> None:
    course = author(block("html", "text"))
    structure = get_course_in_cache(KEY)
    structure.set_transformer_block_field(course.usage("text"), "start_date", "merged_start_date", stored)
    found = of("text", extracted(structure)).start

    assert found == expected
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize("stored", ["soon", 7])
def test_what_is_no_date_is_refused_by_the_name_of_its_block(stored: Any) -> None:
    course = author(block("html", "text"))
    structure = get_course_in_cache(KEY)
    structure.set_transformer_block_field(course.usage("text"), "start_date", "merged_start_date", stored)

    with pytest.raises(InvalidCourse, match=r"@html\+block@text starts at"):
        extracted(structure)


@pytest.mark.parametrize(
    ("transformer", "name"),
    [
        ("start_date", "merged_start_date"),
        ("visibility", "merged_visible_to_staff_only"),
        ("user_partitions", "merged_group_access"),
    ],
)
def test_a_structure_that_lacks_what_decides_who_sees_is_refused(transformer: str, name: str) -> None:
    course = author(block("html", "text"))
    structure = get_course_in_cache(KEY)
    structure.remove_transformer_block_field(course.usage("text"), transformer, name)

    with pytest.raises(InvalidCourse, match=rf"@html\+block@text has no {name}.*generate_course_blocks"):
        extracted(structure)


def test_without_partitions_nobody_collects_access() -> None:
    course = author(block("html", "text"))
    structure = get_course_in_cache(KEY)
    structure.set_transformer_data("user_partitions", "user_partitions", [])
    structure.remove_transformer_block_field(course.usage("text"), "user_partitions", "merged_group_access")

    assert of("text", extracted(structure)).group_access == {}


# --- merging what is merged ----------------------------------------------------------------------------------------


@given(st.data())
def test_to_merge_what_is_merged_changes_nothing(data: st.DataObject) -> None:
    blocks = data.draw(courses())
    graph = compile_graph(COURSE, blocks, PARTITIONS)

    assert compile_graph(COURSE, _merged(graph, blocks), PARTITIONS).content_hash == graph.content_hash


def _merged(graph: CourseGraph, blocks: list[Block]) -> list[Block]:
    """Return the blocks as an LMS would collect them: with what they inherit."""
    number, rules = {each: n for n, each in enumerate(graph.keys)}, graph.rules
    starts = {each: int(rules.start[n]) for each, n in number.items()}
    return [
        replace(
            each,
            start=None if starts[each.key] == ALWAYS else moment_of(starts[each.key]),
            staff_only=bool(rules.staff_only[number[each.key]]),
            group_access=dict(rules.access_table[rules.access[number[each.key]]]),
        )
        for each in blocks
    ]
