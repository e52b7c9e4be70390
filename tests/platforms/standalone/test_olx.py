import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from completion_aggregator.course_graph.graph import Block, CompletionMode, Partition, compile_graph
from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone.content import read_course
from completion_aggregator.platforms.standalone.modes import CONTAINERS, KNOWN, ModeTable
from completion_aggregator.platforms.standalone.olx import DEFAULT_START
from tests.platforms.standalone.olx_export import (
    POINTER,
    START,
    block,
    key,
    problems,
    read,
    read_inline,
    tree,
)

AGGREGATOR, COMPLETABLE, EXCLUDED = CompletionMode.AGGREGATOR, CompletionMode.COMPLETABLE, CompletionMode.EXCLUDED
COHORTS = {
    "id": 100, "name": "Content Groups", "scheme": "cohort", "active": True, "version": 3, "parameters": {},
    "groups": [{"id": 1, "name": "North", "version": 1}, {"id": 2, "name": "South", "version": 1}],
}  # fmt: skip


def policy(**fields: object) -> dict[str, str]:
    return {"policies/R/policy.json": json.dumps(fields.pop("policy", {"course/R": fields}))}


def with_partitions(*partitions: object) -> dict[str, str]:
    return policy(user_partitions=list(partitions))


# The whole of a small course


def test_pointers_and_inline_definitions_give_the_same_blocks(tmp_path):
    content = read(
        tmp_path,
        {
            "course.xml": POINTER,
            "course/R.xml": f'<course display_name="Tëst" {START}><chapter url_name="one"/><wiki slug="w"/></course>',
            "chapter/one.xml": '<chapter display_name="One"><sequential url_name="s"/></chapter>',
            "sequential/s.xml": '<sequential><vertical url_name="v"><html url_name="h"/>'
            '<problem url_name="p" display_name="Inline"><p>1 &lt; <b>2</b></p></problem></vertical></sequential>',
            "html/h.xml": '<html filename="h" display_name="Text"/>',
        },
    )
    assert content.course_key == "course-v1:O+C+R"
    assert content.title == "Tëst"
    assert content.blocks == (
        Block(
            key=key("course", "course"),
            type="course",
            mode=AGGREGATOR,
            children=(key("chapter", "one"),),
            title="Tëst",
            start=datetime(2020, 1, 1, tzinfo=UTC),
        ),
        Block(
            key=key("chapter", "one"),
            type="chapter",
            mode=AGGREGATOR,
            children=(key("sequential", "s"),),
            title="One",
        ),
        Block(key=key("sequential", "s"), type="sequential", mode=AGGREGATOR, children=(key("vertical", "v"),)),
        Block(
            key=key("vertical", "v"),
            type="vertical",
            mode=AGGREGATOR,
            children=(key("html", "h"), key("problem", "p")),
        ),
        Block(key=key("html", "h"), type="html", mode=COMPLETABLE, title="Text"),
        Block(key=key("problem", "p"), type="problem", mode=COMPLETABLE, title="Inline"),
    )
    assert content.partitions == ()
    assert content.report.problems == ()
    assert content.report.warnings == ()
    assert content.report.skipped == {"<wiki>": "where the course's wiki is, not a block"}
    assert content.report.block_counts == {
        "course": 1, "chapter": 1, "sequential": 1, "vertical": 1, "html": 1, "problem": 1,
    }  # fmt: skip


def test_reading_twice_gives_the_same(tmp_path):
    inner = '<chapter url_name="c"><sequential><vertical><html>text</html></vertical></sequential></chapter>'
    assert read_inline(tmp_path / "a", inner) == read_inline(tmp_path / "b", inner)


def test_white_space_does_not_change_a_generated_name(tmp_path):
    tight = "<vertical><html><p>some text</p></html></vertical>"
    loose = "<vertical>\n  <html>\n    <p>some\n text</p>\n  </html>\n</vertical>"
    assert tree(read_inline(tmp_path / "a", tight)) == tree(read_inline(tmp_path / "b", loose))


# Courses that exist


def counts(path: Path) -> dict[str, int]:
    content = read_course(path)
    assert content.report.problems == ()
    assert content.report.unknown_types == {}
    assert len(compile_graph(content.course_key, content.blocks, content.partitions)) == len(content.blocks)
    return dict(content.report.block_counts)


def test_demo_course_of_open_edx_exactly(shared_data):
    path = shared_data / "data/olx/demo-course.tar.gz"
    assert read_course(path).course_key == "course-v1:OpenedX+DemoX+DemoCourse"
    assert counts(path) == {
        "course": 1, "chapter": 6, "sequential": 17, "vertical": 58, "html": 266, "problem": 29, "video": 11,
        "lti": 2, "openassessment": 2, "drag-and-drop-v2": 1, "edx_sga": 1, "staffgradedxblock": 1, "done": 1,
        "library_content": 1, "annotatable": 1, "discussion": 1, "poll": 1, "survey": 1,
    }  # fmt: skip


def test_studio_advanced_exactly(shared_data):
    path = shared_data / "data/olx/studio-advanced.tar.gz"
    assert read_course(path).course_key == "course-v1:HarvardX+StudioAdv1+2T2019"
    assert counts(path) == {
        "course": 1, "chapter": 9, "sequential": 47, "vertical": 286, "split_test": 30, "html": 315, "poll": 121,
        "problem": 76, "video": 17, "survey": 3, "discussion": 2, "word_cloud": 1, "openassessment": 1,
    }  # fmt: skip


def test_test_course_of_open_edx_exactly(shared_data):
    path = shared_data / "data/olx/test-course.tar.gz"
    assert counts(path) == {
        "course": 1, "chapter": 2, "sequential": 3, "vertical": 28, "problem": 19, "html": 17, "video": 3,
        "library_content": 2, "split_test": 2, "annotatable": 1, "done": 1, "edx_sga": 1, "google-calendar": 1,
        "google-document": 1, "lti": 1, "lti_consumer": 1, "library_sourced": 1, "poll": 1, "rate": 1, "scorm": 1,
        "survey": 1,
    }  # fmt: skip
    content = read_course(path)
    assert {bank.bank_size for bank in content.blocks if bank.type == "library_content"} == {2, 6}
    by_key = {each.key: each for each in content.blocks}
    split = next(each for each in content.blocks if each.type == "split_test")
    assert [by_key[child].group_access for child in split.children] == [
        {1617092182: frozenset({group})} for group in (1510747468, 1299116708, 1203097969)
    ]


def test_our_own_course_has_every_shape():
    content = read_course(Path("completion_aggregator/platforms/standalone/demo_course/course"))
    assert content.course_key == "course-v1:Demo+NightSky+2026"
    assert content.report.problems == ()
    assert content.report.warnings == ()
    assert content.report.unknown_types == {}
    assert content.report.block_counts == {
        "course": 1, "chapter": 6, "sequential": 15, "vertical": 37, "html": 37, "problem": 28, "video": 4,
        "split_test": 1, "conditional": 1, "library_content": 1, "itembank": 1, "discussion": 1, "poll": 1,
        "survey": 1, "word_cloud": 1, "openassessment": 1, "done": 1,
    }  # fmt: skip
    ours = {each.key.rpartition("@")[2]: each for each in content.blocks}
    parents = [each for each in content.blocks if ours["tides_text"].key in each.children]
    assert [parent.type for parent in parents] == ["vertical", "conditional"]
    assert ours["planet_bank"].bank_size == 3
    assert ours["faint_bank"].bank_size == 2
    assert ours["pole_by_height"].group_access == {1701: frozenset({2})}
    assert ours["pole_south"].group_access == {1801: frozenset({2})}
    assert ours["next_year"].start == datetime(2099, 1, 1, tzinfo=UTC)
    assert ours["wanderers_check"].start == datetime(2026, 3, 1, tzinfo=UTC)
    assert ours["hosts_notes"].staff_only
    assert ours["eclipse_rare"].optional
    assert ours["own_notes"].children == ()
    assert (ours["course"].days_early_for_beta, ours["dark_minutes"].days_early_for_beta) == (7.0, 14.0)
    assert "comets" not in ours
    assert len(compile_graph(content.course_key, content.blocks, content.partitions)) == len(content.blocks)


def test_the_course_file_may_be_given_instead_of_its_folder():
    folder = Path("completion_aggregator/platforms/standalone/demo_course/course")
    assert read_course(folder / "course.xml") == read_course(folder)


# Keys


def test_a_colon_in_a_name_is_a_folder_and_stays_in_the_key(tmp_path):
    content = read_inline(tmp_path, '<vertical url_name="week1:intro"/>', {"vertical/week1/intro.xml": "<vertical/>"})
    assert tree(content) == {"course/course": ["vertical/week1:intro"], "vertical/week1:intro": []}


def test_names_in_any_script_are_keys(tmp_path):
    content = read_inline(
        tmp_path, '<vertical url_name="Введение-日本"/>', {"vertical/Введение-日本.xml": "<vertical/>"}
    )
    assert tree(content) == {"course/course": ["vertical/Введение-日本"], "vertical/Введение-日本": []}
    assert content.report.problems == ()


def test_accents_of_a_file_name_may_be_composed_otherwise(tmp_path):
    # As macOS packs them: a letter and its accent apart.
    content = read_inline(tmp_path, '<vertical url_name="caf\u00e9"/>', {"vertical/cafe\u0301.xml": "<vertical/>"})
    assert tree(content) == {"course/course": ["vertical/caf\u00e9"], "vertical/caf\u00e9": []}


def test_characters_that_no_key_may_have_are_replaced_and_reported(tmp_path):
    content = read_inline(
        tmp_path, '<vertical url_name="a  b?"/>', {"vertical/a  b?.xml": '<vertical display_name="V"/>'}
    )
    assert tree(content) == {"course/course": ["vertical/a_b_"], "vertical/a_b_": []}
    assert block(content, "vertical/a_b_").title == "V"
    assert problems(content) == [
        "course/R.xml:2: url_name 'a  b?' has characters that no key may have; 'a_b_' is taken"
    ]


def test_a_block_without_a_name_gets_one_from_its_title_or_its_content(tmp_path):
    content = read_inline(
        tmp_path,
        '<vertical display_name="Week 1: start"><html slug="s">x</html><html name="Old name">y</html>'
        "<html>z</html></vertical>",
    )
    vertical, slug, named, hashed = [each.key.rpartition("@")[2] for each in content.blocks[1:]]
    assert (vertical, slug, named) == ("Week_1_start", "s", "Old_name")
    assert hashed.startswith("html_")
    assert len(hashed) == len("html_") + 12
    assert content.report.warnings == (
        (
            "3 elements have no url_name, the first in course/R.xml:2: "
            "their keys come from their content, and change with it"
        ),
    )


def test_two_blocks_with_the_same_title_stay_two(tmp_path):
    content = read_inline(tmp_path, '<html display_name="Text">one</html>\n<html display_name="Text">two</html>')
    first, second = [each.key.rpartition("@")[2] for each in content.blocks[1:]]
    assert first == "Text"
    assert second.startswith("html_Text_")


def test_a_key_too_long_for_the_tables_is_left_out(tmp_path):
    content = read_inline(tmp_path, f'<html url_name="{"x" * 250}">text</html><html url_name="y">text</html>')
    assert tree(content) == {"course/course": ["html/y"], "html/y": []}
    assert problems(content) == [f"course/R.xml:2: {key('html', 'x' * 250)} is longer than 255 characters; left out"]


def test_no_org_and_no_course_are_made_up_as_the_lms_does(tmp_path):
    folder = tmp_path / "my course"
    content = read(folder, {"course.xml": f'<course url_name="R" {START}><html url_name="h">x</html></course>'})
    assert content.course_key == "course-v1:edx+my_course+R"
    assert problems(content) == [
        "course.xml:1: <course> has no org; 'edx' is taken",
        "course.xml:1: <course> has no course; 'my_course' is taken",
    ]


# The same block in more than one place


def test_a_pointer_repeated_is_one_block_under_two_parents(tmp_path):
    content = read_inline(
        tmp_path,
        '<vertical url_name="a"><html url_name="h"/></vertical><vertical url_name="b"><html url_name="h"/></vertical>',
        {"html/h.xml": "<html/>"},
    )
    assert tree(content) == {
        "course/course": ["vertical/a", "vertical/b"],
        "vertical/a": ["html/h"],
        "html/h": [],
        "vertical/b": ["html/h"],
    }
    assert content.report.problems == ()


def test_of_two_definitions_the_first_is_taken(tmp_path):
    content = read_inline(
        tmp_path,
        '<html url_name="h" display_name="First">1</html>\n<vertical url_name="v">\n'
        '<html url_name="h" display_name="Second">2</html></vertical>',
    )
    assert block(content, "html/h").title == "First"
    assert tree(content)["vertical/v"] == ["html/h"]
    assert problems(content) == [
        f"course/R.xml:4: {key('html', 'h')} is defined otherwise in course/R.xml:2, which is taken"
    ]


def test_the_same_child_twice_in_one_parent_counts_once(tmp_path):
    content = read_inline(
        tmp_path,
        '<vertical url_name="v"><html url_name="h"/><html url_name="h"/></vertical>',
        {"html/h.xml": "<html/>"},
    )
    assert tree(content)["vertical/v"] == ["html/h"]
    assert problems(content) == [
        f"course/R.xml:2: {key('vertical', 'v')}: the child {key('html', 'h')} is listed twice; counted once"
    ]


def test_a_loop_of_pointers_is_cut(tmp_path):
    content = read_inline(
        tmp_path,
        '<vertical url_name="a"/>',
        {
            "vertical/a.xml": '<vertical><vertical url_name="b"/></vertical>',
            "vertical/b.xml": '<vertical><vertical url_name="a"/><html url_name="h">x</html></vertical>',
        },
    )
    assert tree(content) == {
        "course/course": ["vertical/a"],
        "vertical/a": ["vertical/b"],
        "vertical/b": ["html/h"],
        "html/h": [],
    }
    assert problems(content) == [
        (
            f"vertical/b.xml:1: {key('vertical', 'b')}: the child {key('vertical', 'a')} holds this block itself; "
            "left out here"
        )
    ]


@pytest.mark.parametrize(
    "reference",
    [
        "block-v1:O+C+R+type@html+block@h",
        "block-v1:Other+X+2019+type@html+block@h",
        "i4x://O/C/html/h",
        "i4x://O/C/html/h@draft",
        "html/h",
        "h",
    ],
)
def test_conditional_shows_blocks_from_elsewhere(tmp_path, reference):
    content = read_inline(
        tmp_path,
        f'<conditional url_name="c" sources="i4x://O/C/problem/p"><show sources="{reference}; "/>'
        '<html url_name="own">x</html></conditional>\n<vertical url_name="v"><html url_name="h">text</html></vertical>',
    )
    assert tree(content)["conditional/c"] == ["html/h", "html/own"]
    assert tree(content)["vertical/v"] == ["html/h"]
    assert problems(content) == []


def test_conditional_shows_only_what_is_there(tmp_path):
    content = read_inline(tmp_path, '<conditional url_name="c"><show sources="i4x://O/C/html/gone"/></conditional>')
    assert tree(content)["conditional/c"] == []
    assert problems(content) == [
        f"course/R.xml:2: {key('conditional', 'c')}: the child {key('html', 'gone')} is not in the course; left out"
    ]


# What goes wrong in one place loses that place only


def test_a_pointer_to_nothing_is_left_out(tmp_path):
    content = read_inline(
        tmp_path, '<chapter url_name="gone"/>\n<chapter url_name="here"/>', {"chapter/here.xml": "<chapter/>"}
    )
    assert tree(content) == {"course/course": ["chapter/here"], "chapter/here": []}
    assert problems(content) == ["course/R.xml:2: points to chapter/gone.xml, which is not there; left out"]


def test_a_bare_element_of_a_type_without_files_is_the_block(tmp_path):
    content = read_inline(tmp_path, '<vertical url_name="v"><poll url_name="p"/></vertical>')
    assert tree(content)["vertical/v"] == ["poll/p"]
    assert problems(content) == []


@pytest.mark.parametrize(
    ("broken", "line", "why"),
    [
        ("<vertical>\n<html>\n</vertical>", 3, "not well-formed XML: mismatched tag"),
        ("<vertical>\n&nbsp;</vertical>", 2, "not well-formed XML: undefined entity"),
        ("", 1, "not well-formed XML: no element found"),
        (
            '<?xml version="1.0" encoding="klingon"?><vertical/>',
            1,
            "cannot be read as klingon: unknown encoding: klingon",
        ),
    ],
)
def test_a_broken_file_is_reported_with_its_line(tmp_path, broken, line, why):
    content = read_inline(
        tmp_path, '<vertical url_name="bad"/><vertical url_name="good"/>',
        {"vertical/bad.xml": broken, "vertical/good.xml": "<vertical/>"},
    )  # fmt: skip
    assert tree(content) == {"course/course": ["vertical/good"], "vertical/good": []}
    assert problems(content) == [f"vertical/bad.xml:{line}: {why}; the block is left out"]


BILLION_LAUGHS = """<!DOCTYPE lolz [
<!ENTITY lol "lol">
<!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
]>
<vertical>&lol2;</vertical>"""


@pytest.mark.parametrize(
    "hostile",
    [
        BILLION_LAUGHS,
        '<!DOCTYPE v [<!ENTITY x SYSTEM "file:///etc/passwd">]><vertical display_name="&x;"/>',
        '<!DOCTYPE v [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><vertical/>',
        '<!DOCTYPE v [<!ATTLIST vertical display_name CDATA "x">]><vertical/>',
    ],
)
def test_declarations_of_its_own_make_a_file_unreadable(tmp_path, hostile):
    content = read_inline(tmp_path, '<vertical url_name="bad"/>', {"vertical/bad.xml": hostile})
    assert problems(content) == [
        "vertical/bad.xml:1: declares its own entities or document type; remove them; the block is left out"
    ]


def test_a_bare_doctype_harms_nobody(tmp_path):
    doctype = '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://127.0.0.1/never-fetched.dtd">'
    content = read_inline(tmp_path, '<html url_name="h"/>', {"html/h.xml": f'{doctype}<html display_name="H"/>'})
    assert block(content, "html/h").title == "H"
    assert problems(content) == []


def test_elements_nested_without_end_are_refused_not_followed(tmp_path):
    deep = "<vertical>" * 5000 + "</vertical>" * 5000
    content = read_inline(tmp_path, '<vertical url_name="deep"/>', {"vertical/deep.xml": deep})
    assert problems(content) == ["vertical/deep.xml:1: elements are nested more than 500 deep; the block is left out"]


def test_blocks_nested_without_end_are_cut(tmp_path):
    files = {f"vertical/v{n}.xml": f'<vertical><vertical url_name="v{n + 1}"/></vertical>' for n in range(200)}
    content = read_inline(tmp_path, '<vertical url_name="v0"/>', files)
    assert len(content.blocks) == 101
    assert problems(content) == ["vertical/v99.xml:1: blocks are nested more than 100 deep; left out"]


def test_a_definition_of_another_type_is_read_as_the_pointer_says(tmp_path):
    content = read_inline(tmp_path, '<vertical url_name="v"/>', {"vertical/v.xml": '<sequential display_name="S"/>'})
    assert block(content, "vertical/v").title == "S"
    assert problems(content) == [
        "vertical/v.xml:1: holds <sequential> where <vertical> is expected; read as <vertical>"
    ]


def test_files_that_nothing_points_to_are_named(tmp_path):
    content = read_inline(tmp_path, "<wiki/>", {"html/left.xml": "<html/>", "updates.xml": "<course_info/>"})
    assert content.report.skipped == {
        "<wiki>": "where the course's wiki is, not a block",
        "html/left.xml": "nothing points to it",
        "updates.xml": "no definition of a block",
    }


def test_of_many_files_that_nothing_points_to_some_are_named(tmp_path):
    content = read_inline(tmp_path, "", {f"html/{n:02}.xml": "<html/>" for n in range(30)})
    assert len(content.report.skipped) == 21
    assert content.report.skipped["10 more files"] == "nothing points to them"


# Encodings


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("utf-8", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("iso-8859-15", "iso-8859-15"),
    ],
)
def test_encodings_that_a_file_declares(tmp_path, encoding, codec):
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<html display_name="Über"/>'
    content = read_inline(tmp_path, '<html url_name="h"/>', {"html/h.xml": text.encode(codec)})
    assert block(content, "html/h").title == "Über"


@pytest.mark.parametrize(("encoding", "title"), [("shift_jis", "日本語"), ("gb18030", "中文"), ("koi8-r", "Привет")])
def test_encodings_that_expat_does_not_know(tmp_path, encoding, title):
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<html display_name="{title}"/>'
    content = read_inline(tmp_path, '<html url_name="h"/>', {"html/h.xml": text.encode(encoding)})
    assert block(content, "html/h").title == title


# Fields


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("&quot;2026-03-01T10:00:00+00:00&quot;", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2013-02-05T05:00", datetime(2013, 2, 5, 5, tzinfo=UTC)),
        ("2013-2-5 5:00", datetime(2013, 2, 5, 5, tzinfo=UTC)),
        ("2001-01-01T00:00:00", datetime(2001, 1, 1, tzinfo=UTC)),
        ("1772359200000", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("null", None),
        ("", None),
    ],
)
def test_dates(tmp_path, text, moment):
    content = read_inline(tmp_path, f'<chapter url_name="c" start="{text}"><html/></chapter>')
    assert block(content, "chapter/c").start == moment
    assert problems(content) == []


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "[1]", "true", "1e400", "0001-01-01T00:00:00+14:00"])
def test_dates_that_cannot_be_understood_are_not_set(tmp_path, text):
    content = read_inline(tmp_path, f'\n<chapter url_name="c" start="{text}"><html/></chapter>')
    assert block(content, "chapter/c").start is None
    [problem] = problems(content)
    assert problem.startswith("course/R.xml:3: start=")


def test_fields_of_the_policy_win_over_attributes(tmp_path):
    fields = {
        "course/R": {"start": "2021-05-05T00:00:00Z", "display_name": "From the policy"},
        "chapter/c": {"visible_to_staff_only": True, "start": None},
        "library_content/b": {"max_count": 4},
    }
    content = read_inline(
        tmp_path,
        '<chapter url_name="c" start="2020-01-01" visible_to_staff_only="false">'
        '<library_content url_name="b" max_count="2"/></chapter>',
        {"library_content/b.xml": "<library_content/>", **policy(policy=fields)},
    )
    assert content.title == "From the policy"
    assert content.blocks[0].start == datetime(2021, 5, 5, tzinfo=UTC)
    assert (block(content, "chapter/c").staff_only, block(content, "chapter/c").start) == (True, None)
    assert block(content, "library_content/b").bank_size == 4


def test_an_old_export_has_its_policy_beside_the_folder(tmp_path):
    content = read_inline(tmp_path, "", {"policies/R.json": '{"course/R": {"display_name": "Old"}}'})
    assert content.title == "Old"


def test_a_broken_policy_is_reported_and_the_course_read(tmp_path):
    content = read_inline(tmp_path, '<html url_name="h">x</html>', {"policies/R/policy.json": '{\n"course/R": {,}}'})
    assert len(content.blocks) == 2
    [problem] = problems(content)
    assert problem.startswith("policies/R/policy.json:2: not JSON, so its fields are missing: ")


def test_a_course_without_a_start_is_never_released(tmp_path):
    content = read(tmp_path, {"course.xml": POINTER, "course/R.xml": "<course/>"})
    assert content.blocks[0].start == DEFAULT_START == datetime(2030, 1, 1, tzinfo=UTC)
    assert content.report.warnings == (
        "the course has no start date, so the LMS default of 2030-01-01 holds: nothing is released",
    )


def test_titles_stay_as_they_were_written(tmp_path):
    content = read_inline(
        tmp_path, '<html url_name="a" display_name="3.10">x</html><html url_name="b" display_name="null">x</html>'
    )
    assert [each.title for each in content.blocks[1:]] == ["3.10", "null"]


def test_optional_and_days_early_are_handed_down_from_the_first_parent(tmp_path):
    content = read_inline(
        tmp_path,
        '<sequential url_name="s" optional_completion="true" days_early_for_beta="5"><vertical url_name="v">'
        '<html url_name="h">x</html><html url_name="needed" optional_completion="false">x</html></vertical>'
        '</sequential><sequential url_name="t"><html url_name="h"/></sequential>',
        {"html/h.xml": "<html/>", **policy(days_early_for_beta=2)},
    )
    optional = {each.key.rpartition("@")[2] for each in content.blocks if each.optional}
    assert optional == {"s", "v", "h"}
    days = {each.key.rpartition("@")[2]: each.days_early_for_beta for each in content.blocks}
    assert days == {"course": 2.0, "s": 5.0, "v": 5.0, "h": 5.0, "needed": 5.0, "t": 2.0}


def test_start_staff_only_and_groups_are_not_handed_down(tmp_path):
    content = read_inline(
        tmp_path,
        '<chapter url_name="c" start="2025-01-01" visible_to_staff_only="true" group_access="{&quot;100&quot;: [1]}">'
        '<html url_name="h">x</html></chapter>',
        with_partitions(COHORTS),
    )
    assert block(content, "html/h") == Block(key=key("html", "h"), type="html", mode=COMPLETABLE)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("max_count", "1.5", "not a whole number"),
        ("max_count", "1E100", "beyond 2147483647"),
        ("max_count", "9" * 400, "beyond 2147483647"),
        ("max_count", "true", "not a whole number"),
        ("days_early_for_beta", "NaN", "beyond 3659634 days"),
        ("days_early_for_beta", "-1e300", "beyond 3659634 days"),
        ("days_early_for_beta", "soon", "not a number"),
        ("days_early_for_beta", "[]", "not a number of days"),
        ("visible_to_staff_only", "perhaps", "neither true nor false"),
    ],
)
def test_numbers_and_flags_that_make_no_sense_are_not_set(tmp_path, field, value, why):
    content = read_inline(tmp_path, f'<itembank url_name="b" {field}="{value}"><html/></itembank>')
    bank = block(content, "itembank/b")
    assert (bank.bank_size, bank.days_early_for_beta, bank.staff_only) == (1, None, False)
    [problem] = problems(content)
    assert problem.startswith(f"course/R.xml:2: {field}=")
    assert problem.endswith(f": {why}; taken as not set")


# Groups


def test_group_access_of_known_partitions(tmp_path):
    access = json.dumps({"100": [1], "200": [], "300": [7], "400": None}).replace('"', "&quot;")
    inactive = {**COHORTS, "id": 300, "active": False}
    content = read_inline(
        tmp_path, f'<html url_name="h" group_access="{access}">x</html>', with_partitions(COHORTS, inactive)
    )
    assert block(content, "html/h").group_access == {100: frozenset({1})}
    assert content.partitions == (Partition(100, "cohort", frozenset({1, 2}), "Content Groups"),)
    assert content.report.warnings == (
        "group_access names partition 300, which is no active partition of the course: ignored",
    )


def test_partitions_that_the_lms_makes_are_there_when_named(tmp_path):
    content = read_inline(
        tmp_path, '<html url_name="h" group_access="{&quot;50&quot;: [2, 9], &quot;51&quot;: [2]}">x</html>'
    )
    assert block(content, "html/h").group_access == {50: frozenset({2, 9}), 51: frozenset({2})}
    assert [(partition.id, partition.scheme, sorted(partition.groups)) for partition in content.partitions] == [
        (50, "enrollment_track", [1, 2, 3, 4, 5, 6, 7, 9]),
        (51, "content_type_gate", [1, 2]),
    ]


def test_group_access_that_makes_no_sense_is_not_set(tmp_path):
    content = read_inline(tmp_path, '<html url_name="h" group_access="{&quot;x&quot;: [1]}">x</html>')
    assert block(content, "html/h").group_access == {}
    assert problems(content) == ["""course/R.xml:2: group_access={'x': [1]}: 'x' is not an id; taken as not set"""]


EXPERIMENT = {**COHORTS, "id": 7, "scheme": "random"}


@pytest.mark.parametrize("reference", ["i4x://O/C/vertical/{}", "block-v1:O+C+R+type@vertical+block@{}", "{}"])
def test_branches_of_a_split_test_belong_to_their_groups(tmp_path, reference):
    assigned = {"1": reference.format("a"), "2": reference.format("b"), "99": reference.format("c")}
    content = read_inline(
        tmp_path,
        f"<split_test url_name='s' user_partition_id='7' group_id_to_child='{json.dumps(assigned)}'>"
        "<vertical url_name='a' group_access='{\"7\": [2], \"100\": [1]}'><html/></vertical>"
        "<vertical url_name='b'><html/></vertical>"
        "<vertical url_name='c' group_access='{\"7\": [2]}'><html/></vertical></split_test>",
        with_partitions(EXPERIMENT, COHORTS),
    )
    access = {name: dict(block(content, f"vertical/{name}").group_access) for name in "abc"}
    assert access == {"a": {7: frozenset({1}), 100: frozenset({1})}, "b": {7: frozenset({2})}, "c": {}}


def test_a_split_test_without_its_partition_shows_every_branch(tmp_path):
    content = read_inline(
        tmp_path,
        "<split_test url_name='s' user_partition_id='7' group_id_to_child='{\"1\": \"i4x://O/C/vertical/a\"}'>"
        "<vertical url_name='a'><html/></vertical></split_test>",
    )
    assert block(content, "vertical/a").group_access == {}
    assert content.report.warnings[0] == (
        f"{key('split_test', 's')} has no active partition: all its branches are shown to everybody"
    )


# Types


@pytest.mark.parametrize(
    ("count", "size"), [("", 1), (' max_count="3"', 3), (' max_count="-1"', -1), (' max_count="x"', 1)]
)
@pytest.mark.parametrize("bank", ["library_content", "itembank"])
def test_item_banks_draw_one_unless_they_say_otherwise(tmp_path, bank, count, size):
    content = read_inline(tmp_path, f'<{bank} url_name="b"{count}><problem url_name="p">?</problem></{bank}>')
    assert block(content, f"{bank}/b").bank_size == size
    assert tree(content)[f"{bank}/b"] == ["problem/p"]


def test_an_unknown_type_is_excluded_and_named(tmp_path):
    content = read_inline(
        tmp_path,
        '<vertical url_name="v"><fancy url_name="f"><html>inside</html></fancy><html url_name="h">x</html></vertical>',
    )
    assert tree(content)["vertical/v"] == ["fancy/f", "html/h"]
    assert block(content, "fancy/f").mode is EXCLUDED
    assert content.report.unknown_types == {"fancy": 1}
    assert problems(content) == []


def test_a_type_can_be_given_a_mode_in_settings(tmp_path, settings):
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {"fancy": "aggregator", "poll": "excluded"}
    fancy = '<fancy url_name="f"><html url_name="h">x</html><poll url_name="p"/></fancy>'
    files = {"course.xml": POINTER, "course/R.xml": f"<course {START}>{fancy}</course>"}
    content = read(tmp_path, files, ModeTable.from_settings())
    assert [(each.type, each.mode) for each in content.blocks[1:]] == [
        ("fancy", AGGREGATOR), ("html", COMPLETABLE), ("poll", EXCLUDED),
    ]  # fmt: skip
    assert content.report.unknown_types == {}


def test_every_container_is_an_aggregator():
    assert {KNOWN[block_type] for block_type in CONTAINERS} == {AGGREGATOR}


def test_what_is_inside_a_leaf_is_not_a_block(tmp_path):
    content = read_inline(tmp_path, '<problem url_name="p"><html>x</html><video url_name="v"/></problem>')
    assert tree(content) == {"course/course": ["problem/p"], "problem/p": []}


# Old exports


def test_a_course_of_2012_all_in_one_file(tmp_path):
    content = read(
        tmp_path,
        {
            "course.xml": f"""<course org="MITx" course="6.002x" url_name="2012_Fall" name="Circuits" {START}>
              <chapter name="Overview">
                <section name="Welcome"><video youtube="1.0:abc" name="Hello"/></section>
                <videosequence format="Lecture" name="Lecture 1"><html filename="intro" name="Intro"/></videosequence>
                <problemset name="Homework 1"><problem filename="h1" name="H1"/></problemset>
                <section name="Two"><html name="A">a</html><book page="3" name="Page 3"/></section>
              </chapter>
              <textbook title="Book" book_url="x"/>
            </course>"""
        },
    )
    assert content.course_key == "course-v1:MITx+6.002x+2012_Fall"
    assert tree(content) == {
        "course/course": ["chapter/Overview"],
        "chapter/Overview": ["video/Welcome", "videosequence/Lecture_1", "problemset/Homework_1", "sequential/Two"],
        "video/Welcome": [],
        "videosequence/Lecture_1": ["html/Intro"],
        "html/Intro": [],
        "problemset/Homework_1": ["problem/H1"],
        "problem/H1": [],
        "sequential/Two": ["html/A", "customtag/Page_3"],
        "html/A": [],
        "customtag/Page_3": [],
    }
    assert content.report.unknown_types == {}
    assert problems(content) == []


def test_a_container_may_have_its_children_in_a_file_of_another_name(tmp_path):
    content = read_inline(
        tmp_path,
        '<chapter url_name="c" filename="week1" display_name="Week 1"/>',
        {"chapter/week1.xml": '<chapter display_name="ignored"><html url_name="h">x</html></chapter>'},
    )
    assert tree(content)["chapter/c"] == ["html/h"]
    assert block(content, "chapter/c").title == "Week 1"


# No course at all


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"course.xml": "<course>\n<chapter></course>"}, "course.xml:2: not well-formed XML: mismatched tag"),
        ({"course.xml": POINTER}, "course.xml:1: points to course/R.xml, which is not there"),
        ({"course.xml": POINTER, "course/R.xml": "<course>"}, "course/R.xml:1: not well-formed XML: no element found"),
        ({"course.xml": '<course org="O" course="C"/>'}, "has no url_name"),
        ({"course.xml": '<course url_name="a/b" org="O" course="C"><html/></course>'}, "url_name='a/b' cannot be part"),
        ({"course.xml": '<course url_name="R" org="O+P" course="C"><html/></course>'}, "org='O\\+P' cannot be part"),
        ({"course.xml": '<library org="O" library="L"/>'}, "course.xml holds a content library, not a course"),
        ({"library.xml": "<library/>"}, "the export of a content library, not of a course"),
        ({"readme.xml": "<x/>"}, "no course.xml in it; export the course as OLX"),
        ({"course.xml": BILLION_LAUGHS}, "course.xml:1: declares its own entities"),
    ],
)
def test_what_is_no_course_is_refused_with_the_reason(tmp_path, files, message):
    with pytest.raises(InvalidCourse, match=message):
        read(tmp_path, files)


def test_what_is_graded_holds_for_all_below_that_says_nothing_else(tmp_path):
    content = read_inline(
        tmp_path,
        '<sequential url_name="exam" graded="true"><vertical url_name="v"><problem url_name="p">1</problem>'
        '<html url_name="h" graded="false"/></vertical></sequential><sequential url_name="free" display_name="Free"/>',
    )
    assert content.graded == frozenset({key("sequential", "exam"), key("vertical", "v"), key("problem", "p")})
    assert read_inline(tmp_path / "other", '<sequential url_name="free" display_name="Free"/>').graded == frozenset()
