import json
import tarfile
from io import BytesIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.platforms.standalone.models import Course, CourseVersion
from tests.platforms.standalone.builders import learner, stale_rows

pytestmark = pytest.mark.django_db

KEY = "course-v1:Org+Num+Run"

FILES = {
    "course.xml": '<course url_name="Run" org="Org" course="Num"/>',
    "course/Run.xml": '<course display_name="A course"><chapter url_name="c"/></course>',
    "chapter/c.xml": '<chapter display_name="One"><sequential url_name="s"/></chapter>',
    "sequential/s.xml": '<sequential><vertical url_name="v"/></sequential>',
    "vertical/v.xml": '<vertical><html url_name="h"/><problem url_name="p"/><strange url_name="x"/></vertical>',
    "html/h.xml": "<html/>",
    "problem/p.xml": "<problem/>",
    "strange/x.xml": "<strange/>",
}


@pytest.fixture
def export(tmp_path):
    def write(name: str = "export", **changes: str) -> str:
        path = tmp_path / f"{name}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for file, text in (
                FILES | {key.replace("__", "/") + ".xml": text for key, text in changes.items()}
            ).items():
                entry = tarfile.TarInfo(f"course/{file}")
                entry.size = len(text)
                archive.addfile(entry, BytesIO(text.encode()))
        return str(path)

    return write


@pytest.fixture
def imported(capsys):
    def run(*arguments: str) -> list[dict[str, Any]]:
        call_command("import_course", "--json", *arguments)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def current() -> tuple[str, int]:
    course = Course.objects.select_related("current").get(course_key=KEY)
    assert course.current
    return course.title, course.current.number


def test_a_course_becomes_its_first_version_with_a_report(export, imported):
    path = export()
    (found,) = imported(path)
    assert {name: found[name] for name in ("path", "course", "title", "version", "changed", "dry_run")} == {
        "path": path, "course": KEY, "title": "A course", "version": 1, "changed": True, "dry_run": False
    }  # fmt: skip
    assert found["block_counts"]["problem"] == 1
    assert found["unknown_types"] == {"strange": 1}
    assert current() == ("A course", 1)
    assert CourseVersion.objects.get().report["unknown_types"] == {"strange": 1}


def test_the_same_content_again_changes_nothing_and_marks_nobody(export, imported):
    imported(export())
    learner("ana")
    StaleCompletion.objects.all().delete()
    (found,) = imported(export("again"))
    assert (found["version"], found["changed"]) == (1, False)
    assert (CourseVersion.objects.count(), stale_rows()) == (1, set())


def test_new_content_is_a_new_version_and_concerns_those_enrolled(export, imported):
    imported(export())
    learner("ana")
    learner("ben", is_active=False)
    StaleCompletion.objects.all().delete()
    shorter = "<vertical><html url_name='h'/></vertical>"
    (found,) = imported(export(vertical__v=shorter))
    assert (found["version"], found["changed"], stale_rows()) == (2, True, set())
    assert [(done.compared, done.marked) for done in api.settle_changes()] == [(1, 1)]
    assert stale_rows() == {("ana", KEY, None)}


def test_many_imports_are_one_change(export, imported):
    imported(export())
    learner("ana")
    for name in "abc":
        imported(export(vertical__v=f"<vertical><html url_name='{name}'/></vertical>"))
    assert list(api.status().changed) == [CourseKey.from_string(KEY)]
    assert sum(done.compared for done in api.settle_changes()) == 1


def test_earlier_content_is_the_earlier_version_again(export, imported):
    imported(export())
    imported(export(vertical__v="<vertical/>"))
    (found,) = imported(export())
    assert (found["version"], found["changed"]) == (1, True)
    assert (current(), CourseVersion.objects.count()) == (("A course", 1), 2)


def test_a_dry_run_stores_nothing(export, imported):
    (found,) = imported(export(), "--dry-run")
    assert (found["changed"], found["dry_run"], Course.objects.exists()) == (True, True, False)
    imported(export())
    assert imported(export(), "--dry-run")[0]["changed"] is False


def test_a_path_that_fails_does_not_keep_the_others_out(export, tmp_path, capsys):
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(b"no archive")
    with pytest.raises(CommandError, match=r"^2 of 3 could not be imported") as error:
        call_command("import_course", str(broken), export(), str(tmp_path / "none"))
    assert error.value.returncode == 1
    assert current() == ("A course", 1)
    first, second = capsys.readouterr().err.splitlines()
    assert str(broken) in first
    assert str(tmp_path / "none") in second


def test_a_course_without_a_valid_key_does_not_keep_the_others_out(export, tmp_path, capsys):
    root = "block-v1:foo+type@course+block@course"
    (tmp_path / "blocks.json").write_text(json.dumps({"root": root, "blocks": {root: {}}}))
    with pytest.raises(CommandError, match=r"^1 of 2 could not be imported"):
        call_command("import_course", str(tmp_path / "blocks.json"), export())
    assert current() == ("A course", 1)


def test_titles_and_reports_are_stored_whatever_was_written(tmp_path, imported):
    root = "block-v1:Org+Num+Run+type@course+block@course"
    blocks = {root: {"display_name": "A\ud800\x00", "children": ["\ud800\x00"], "start": "\ud800\x00"}}
    (tmp_path / "blocks.json").write_text(json.dumps({"root": root, "blocks": blocks}))
    (found,) = imported(str(tmp_path / "blocks.json"))
    assert current() == ("A\ufffd", 1)
    assert len(found["problems"]) == 2


def test_a_strict_import_stores_no_course_with_problems(export, capsys):
    broken, sound = export("broken", html__h="<html"), export("sound", chapter__c="<chapter/>")
    with pytest.raises(CommandError, match=r"^1 of 2 could not be imported") as error:
        call_command("import_course", "--strict", broken, sound)
    assert error.value.returncode == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{broken}: 1 problem, so with --strict it is not stored"
    assert lines[1].startswith("  problem: html/h.xml:1: not well-formed XML")
    assert CourseVersion.objects.get().report["problems"] == []


def test_a_person_reads_what_was_found(export, capsys):
    path = export(html__h="<html")
    call_command("import_course", path)
    printed = capsys.readouterr()
    assert printed.err == f"{path}: 1 problem: parts were left out or read otherwise (see --strict)\n"
    lines = printed.out.splitlines()
    assert lines[:4] == [
        f"{KEY}  A course",
        "  version 1",
        "  6 blocks: 1 chapter, 1 course, 1 problem, 1 sequential, 1 strange, 1 vertical",
        "  unknown types, not counted: 1 strange",
    ]
    assert any("html/h.xml:1" in line for line in lines[4:])


def test_a_person_reads_what_to_do_next(export, capsys, settings):
    settings.COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS = True
    call_command("import_course", export())
    learner("ana")
    call_command("run_aggregator_service")
    call_command("import_course", export(vertical__v="<vertical/>"))
    assert "  version 2; run_aggregator_service brings its learners up to date" in capsys.readouterr().out
