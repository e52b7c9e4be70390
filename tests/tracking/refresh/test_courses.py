from datetime import UTC, datetime

import pytest
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.blocks import CompletionMode
from completion_aggregator.course_graph.graph import compile_graph
from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone.olx import read_olx
from completion_aggregator.ports import get_platform
from completion_aggregator.tracking.lookup import Answer, Found, lookup
from completion_aggregator.tracking.refresh import refresh_courses
from completion_aggregator.tracking.refresh.courses import outline
from tests.course_graph.builders import COURSE, bank, chapter, course, discussion, leaf, split_test, vertical
from tests.course_graph.builders import block as block_above
from tests.fakes.platform import FakePlatform
from tests.platforms.standalone import builders

START = datetime(2024, 1, 1, tzinfo=UTC)
BLOCK_COLUMNS = (
    "course", "block", "type", "name", "parent", "parents", "position", "depth", "path", "mode", "optional",
    "staff_only", "start", "graded", "number",
)  # fmt: skip


@pytest.fixture
def graph():
    shared = leaf("shared", title="Shared")
    return course(
        chapter("w1", leaf("a", title="Text"), vertical("u", shared, discussion("d")), title="Week 1", start=START),
        chapter("w2", shared, leaf("extra", optional=True), title="Week 2", staff_only=True),
        title="A course",
    )


def block(*values):
    return (COURSE, *values)


def test_the_outline_of_a_course_is_a_row_for_each_block(graph):
    week, unit = "Week 1", "Week 1 / vertical"
    assert list(outline(graph)) == [
        block("course", "course", "A course", None, 0, None, 0, None, "aggregator", None, False, None, None, 0),
        block("w1", "chapter", week, "course", 1, 1, 1, week, "aggregator", None, False, START, None, 1),
        block("a", "html", "Text", "w1", 1, 1, 2, f"{week} / Text", "completable", False, False, START, None, 2),
        block("u", "vertical", None, "w1", 1, 2, 2, unit, "aggregator", None, False, START, None, 3),
        block("d", "discussion", None, "u", 1, 2, 3, f"{unit} / discussion", "excluded", None, False, START, None, 4),
        block("w2", "chapter", "Week 2", "course", 1, 2, 1, "Week 2", "aggregator", None, True, None, None, 5),
        block("shared", "html", "Shared", "u", 2, 1, 3, f"{unit} / Shared", "completable", False, False, None, None, 6),
        block("extra", "html", None, "w2", 1, 2, 2, "Week 2 / html", "completable", True, True, None, None, 7),
    ]


def test_what_is_graded_is_told_of_each_block_where_it_is_known(graph):
    assert {row[1]: row[13] for row in outline(graph, {"u", "d"})} == {
        **dict.fromkeys(("course", "w1", "a", "w2", "shared", "extra"), False),
        "u": True,
        "d": True,
    }
    assert {row[13] for row in outline(graph, frozenset())} == {False}


def test_blocks_of_banks_and_split_tests_are_in_the_outline():
    graph = course(chapter("w", bank("b", 1, leaf("x"), leaf("y")), split_test("s", leaf("left"), leaf("right"))))
    rows = {row[1]: (row[4], row[6], row[10]) for row in outline(graph)}
    assert rows == {
        "course": (None, None, None),
        "w": ("course", 1, None),
        "b": ("w", 1, None),
        "x": ("b", 1, False),
        "y": ("b", 2, False),
        "s": ("w", 2, None),
        "left": ("s", 1, False),
        "right": ("s", 2, False),
    }


class Partly(FakePlatform):
    """Has a course whose content cannot be read."""

    def course_keys(self):
        return [*(CourseKey.from_string(key) for key in self.graphs), CourseKey.from_string("course-v1:Org+No+Run")]


def test_courses_that_can_be_read_are_written_and_the_others_named(graph, target, written):
    platform = Partly()
    platform.publish(graph)
    platform.publish(compile_graph("Old/Course/2012", block_above("root", "course", CompletionMode.AGGREGATOR)))
    platform.graded_blocks["Old/Course/2012"] = {"root"}
    summary = refresh_courses(platform, target)
    courses = [{name: value for name, value in row.items() if name != "refreshed"} for row in written("course")]
    assert courses == [
        {"course": COURSE, "org": "Org", "number": "Course", "run": "Run", "name": "A course", "blocks": 8}
        | {"version": graph.content_hash},
        {"course": "Old/Course/2012", "org": "Old", "number": "Course", "run": "2012", "name": None, "blocks": 1}
        | {"version": platform.graphs["Old/Course/2012"].content_hash},
    ]
    assert [tuple(row[name] for name in BLOCK_COLUMNS) for row in written("block")][:8] == list(outline(graph))
    assert summary.rows == {"block": 9, "course": 2}
    assert summary.notes == (
        "1 courses have no content that can be read: course-v1:Org+No+Run",
        "of 1 courses the platform does not say what is graded: `graded` is NULL",
    )
    assert {row["graded"] for row in written("block") if row["course"] == COURSE} == {None}
    assert [row["block"] for row in written("block") if row["graded"]] == ["root"]


def test_a_course_that_cannot_be_read_any_more_has_the_outline_that_is_kept(graph, target, written):
    class Refusing(FakePlatform):
        def graded(self, course_key):
            raise InvalidCourse("no chapter")

    platform = Refusing()
    platform.publish(graph)
    summary = refresh_courses(platform, target)
    assert summary.rows == {"block": 8, "course": 1}
    assert summary.notes == ("of 1 courses the platform does not say what is graded: `graded` is NULL",)


@pytest.mark.django_db
def test_the_courses_of_the_site_are_found_by_their_blocks(target):
    builders.course()
    summary = refresh_courses(get_platform(), target)
    assert summary.rows == {"block": 4, "course": 1}
    one = builders.usage("html", "one")
    assert lookup(["one", str(builders.KEY)], target.tables_folder) == [
        Answer("one", (Found(one, "html", "one", str(builders.KEY), "Chapter / one"),)),
        Answer(str(builders.KEY), (Found(str(builders.KEY), "course", "Small", str(builders.KEY)),)),
    ]


def test_a_real_course_has_one_row_for_each_block_and_a_path_to_it(shared_data):
    (archive, *_) = sorted(path for path in (shared_data / "data" / "olx").rglob("*.tar.gz"))
    content = read_olx(archive)
    rows = list(outline(compile_graph(content.course_key, content.blocks, content.partitions)))
    assert {row[1] for row in rows} == {block.key for block in content.blocks}
    assert all(row[8].count(" / ") >= row[7] - 1 for row in rows[1:])
    by_key = {row[1]: row for row in rows}
    assert all(by_key[row[4]][14] < row[14] for row in rows[1:])
