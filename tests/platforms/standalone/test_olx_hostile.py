"""Whatever a file holds, reading it gives a course or a reason, never a traceback."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from xml.sax.saxutils import quoteattr

from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.course_graph.graph import compile_graph
from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone.blocks_api import read_blocks_json
from completion_aggregator.platforms.standalone.olx import read_olx
from completion_aggregator.platforms.standalone.outline import CourseContent
from tests.platforms.standalone.olx_export import MODES, POINTER, key, write

NAMES = st.sampled_from(["a", "b", "course", "a:b", "x y", "", "é"])
TAGS = st.sampled_from(
    [
        "chapter",
        "vertical",
        "section",
        "split_test",
        "conditional",
        "show",
        "html",
        "problem",
        "itembank",
        "fancy",
        "book",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        ["1", "true", "null", '{"1": [2]}', '{"7": "i4x://O/C/html/a"}', "i4x://O/C/vertical/a;a;b", "[", "9e999"]
    ),
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters='<&"\ufffe\uffff'), max_size=8
    ),
)
FIELDS = st.sampled_from(
    ["url_name", "slug", "name", "filename", "start", "group_access", "max_count", "sources", "user_partition_id",
     "group_id_to_child", "visible_to_staff_only", "optional_completion", "days_early_for_beta", "display_name"]
)  # fmt: skip


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    attributes = draw(st.dictionaries(FIELDS, VALUES, max_size=3)) | {"url_name": draw(NAMES)}
    inner = "".join(draw(st.lists(elements(depth - 1), max_size=3))) if depth else ""
    tag = draw(TAGS)
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{tag}{written}>{inner}</{tag}>"


def check(content: CourseContent) -> None:
    graph = compile_graph(content.course_key, content.blocks, content.partitions)
    assert len(graph) == len(content.blocks) == sum(content.report.block_counts.values())


@settings(max_examples=60)
@given(
    inline=st.lists(elements(), max_size=4).map("".join),
    files=st.dictionaries(st.tuples(TAGS, NAMES), elements(), max_size=6),
    partitions=st.one_of(VALUES, st.just([{"id": 7, "groups": [{"id": 1}]}, {"id": 1, "groups": [{"id": 2}]}])),
)
def test_any_tree_of_elements_is_a_course(inline, files, partitions):
    definitions = {f"{tag}/{name.replace(':', '/')}.xml": text for (tag, name), text in files.items()}
    policy = json.dumps({"course/R": {"user_partitions": partitions}})
    with tempfile.TemporaryDirectory() as folder:
        # A name like "course" may collide with a file of the course itself, so these come last.
        course = {"course.xml": POINTER, "course/R.xml": f"<course>{inline}</course>", "policies/R/policy.json": policy}
        check(read_olx(write(Path(folder) / "export", definitions | course), MODES))


@given(course=st.binary(max_size=300), policy=st.binary(max_size=50))
def test_any_bytes_are_a_course_or_refused(course, policy):
    files = {
        "course.xml": POINTER,
        "course/R.xml": b"<course>" + course + b"</course>",
        "policies/R/policy.json": policy,
    }
    with tempfile.TemporaryDirectory() as folder, suppress(InvalidCourse):
        check(read_olx(write(Path(folder), files), MODES))


KEYS = st.sampled_from([key("course", "course"), key("html", "a"), key("vertical", "b"), "rubbish"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
BLOCKS = st.dictionaries(
    KEYS,
    st.dictionaries(
        st.sampled_from(["id", "children", "start", "group_access", "max_count", "completion_mode", "user_partitions"]),
        st.one_of(JSON, KEYS, st.lists(KEYS, max_size=3)),
    ),
)


@given(
    document=st.one_of(
        JSON, BLOCKS, st.fixed_dictionaries({"blocks": BLOCKS}, optional={"root": st.one_of(KEYS, JSON)})
    )
)
def test_any_json_is_a_course_or_refused(document):
    with tempfile.TemporaryDirectory() as folder, suppress(InvalidCourse):
        path = Path(folder) / "blocks.json"
        path.write_text(json.dumps(document))
        check(read_blocks_json(path, MODES))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "groups", "name", "scheme", "active", "1"]), inner, max_size=4)
    ),
    max_leaves=8,
)
DEEP = json.loads("[" * 500 + "]" * 500)
ANY_FIELDS = st.dictionaries(
    st.sampled_from(
        ["display_name", "start", "group_access", "max_count", "completion_mode", "optional_completion",
         "visible_to_staff_only", "days_early_for_beta", "user_partitions", "user_partition_id", "group_id_to_child"]
    ),
    ANYTHING | st.just(DEEP) | st.lists(ANYTHING, max_size=3),
)  # fmt: skip


@given(of_course=ANY_FIELDS, of_block=ANY_FIELDS)
def test_any_value_of_any_field_leaves_the_course_and_texts_that_can_be_stored(of_course, of_block):
    course, split = key("course", "course"), key("split_test", "a")
    blocks = {course: {**of_course, "children": [split]}, split: of_block}
    policy = {"course/R": of_course, "split_test/a": of_block}
    files = {
        "course.xml": POINTER,
        "course/R.xml": '<course><split_test url_name="a"><html url_name="h"/></split_test></course>',
        "policies/R/policy.json": json.dumps(policy),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blocks.json"
        path.write_text(json.dumps({"root": course, "blocks": blocks}))
        for content in (read_blocks_json(path, MODES), read_olx(write(Path(folder) / "export", files), MODES)):
            check(content)
            said = [*map(str, content.report.problems), *content.report.warnings, content.title]
            said += [part for each in content.partitions for part in (each.name, each.scheme)]
            assert "\x00" not in "".join(said).encode().decode()
