"""What the fake of the LMS promises of block structures: relations, transformers, collection, versions.

Numbers are those of the list of what a fake must satisfy.
"""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import lms_counters
import pytest
from common.djangoapps.split_modulestore_django.models import SplitModulestoreCourseIndex
from lms.djangoapps.course_blocks.api import get_course_block_access_transformers, get_course_blocks
from opaque_keys.edx.keys import CourseKey
from openedx.core.djangoapps.content.block_structure.api import (
    clear_course_from_cache,
    get_block_structure_manager,
    get_course_in_cache,
)
from openedx.core.djangoapps.content.block_structure.block_structure import BlockStructureBlockData
from openedx.core.djangoapps.content.block_structure.exceptions import (
    BlockStructureNotFound,
    TransformerException,
    UsageKeyNotInBlockStructure,
)
from openedx.core.djangoapps.content.block_structure.models import BlockStructureModel
from openedx.core.djangoapps.content.block_structure.transformer import (
    BlockStructureTransformer,
    FilteringTransformerMixin,
)
from openedx.core.djangoapps.content.block_structure.transformers import BlockStructureTransformers
from openedx.core.djangoapps.user_api.partition_schemes import RandomUserPartitionScheme
from xmodule.modulestore.django import modulestore
from xmodule.modulestore.exceptions import ItemNotFoundError
from xmodule.partitions.partitions import UserPartition

from tests.platforms.openedx import people
from tests.platforms.openedx.authoring import (
    KEY,
    LONG_AGO,
    author,
    block,
    collected,
    draft,
    partition,
    seen,
    split_test,
    transformer,
)

pytestmark = pytest.mark.django_db
NEVER = datetime(2099, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)
_numbers = count()


def graph(**children: str) -> BlockStructureBlockData:
    """A structure by hand: ``graph(a="b c", b="d")``; the first is the root."""
    made = BlockStructureBlockData(next(iter(children)))
    for parent, below in children.items():
        for child in below.split():
            made._add_relation(parent, child)
    return made


def kept(*ids: str) -> Any:
    return lambda key: key in ids


# --- 1: traversals ---


def test_a_block_comes_after_all_its_parents_and_siblings_in_their_order():
    diamond = graph(r="a b", a="x c", b="c y", c="d")
    assert list(diamond.topological_traversal()) == ["r", "a", "x", "b", "c", "d", "y"]


def test_a_block_none_of_whose_parents_was_yielded_is_passed_over():
    diamond = graph(r="a b", a="x c", b="c y", c="d")
    assert list(diamond.topological_traversal(lambda key: key not in "ab")) == ["r"]
    assert list(diamond.topological_traversal(lambda key: key != "a")) == ["r", "b", "c", "d", "y"]


def test_below_blocks_that_were_not_yielded_blocks_are_yielded_if_asked_for():
    diamond = graph(r="a b", a="x c", b="c y", c="d")
    found = diamond.topological_traversal(lambda key: key not in "ab", yield_descendants_of_unyielded=True)
    assert list(found) == ["r", "x", "c", "d", "y"]


def test_a_block_with_a_parent_that_was_passed_over_is_never_reached():
    # Below `a`, which is turned down, `x` is passed over; `c` waits for it for ever, though `r` is its parent too.
    assert list(graph(r="a c", a="x", x="c").topological_traversal(kept("r", "x", "c"))) == ["r"]


def test_a_switch_makes_blocks_that_were_passed_over_count_as_visited():
    with lms_counters.switched(skipped_blocks_count_as_visited=True):
        assert list(graph(r="a c", a="x", x="c").topological_traversal(kept("r", "x", "c"))) == ["r", "c"]


def test_a_traversal_may_begin_anywhere():
    assert list(graph(r="a b", a="c", b="c").topological_traversal(start_node="a")) == ["a"]
    assert list(graph(r="a b", a="c d", b="c").topological_traversal(start_node="a")) == ["a", "d"]


def test_children_come_before_their_parents_in_post_order_and_each_once():
    assert list(graph(r="a b", a="x c", b="c y", c="d").post_order_traversal()) == ["x", "d", "c", "a", "y", "b", "r"]
    assert list(graph(r="a b", a="c").post_order_traversal(lambda key: key != "a")) == ["b", "r"]


def test_lists_of_relations_are_the_structures_own():
    made = graph(r="a b")
    made.get_children("r").remove("a")
    assert made.get_children("r") == ["b"]
    assert made.get_children("unknown") == made.get_parents("unknown") == []


# --- 2: the order of transformers ---


class Watching(BlockStructureTransformer):
    WRITE_VERSION = READ_VERSION = 1
    saw: list[list[str]] = []

    @classmethod
    def name(cls):
        return "watching"

    def transform(self, usage_info, block_structure):
        self.saw.append([key.block_id for key in block_structure])


class Dropping(FilteringTransformerMixin):
    WRITE_VERSION = READ_VERSION = 1

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.asked: list[str] = []

    @classmethod
    def name(cls):
        return "dropping"

    def transform_block_filters(self, usage_info, block_structure):
        def gone(key):
            self.asked.append(key.block_id)
            return key.block_id in self.ids

        return [block_structure.create_removal_filter(gone)]


def test_filters_come_first_in_one_pass_then_the_others_then_pruning():
    Watching.saw = []
    course = author(block("chapter", "a", block("html", "a1")), block("html", "b"))
    first, second = Dropping("a"), Dropping("b")
    with transformer(Watching), transformer(Dropping):
        found = get_course_blocks(
            people.learner("ann"), course.root, BlockStructureTransformers([Watching(), first, second])
        )
    assert [Watching.saw, list(found)] == [[["course", "a1"]], [course.root]]
    assert [first.asked, second.asked] == [["course", "a", "b"], ["course", "b"]]


def test_the_default_transformers_are_those_that_decide_on_access():
    names = [each.name() for each in get_course_block_access_transformers(people.learner("ann"))]
    assert names == [
        "library_content", "library_content_randomize", "start_date", "content_type_gate", "user_partitions",
        "visibility", "load_date_data",
    ]  # fmt: skip


def test_a_start_key_outside_the_structure_is_refused():
    course = author(block("html", "a"))
    with pytest.raises(UsageKeyNotInBlockStructure):
        get_course_blocks(people.learner("ann"), KEY.make_usage_key("html", "unknown"))
    assert list(get_course_blocks(people.learner("bob"), course.usage("a"))) == [course.usage("a")]


# --- 3, 4: removal and overrides ---


def test_children_that_are_kept_come_behind_the_other_children_of_each_parent():
    made = graph(r="s a t", s="x y", t="s")
    made.remove_block("s", keep_descendants=True)
    assert {key: made.get_children(key) for key in "rt"} == {"r": ["a", "t", "x", "y"], "t": ["x", "y"]}
    assert made.get_parents("x") == ["r", "t"]


def test_to_override_a_field_of_a_removed_block_does_not_bring_it_back():
    made = graph(r="a b")
    made.override_xblock_field("a", "due", 1)
    made.remove_block("a", keep_descendants=False)
    made.override_xblock_field("a", "due", 2)
    assert "a" not in made
    assert [each.location for each in made.itervalues()] == ["a"]
    assert made.get_xblock_field("a", "due") == 2


def test_a_copy_shares_nothing():
    made = graph(r="a")
    made.set_transformer_block_field("a", "some", "field", [1])
    made.copy().get_transformer_block_field("a", "some", "field").append(2)
    made.copy().remove_block("a", keep_descendants=False)
    assert ["a" in made, made.get_transformer_block_field("a", "some", "field")] == [True, [1]]


# --- 5: registration and versions ---


class Newer(Watching):
    @classmethod
    def name(cls):
        return "newer"


def test_a_transformer_that_is_not_registered_is_refused():
    with pytest.raises(TransformerException):
        BlockStructureTransformers([Watching()])


def test_a_transformer_without_versions_cannot_collect():
    course = draft(block("html", "a"))
    course.publish()
    with transformer(type("Unversioned", (Watching,), {"WRITE_VERSION": 0})), pytest.raises(TransformerException):
        course.collect()


def test_a_transformer_that_reads_more_than_was_collected_has_every_course_collected_once():
    author(block("html", "a"))
    with transformer(Newer), lms_counters.counting() as happened:
        get_course_in_cache(KEY)
        get_course_in_cache(KEY)
    assert happened == {"collections": 1, "get_course_in_cache": 2}


def test_what_no_registered_transformer_asked_for_is_notcollected():
    author(block("html", "a", display_name="A", showanswer="never"))
    structure = get_course_in_cache(KEY)
    a = KEY.make_usage_key("html", "a")
    assert structure.get_xblock_field(a, "display_name") == "A"
    assert structure.get_xblock_field(a, "showanswer", "nothing") == "nothing"


# --- 6: merging ---


def test_a_start_is_the_later_of_its_own_and_of_the_earliest_parent():
    day = timedelta(days=1)
    both = block("html", "both", start=LONG_AGO + day)
    author(
        block("chapter", "late", both, start=LONG_AGO + 3 * day),
        block("chapter", "soon", both, block("html", "below"), start=LONG_AGO + 2 * day),
        block("html", "own", start=LONG_AGO - day),
    )
    assert collected("start_date", "merged_start_date") == {
        "course": LONG_AGO, "late": LONG_AGO + 3 * day, "soon": LONG_AGO + 2 * day, "both": LONG_AGO + 2 * day,
        "below": LONG_AGO + 2 * day, "own": LONG_AGO,
    }  # fmt: skip


def test_a_course_without_a_start_begins_in_2030():
    author(block("html", "a"), start=None)
    assert set(collected("start_date", "merged_start_date").values()) == {datetime(2030, 1, 1, tzinfo=UTC)}


def test_a_block_is_for_staff_by_itself_or_through_all_its_parents():
    both, two = block("html", "both", visible_to_staff_only=False), block("html", "two")
    author(
        block("chapter", "hidden", both, two, visible_to_staff_only=True),
        block("chapter", "hidden_too", two, visible_to_staff_only=True),
        block("chapter", "open", both),
    )
    merged = collected("visibility", "merged_visible_to_staff_only")
    assert [key for key, hidden in merged.items() if hidden] == ["hidden", "hidden_too", "two"]


def test_groups_are_a_blocks_own_out_of_those_of_any_parent_and_an_empty_list_restricts_nothing():
    both, none = block("html", "both", group_access={100: [2, 3]}), block("html", "none", group_access={100: []})
    author(
        block("chapter", "one", both, block("html", "nobody", group_access={100: [3]}), group_access={100: [1]}),
        block("chapter", "two", both, none, group_access={100: [2]}),
        block("html", "free", group_access={100: [], 999: [1]}),
        partitions=(partition(100, 1, 2, 3), partition(101, 1, active=False)),
    )
    found = {
        key: access.get_allowed_groups() for key, access in collected("user_partitions", "merged_group_access").items()
    }
    assert found == {
        "course": {}, "one": {100: {1}}, "two": {100: {2}}, "both": {100: {2}}, "nobody": {100: set()},
        "none": {100: {2}}, "free": {},
    }  # fmt: skip


def test_a_branch_of_a_split_test_is_for_its_group_and_a_child_of_no_group_for_all():
    author(
        split_test("s", 101, {1: block("vertical", "one"), 2: block("vertical", "two")}, block("vertical", "rest")),
        split_test("t", 999, {1: block("vertical", "free")}),
        partitions=(partition(101, 1, 2, scheme="random"),),
    )
    found = {
        key: access.get_allowed_groups() for key, access in collected("user_partitions", "merged_group_access").items()
    }
    assert found == {"course": {}, "s": {}, "t": {}, "one": {101: {1}}, "two": {101: {2}}, "rest": {}, "free": {}}


# --- 13: versions ---


def test_what_is_collected_lags_what_is_published():
    course = author(block("html", "a"))
    first = _versions()
    course.add(course.root.block_id, block("html", "b"))
    assert [_versions(), len(get_course_in_cache(KEY))] == [first, 2]  # a draft is nobody's
    published = course.publish()
    assert [_versions(), len(get_course_in_cache(KEY))] == [(published, first[1], first[1]), 2]
    course.collect()
    assert [_versions(), len(get_course_in_cache(KEY))] == [(published,) * 3, 3]
    with lms_counters.counting() as happened:
        course.collect()
    assert happened == {}


def _versions() -> tuple[str, str, str]:
    """The version that is published, the one of the row of what is collected, and the one inside of it."""
    structure = get_course_in_cache(KEY)
    index, row = SplitModulestoreCourseIndex.objects.get(), BlockStructureModel.objects.get()
    return (
        index.published_version, row.data_version,
        structure.get_xblock_field(structure.root_block_usage_key, "course_version"),
    )  # fmt: skip


def test_a_course_that_was_not_collected_is_collected_on_being_read():
    course = draft(block("html", "a"))
    course.publish()
    with pytest.raises(BlockStructureNotFound):
        clear_course_from_cache(KEY)
    with lms_counters.counting() as happened:
        assert len(get_course_in_cache(KEY)) == 2
    clear_course_from_cache(KEY)
    assert [happened["collections"], BlockStructureModel.objects.count()] == [1, 0]


def test_a_scheme_has_a_name_only_in_a_process_that_has_looked_it_up():
    author(block("html", "a"), partitions=(partition(101, 1, scheme="random"),))
    del RandomUserPartitionScheme.name  # as in a process that was started just now
    stored = get_course_in_cache(KEY).get_transformer_data("user_partitions", "user_partitions")
    found = {each.id: each.scheme for each in stored}
    assert [found[101], hasattr(found[101], "name")] == [RandomUserPartitionScheme, False]
    assert UserPartition.get_scheme("random").name == found[101].name == "random"


def test_a_course_that_nobody_knows_is_not_found():
    unknown = CourseKey.from_string("course-v1:Org+Unknown+Run")
    with pytest.raises(ItemNotFoundError):
        get_course_in_cache(unknown)
    assert modulestore().get_course(unknown) is None


def test_a_collected_structure_passed_in_is_copied():
    course = author(block("html", "a", visible_to_staff_only=True))
    collected = get_block_structure_manager(KEY).get_collected()
    assert seen(course, people.learner("ann"), collected_block_structure=collected) == []
    assert len(collected) == 2
