"""A few bytes can be wrong a million times: what an import holds in memory, and stores, has bounds."""

import json

import pytest

from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone import archive, blocks_api, elements, olx_blocks, outline
from completion_aggregator.platforms.standalone.blocks_api import read_blocks_json
from tests.platforms.standalone.olx_export import MODES, POINTER, key, problems, read, read_inline, short, tree


def blocks_json(folder, blocks):
    path = folder / "blocks.json"
    path.write_text(json.dumps({"root": key("course", "course"), "blocks": blocks}))
    return path


def test_of_a_million_problems_some_are_listed_and_all_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(outline, "MAX_LISTED", 2)
    found = read_inline(tmp_path, "".join(f'<html url_name="{n}"/>' for n in range(5)))
    gone = "points to html/{}.xml, which is not there; left out"
    assert problems(found) == [
        f"course/R.xml:2: {gone.format(0)}",
        f"course/R.xml:2: {gone.format(1)}",
        "course/R.xml: 3 more problems, not listed",
    ]


def test_of_a_million_files_that_are_passed_over_some_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(outline, "MAX_LISTED", 2)
    unused = {f"html/{n}.xml": "<html/>" for n in range(5)}
    assert read(tmp_path, {"course.xml": POINTER, "course/R.xml": "<course/>", **unused}).report.skipped == {
        "html/0.xml": "nothing points to it",
        "html/1.xml": "nothing points to it",
        "3 more": "not listed",
    }


def test_a_message_is_as_long_as_people_read(tmp_path):
    (problem,) = problems(read_inline(tmp_path, f'<html url_name="{"x" * 10_000}"/>'))
    assert len(problem) < outline.MAX_MESSAGE + 50
    assert problem.endswith("xxx…")


def test_a_path_that_no_file_system_has_condemns_the_archive(tmp_path):
    from tests.platforms.standalone.test_archive import COURSE, below, pack

    with pytest.raises(InvalidCourse, match=r"a path of 1\d\d\d characters: course/html/xxx"):
        archive.read_files(pack(tmp_path / "x.tar.gz", below("course", {**COURSE, f"html/{'x' * 1100}.xml": ""})))


def test_a_file_has_so_many_elements(tmp_path, monkeypatch):
    monkeypatch.setattr(elements, "MAX_ELEMENTS", 3)
    inside_a_leaf = '<problem url_name="p">1<a/><a/><a/></problem><x/>'
    assert len(read_inline(tmp_path / "fits", inside_a_leaf).blocks) == 3
    with pytest.raises(InvalidCourse, match=r"course/R\.xml:2: holds more than 3 blocks"):
        read_inline(tmp_path / "no", "<a/><b/><c/>")


def test_a_course_has_so_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(olx_blocks, "MAX_BLOCKS", 3)
    monkeypatch.setattr(blocks_api, "MAX_BLOCKS", 3)
    assert len(read_inline(tmp_path / "fits", "<a/><b/>").blocks) == 3
    with pytest.raises(InvalidCourse, match=r"course/R\.xml:2: more than 3 blocks; is this one course\?"):
        read_inline(tmp_path / "no", "<a/><b/><c/>")
    with pytest.raises(InvalidCourse, match=r"blocks\.json holds more than 3 blocks; is this one course\?"):
        read_blocks_json(blocks_json(tmp_path, {key("html", str(n)): {} for n in range(4)}), MODES)


def test_a_course_has_so_many_links(tmp_path, monkeypatch):
    monkeypatch.setattr(olx_blocks, "MAX_LINKS", 3)
    assert len(read_inline(tmp_path / "fits", "<a/><b/><c/>").blocks) == 4
    with pytest.raises(InvalidCourse, match="more than 3 links to children"):
        read_inline(tmp_path / "no", '<conditional url_name="q"><show sources="a;b;c;d"/></conditional>')


def test_a_document_has_so_many_values(tmp_path, monkeypatch):
    path = blocks_json(tmp_path, {key("course", "course"): {"display_name": "a, b, c", "children": [[], []]}})
    monkeypatch.setattr(blocks_api, "MAX_VALUES", 11)
    assert read_blocks_json(path, MODES).title == "a, b, c"
    monkeypatch.setattr(blocks_api, "MAX_VALUES", 10)
    with pytest.raises(InvalidCourse, match="holds more than 10 values"):
        read_blocks_json(path, MODES)


def test_blocks_of_a_document_are_nested_so_deep(tmp_path):
    chain = {
        key("course", "course"): {"children": [key("sequential", "1")]},
        **{key("sequential", str(n)): {"children": [key("sequential", str(n + 1))]} for n in range(1, 103)},
    }
    found = read_blocks_json(blocks_json(tmp_path, chain), MODES)
    assert [short(block.key) for block in found.blocks] == [
        "course/course",
        *(f"sequential/{n}" for n in range(1, outline.MAX_NESTING + 1)),
    ]
    assert "its children are nested more than 100 deep; left out" in problems(found)[0]


def test_a_course_has_so_many_partitions(tmp_path):
    course = {"user_partitions": [{"id": n} for n in range(1_001)]}
    found = read_blocks_json(blocks_json(tmp_path, {key("course", "course"): course}), MODES)
    assert found.partitions == ()
    assert "more than 1000 partitions; taken as not set" in problems(found)[0]


def test_a_name_that_may_be_any_of_many_names_some(tmp_path):
    many = "".join(f'<t{n} url_name="n" a="b"/>' for n in range(5))
    found = read_inline(tmp_path, f'{many}<conditional url_name="q"><show sources="n"/></conditional>')
    (problem,) = problems(found)
    assert problem.count("block-v1:") == 3


def test_a_file_that_many_containers_name_is_read_once(tmp_path):
    containers = "".join(f'<vertical url_name="v{n}" filename="same" x="y"/>' for n in range(3))
    found = read_inline(tmp_path, containers, {"vertical/same.xml": '<vertical><html url_name="h" a="b"/></vertical>'})
    assert tree(found) == {
        "course/course": ["vertical/v0", "vertical/v1", "vertical/v2"],
        "vertical/v0": ["html/h"],
        "html/h": [],
        "vertical/v1": ["html/h"],
        "vertical/v2": ["html/h"],
    }
