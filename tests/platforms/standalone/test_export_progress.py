import csv
import json

import pytest
from completion.models import BlockCompletion
from django.core.management import CommandError, call_command

from completion_aggregator.aggregation.records import COLUMNS
from completion_aggregator.models import CourseProgress, StaleCompletion
from tests.platforms.standalone.builders import KEY, course, leaf, learner, usage

pytestmark = pytest.mark.django_db

ROOT, CHAPTER = usage("course", "course"), usage("chapter", "c")
THIRD = 1 / 3


@pytest.fixture
def worked():
    """Ana has done a third of one block of three, and the optional one; =ben has done nothing."""
    course(leaf("one"), leaf("two"), leaf("three"), leaf("extra", optional=True))
    ana = learner("ana")
    learner("=ben")
    BlockCompletion.objects.submit_completion(ana, KEY.make_usage_key("html", "one"), THIRD)
    BlockCompletion.objects.submit_completion(ana, KEY.make_usage_key("html", "extra"), 1.0)
    return BlockCompletion.objects.latest().modified


def expected(worked):
    moment = worked.isoformat().replace("+00:00", "Z")
    for username, numbers, last in (
        ("ana", (THIRD, 3.0, THIRD / 3, 1.0, 1.0, 1.0), moment),
        ("=ben", (0.0, 3.0, 0.0, 0.0, 1.0, 0.0), None),
    ):
        for block, kind in ((ROOT, "course"), (CHAPTER, "chapter")):
            yield dict(zip(COLUMNS, (username, str(KEY), block, kind, *numbers, last), strict=True))


def test_csv_keeps_every_digit_and_the_names_as_they_are(worked, tmp_path):
    file = tmp_path / "progress.csv"
    call_command("export_progress", str(KEY), "-o", str(file))
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert rows == [{k: "" if v is None else str(v) for k, v in row.items()} for row in expected(worked)]
    assert float(rows[0]["earned"]) == THIRD


def test_ndjson_has_a_row_for_each_learner_and_block(worked, capsys):
    call_command("export_progress", str(KEY), "--format", "ndjson")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == list(expected(worked))


def test_parquet_has_typed_columns(worked, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "progress.parquet"
    call_command("export_progress", str(KEY), "-o", str(file))
    table = parquet.read_table(file)
    assert table.column("last_modified").to_pylist() == [worked, worked, None, None]
    columns = [name for name in COLUMNS if name != "last_modified"]
    wanted = [{name: row[name] for name in columns} for row in expected(worked)]
    assert table.select(columns).to_pylist() == wanted


def test_levels_are_those_asked_for(worked, capsys):
    call_command("export_progress", str(KEY), "--levels", "chapter", "--format", "ndjson")
    blocks = [json.loads(line)["block_id"] for line in capsys.readouterr().out.splitlines()]
    assert blocks == [CHAPTER, CHAPTER]


def test_what_is_written_is_current_whether_or_not_the_service_has_run(worked, capsys):
    call_command("export_progress", str(KEY))
    served = capsys.readouterr().out
    CourseProgress.objects.all().delete()
    StaleCompletion.objects.update(resolved=False)
    call_command("export_progress", str(KEY))
    assert capsys.readouterr().out == served
    assert not CourseProgress.objects.exists()


def test_a_file_appears_when_it_is_whole(worked, tmp_path, monkeypatch):
    file = tmp_path / "progress.csv"
    file.write_text("the one before")

    class Interrupted(Exception):
        pass

    def broken(*_, **__):
        yield from ()
        raise Interrupted

    monkeypatch.setattr("completion_aggregator.aggregation.records.rows", broken)
    with pytest.raises(Interrupted):
        call_command("export_progress", str(KEY), "-o", str(file))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("progress.csv", "the one before")]


def test_a_file_is_for_its_owner_alone(worked, tmp_path):
    file = tmp_path / "progress.csv"
    call_command("export_progress", str(KEY), "-o", str(file))
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("course-v1:Org+small+1",),
            r"There is no course course-v1:Org\+small\+1\. Courses: course-v1:Org\+Small\+1\.",
        ),
        (("Small",), "Small is no course key"),
        ((str(KEY), "--levels", "unit"), "choose from chapter, course, sequential, vertical, or all"),
        ((str(KEY), "--levels", ","), "choose from"),
        ((str(KEY), "--format", "parquet"), "name a file"),
        ((str(KEY), "-o", "no/such/folder/x.csv"), "no/such/folder"),
    ],
)
def test_what_cannot_be_is_said(worked, arguments, message):
    with pytest.raises(CommandError, match=message) as error:
        call_command("export_progress", *arguments)
    assert error.value.returncode == 1
