"""The commands that ask: sql, extract, gaps, check."""

import io
import json

import pytest

from tests.tracking.builders import LOG, line, lines, load, put
from tests.tracking.commands.running import run, run_json


@pytest.fixture
def loaded(store, tmp_path):
    load(store, put(tmp_path / LOG, lines(3) + line(7200) + b"\n"))
    return store


def test_sql_prints_a_table(loaded):
    status, out, err = run("sql", "SELECT name, count(*) AS n FROM event GROUP BY name", "--store", loaded.folder)
    assert (status, out, err) == (0, "name        n\n----------  -\npage_close  4\n", "")


def test_sql_prints_csv_and_json(loaded):
    query = "SELECT '=1' AS a, 2 AS b"
    assert run("sql", query, "--format", "csv", "--store", loaded.folder)[1] == "a,b\n'=1,2\n"
    assert run("sql", query, "--format", "json", "--store", loaded.folder)[1] == '{"a": "=1", "b": 2}\n'


def test_sql_says_what_is_wrong_with_a_statement(loaded):
    status, out, err = run("sql", "SELECT nothing FROM event", "--store", loaded.folder)
    assert (status, out) == (1, "")
    assert "nothing" in err
    assert "Traceback" not in err


def test_sql_reads_statements_from_standard_input(loaded, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1 AS a;\nSELECT\n2 AS b;\nSELECT 3 AS c"))
    status, out, _ = run("sql", "--format", "csv", "--store", loaded.folder)
    assert (status, out) == (0, "a\n1\nb\n2\nc\n3\n")


def test_sql_writes_views_into_a_file_that_is_not_there(loaded, tmp_path):
    target = tmp_path / "views.duckdb"
    assert run("sql", "--write", target, "--store", loaded.folder)[0] == 0
    status, _, err = run("sql", "--write", target, "--store", loaded.folder)
    assert (status, "nothing is written over" in err) == (1, True)


def test_extract_tells_what_it_wrote(loaded, tmp_path):
    target = tmp_path / "out.csv"
    assert run_json("extract", "-o", target, "--store", loaded.folder) == (
        0,
        {"file": str(target), "rows": 4, "format": "csv"},
    )
    status, _, err = run("extract", "-o", target, "--store", loaded.folder)
    assert (status, err[:7]) == (1, "Error: ")
    assert run("extract", "-o", tmp_path / "x", "--from", "yesterday", "--store", loaded.folder)[0] == 2


def test_gaps_are_printed(loaded):
    assert run("gaps", "--store", loaded.folder)[:2] == (0, "2024-02-01 00:01  2024-02-01 02:00         119 min\n")
    assert run("gaps", "--longer-than", "3h", "--store", loaded.folder)[1] == "No gaps.\n"
    assert run_json("gaps", "--store", loaded.folder)[1] == [
        {"began": "2024-02-01T00:01:00+00:00", "ended": "2024-02-01T02:00:00+00:00", "seconds": 7140.0}
    ]
    assert run("gaps", "--longer-than", "soon", "--store", loaded.folder)[0] == 2


def test_check_needs_no_store_and_tells_good_logs_from_bad(tmp_path):
    good, bad = put(tmp_path / "good.log", lines(3)), put(tmp_path / "bad.log", b"no event\n" + lines(1))
    assert run("check", good)[0] == 0
    status, out, _ = run("check", bad)
    assert status == 1
    assert "refused at byte 0 (8 bytes): no object: 'no event'" in out
    status, out, _ = run("check", good, bad, "--json")
    assert [json.loads(each)["quarantined"] for each in out.splitlines()] == [0, 1]
