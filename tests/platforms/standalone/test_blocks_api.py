import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from completion_aggregator.course_graph.graph import Block, CompletionMode, Partition
from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone.blocks_api import read_blocks_json
from completion_aggregator.platforms.standalone.content import read_course
from completion_aggregator.platforms.standalone.outline import CourseContent
from tests.platforms.standalone.olx_export import MODES, key, problems, short, tree

ROOT = key("course", "course")


def answer(block_type: str, name: str, *children: str, **fields: Any) -> dict[str, Any]:
    usage_key = key(block_type, name)
    below = {"children": list(children)} if children else {}
    return {usage_key: {"id": usage_key, "block_id": name, "type": block_type, **below, **fields}}


def read(folder: Path, document: Any) -> CourseContent:
    path = folder / "blocks.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_blocks_json(path, MODES)


def small_course() -> dict[str, Any]:
    return {
        **answer("html", "h", display_name="Text"),
        **answer("problem", "p", optional_completion=True),
        **answer("vertical", "v", key("problem", "p"), key("html", "h")),
        **answer("course", "course", key("vertical", "v"), display_name="Course", start="2026-01-01T00:00:00Z"),
    }


SMALL = (
    Block(
        key=ROOT,
        type="course",
        mode=CompletionMode.AGGREGATOR,
        children=(key("vertical", "v"),),
        title="Course",
        start=datetime(2026, 1, 1, tzinfo=UTC),
    ),
    Block(
        key=key("vertical", "v"),
        type="vertical",
        mode=CompletionMode.AGGREGATOR,
        children=(key("problem", "p"), key("html", "h")),
    ),
    Block(key=key("problem", "p"), type="problem", mode=CompletionMode.COMPLETABLE, optional=True),
    Block(key=key("html", "h"), type="html", mode=CompletionMode.COMPLETABLE, title="Text"),
)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda blocks: {"root": ROOT, "blocks": blocks},
        lambda blocks: {"blocks": blocks},
        lambda blocks: {"data": {"root": ROOT, "blocks": blocks}},
        lambda blocks: {"root": ROOT, "blocks": list(blocks.values())},
        lambda blocks: list(blocks.values()),
        lambda blocks: {"count": 4, "results": list(blocks.values())},
    ],
)
def test_every_form_of_the_answer_gives_the_course_in_document_order(tmp_path, wrapped):
    content = read(tmp_path, wrapped(small_course()))
    assert content.course_key == "course-v1:O+C+R"
    assert content.title == "Course"
    assert content.blocks == SMALL
    assert content.partitions == ()
    assert problems(content) == []
    assert content.report.block_counts == {"course": 1, "vertical": 1, "problem": 1, "html": 1}


def test_fields_that_decide_who_sees_what(tmp_path):
    partition = {"id": 100, "name": "Groups", "scheme": "cohort", "groups": [{"id": 1}, {"id": 2}]}
    blocks = {
        **answer("course", "course", key("chapter", "c"), days_early_for_beta=3),
        **answer(
            "chapter", "c", key("library_content", "b"),
            visible_to_staff_only=True, group_access={"100": [1]}, start="2026-05-01T00:00:00Z",
        ),
        **answer("library_content", "b", key("fancy", "f"), max_count=2),
        **answer("fancy", "f", completion_mode="completable"),
    }  # fmt: skip
    content = read(tmp_path, {"root": ROOT, "blocks": blocks, "user_partitions": [partition]})
    _, chapter, bank, fancy = content.blocks
    assert chapter == Block(
        key=key("chapter", "c"),
        type="chapter",
        mode=CompletionMode.AGGREGATOR,
        children=(bank.key,),
        start=datetime(2026, 5, 1, tzinfo=UTC),
        staff_only=True,
        group_access={100: frozenset({1})},
        days_early_for_beta=3.0,
    )
    assert bank.bank_size == 2
    assert fancy.mode is CompletionMode.COMPLETABLE
    assert content.partitions == (Partition(100, "cohort", frozenset({1, 2}), "Groups"),)
    assert content.report.unknown_types == {}
    assert content.blocks[0].start is None


def test_an_item_bank_without_a_size_counts_all_its_children(tmp_path):
    blocks = {**answer("course", "course", key("itembank", "b")), **answer("itembank", "b")}
    content = read(tmp_path, {"root": ROOT, "blocks": blocks})
    assert content.blocks[1].bank_size is None
    assert content.report.warnings == ("item banks without max_count: all their children are counted",)


def test_unknown_types_are_excluded_and_named(tmp_path):
    blocks = {**answer("course", "course", key("fancy", "f")), **answer("fancy", "f")}
    content = read(tmp_path, {"root": ROOT, "blocks": blocks})
    assert content.blocks[1].mode is CompletionMode.EXCLUDED
    assert content.report.unknown_types == {"fancy": 1}


def test_one_bad_block_does_not_lose_the_course(tmp_path):
    other = "block-v1:Other+C+R+type@html+block@x"
    blocks = {
        **answer("course", "course", key("html", "gone"), key("vertical", "v"), other, start="some day"),
        **answer("vertical", "v", ROOT, key("html", "h"), completion_mode="perhaps"),
        **answer("html", "h", max_count={}, optional_completion="maybe", children="none"),
        **answer("html", "lonely"),
        other: {"id": other},
        key("html", "list"): [],
        key("html", "x"): {"id": key("html", "y")},
        "rubbish": {},
    }
    content = read(tmp_path, {"root": ROOT, "blocks": blocks})
    file = tmp_path / "blocks.json"
    assert tree(content) == {"course/course": ["vertical/v"], "vertical/v": ["html/h"], "html/h": []}
    assert content.blocks[1].mode is CompletionMode.AGGREGATOR
    assert problems(content) == [
        f"{file}: block {key('html', 'list')} is not an object; left out",
        f"{file}: block {key('html', 'x')} says that its id is {key('html', 'y')}; left out",
        f"{file}: {ROOT}: start='some day': not a date; taken as not set",
        (
            f"{file}: {key('vertical', 'v')}: completion_mode='perhaps': none of completable, aggregator, excluded; "
            "taken as not set"
        ),
        f"{file}: {key('html', 'h')}: children is not a list of keys; taken as none",
        f"{file}: {key('html', 'h')}: optional_completion='maybe': neither true nor false; taken as not set",
        f"{file}: {other} is no usage key of course-v1:O+C+R; left out",
        f"{file}: rubbish is no usage key of course-v1:O+C+R; left out",
        f"{file}: {ROOT}: the child {key('html', 'gone')} is not in the course; left out",
        f"{file}: {ROOT}: the child {other} is not in the course; left out",
        f"{file}: {key('vertical', 'v')}: the child {ROOT} holds this block itself; left out here",
        f"{file}: 1 blocks cannot be reached from the root; left out: {key('html', 'lonely')}",
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{\n'root'}", r"blocks\.json:2: not JSON: "),
        ("[" * 100_000, r"blocks\.json is not JSON: "),
        ("3", "holds no blocks; it should be the answer of /api/courses/v1/blocks/"),
        ({"detail": "Authentication credentials were not provided."}, "holds no blocks"),
        ({"root": ROOT, "blocks": {}}, "the root 'block-v1:O.*' is not among the blocks"),
        ({"root": ["x"], "blocks": {}}, "is not among the blocks"),
        ({"root": "i4x://O/C/course/R", "blocks": {"i4x://O/C/course/R": {}}}, "has no key of the form block-v1"),
        ({"blocks": answer("course", "course") | {"x": 1}, "root": [[]]}, r"the root \[\[\]\] is not among"),
        ({"blocks": {"block-v1:foo+type@course+block@c": {}}}, "belongs to 'course-v1:foo', which is no course key"),
        ({"blocks": {"block-v1:a+b+c+d+type@course+block@c": {}}}, "which is no course key"),
        ({"blocks": {key("course", "c" * 250): {}}}, "the key of the root block is longer than 255 characters"),
        ([], "names no root, and 0 blocks are nobody's child: none"),
        ({**answer("html", "a"), **answer("html", "b")}, "holds no blocks"),
        ({"blocks": {**answer("html", "a"), **answer("html", "b")}}, "names no root, and 2 blocks are nobody's child"),
        ({"blocks": {**answer("html", "a", key("html", "a"))}}, "names no root, and 0 blocks are nobody's child"),
    ],
)
def test_what_is_no_course_is_refused_with_the_reason(tmp_path, document, message):
    with pytest.raises(InvalidCourse, match=message):
        read(tmp_path, document)


def test_the_door_knows_the_format_by_the_name(tmp_path):
    path = tmp_path / "Blocks.JSON"
    path.write_text(json.dumps({"root": ROOT, "blocks": small_course()}))
    assert read_course(path).blocks == SMALL
    assert [short(block.key) for block in read_course(str(path)).blocks] == [
        "course/course", "vertical/v", "problem/p", "html/h",
    ]  # fmt: skip


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InvalidCourse, match=r"gone\.json cannot be read: No such file or directory"):
        read_course(tmp_path / "gone.json")


def test_one_bad_partition_does_not_lose_the_others(tmp_path):
    listed = [{"id": 100, "groups": 5}, {"id": "x"}, 7, {"id": 3, "groups": [4]}, {"id": 200, "groups": [{"id": 1}]}]
    content = read(tmp_path, {"root": ROOT, "blocks": small_course(), "user_partitions": listed})
    assert content.partitions == (Partition(200, "random", frozenset({1}), ""),)
    start = f"{tmp_path / 'blocks.json'}: partition"
    assert problems(content) == [
        f"{start} {{'groups': 5, 'id': 100}} is ignored: its groups are not a list of objects",
        f"{start} {{'id': 'x'}} is ignored: 'x' is not an id",
        f"{start} 7 is ignored: not an object",
        f"{start} {{'groups': [4], 'id': 3}} is ignored: its groups are not a list of objects",
    ]


def test_texts_are_what_every_database_can_store(tmp_path):
    blocks = {
        **answer("course", "course", "\ud800\x00", display_name="A\ud800\x00\x1b \U0001f600\nb"),
        **answer("html", "h", display_name=["x"]),
    }
    partition = {"id": 1, "name": "\udfff\x00", "scheme": "c\x00", "groups": []}
    content = read(tmp_path, {"root": ROOT, "blocks": blocks, "user_partitions": [partition]})
    assert content.title == content.blocks[0].title == "A\ufffd \U0001f600\nb"
    assert content.partitions == (Partition(1, "c", frozenset(), "\ufffd"),)
    assert problems(content)[:2] == [
        f"{tmp_path / 'blocks.json'}: {key('html', 'h')}: display_name=['x']: not a text; taken as not set",
        f"{tmp_path / 'blocks.json'}: {ROOT}: the child \ufffd is not in the course; left out",
    ]


def test_what_is_graded_is_known_where_the_answer_was_asked_for_it(tmp_path):
    assert read(tmp_path, {"blocks": small_course()}).graded is None
    asked = {usage_key: {**values, "graded": False} for usage_key, values in small_course().items()}
    assert read(tmp_path, {"blocks": asked}).graded == frozenset()
    asked[key("problem", "p")]["graded"] = True
    assert read(tmp_path, {"blocks": asked}).graded == frozenset({key("problem", "p")})
