"""The commands that ask: sql, extract, gaps, check."""

import io
import json
import subprocess
import sys

import duckdb
import pytest

from completion_aggregator.tracking import api
from tests.tracking.builders import LOG, line, lines, load, new_store, put
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


def counted(path, query="SELECT count(*) FROM event"):
    with duckdb.connect(str(path), read_only=True) as other:
        return other.execute(query).fetchall()[0][0]


def written(store, target, *options):
    return run("sql", "--write", target, "--store", store.folder, *options)


def test_sql_writes_views_into_a_file_and_anew_into_it(loaded, tmp_path):
    target = tmp_path / "views.duckdb"
    assert written(loaded, target)[0] == 0
    with duckdb.connect(str(target)) as other:
        other.execute("CREATE TABLE mine AS SELECT 1 AS a")
    load(loaded, put(tmp_path / f"{LOG}-2", lines(2, first=90)))
    assert counted(target) == 4
    status, out, _ = written(loaded, target)
    assert (status, "write it again after `load`, `store optimise` and `people forget`" in out) == (0, True)
    assert (counted(target), counted(target, "SELECT count(*) FROM mine")) == (6, 1)


def test_a_file_whose_parts_are_gone_fails_until_it_is_written_again(loaded, tmp_path):
    target = tmp_path / "views.duckdb"
    written(loaded, target)
    api.forget(7, store=loaded)
    with pytest.raises(duckdb.IOException):
        counted(target)
    comments = "SELECT DISTINCT comment FROM duckdb_views() WHERE NOT internal"
    assert counted(target, comments).startswith(f"Files of {loaded.folder} as they were at 20")
    written(loaded, target)
    assert counted(target) == 4


def test_a_file_is_good_for_a_while_after_parts_were_merged_and_counts_none_twice(loaded, tmp_path):
    target = tmp_path / "views.duckdb"
    load(loaded, put(tmp_path / f"{LOG}-2", lines(2, first=90)))
    written(loaded, target)
    assert run("store", "optimise", "--store", loaded.folder)[0] == 0
    assert counted(target) == 6


def test_sql_writes_into_no_file_of_others(loaded, tmp_path):
    target, foreign, text = tmp_path / "views.duckdb", tmp_path / "foreign.duckdb", tmp_path / "text"
    written(loaded, target)
    duckdb.connect(str(foreign)).close()
    text.write_text("no database")
    other = new_store(tmp_path, "other")
    for store, path, *options in ((loaded, foreign), (loaded, text), (other, target), (loaded, target, "--private")):
        status, _, err = written(store, path, *options)
        assert (status, err[: 14 + len(str(path))]) == (1, f"Error: {path} exists")
    assert text.read_text() == "no database"


def test_sql_writes_into_no_file_that_is_open_elsewhere(loaded, tmp_path):
    target = tmp_path / "views.duckdb"
    written(loaded, target)
    holding = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holding, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        status, _, err = written(loaded, target)
        other.communicate(b"\n")
    assert (status, f"{target} exists, and cannot be written" in err) == (1, True)
    assert written(loaded, target)[0] == 0


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


@pytest.mark.parametrize("content", [None, b"no Parquet", b"PAR1 and more, cut"])
@pytest.mark.parametrize("command", ["sql", "extract", "gaps"])
def test_a_file_that_the_store_lacks_is_told(loaded, tmp_path, command, content):
    (part,) = (loaded.folder / "event").rglob("*.parquet")
    part.unlink()
    if content:
        part.write_bytes(content)
    words = {"sql": ["SELECT * FROM event"], "extract": ["-o", tmp_path / "x.csv"], "gaps": []}[command]
    status, out, err = run(command, *words, "--store", loaded.folder)
    assert (status, out) == (1, "")
    assert err.startswith("Error: ")
    assert part.name in err
    assert "from a backup" in err


def test_data_that_are_broken_inside_are_told(loaded, tmp_path):
    (part,) = (loaded.folder / "event").rglob("*.parquet")
    whole = part.read_bytes()
    part.write_bytes(whole[:4] + bytes(len(whole) // 3) + whole[4 + len(whole) // 3 :])
    status, _, err = run("extract", "-o", tmp_path / "x.csv", "--store", loaded.folder)
    assert (status, err[:7]) == (1, "Error: ")
    assert list(tmp_path.glob("*x.csv*")) == []


@pytest.mark.parametrize("words", [["sql", "--write"], ["extract", "-o"]])
def test_a_file_that_cannot_be_written_is_told(loaded, tmp_path, words):
    status, _, err = run(*words, tmp_path / "none" / "v.duckdb", "--store", loaded.folder)
    assert status == 1
    assert "v.duckdb" in err
    assert "backup" not in err


def test_nothing_of_a_log_is_obeyed_by_a_terminal(store, tmp_path):
    red = "esc\x1b[31mRED"
    content = line(event_type=red, name=red) + b"\n\x1b[2Jno event\n"
    path = put(tmp_path / "logs" / f"{LOG}\x1b[1m", content)
    told = [run("load", path, "--store", store.folder)[1], run("check", path)[1]]
    queries = (
        "SELECT name FROM event",
        'SELECT 1 AS "\x1b"',
        "SELECT * FROM private.quarantine",
        "SELECT '\x1b' x y",
    )
    told += ["".join(run("sql", "--private", query, "--store", store.folder)[1:]) for query in queries]
    told.append(run("status", "--sources", "--store", store.folder)[1])
    told.append(run("check", f"{path}\x1b")[2])
    assert [each for each in told if "\x1b" in each] == []
    assert "esc\\x1b[31mRED" in told[1]
    assert "esc\\x1b[31mRED" in told[2]
    assert red in run("sql", "SELECT name FROM event", "--format", "csv", "--store", store.folder)[1]


def test_sql_prints_json_that_is_json(store):
    query = "SELECT 'nan'::DOUBLE AS a, ['inf'::DOUBLE, 1.5] AS b, {'c': '-inf'::DOUBLE} AS d, MAP {1: 2} AS e"
    out = run("sql", query, "--format", "json", "--store", store.folder)[1]
    assert out == '{"a": null, "b": [null, 1.5], "d": {"c": null}, "e": {"1": 2}}\n'


def test_names_of_columns_are_no_formulas(store, tmp_path):
    assert run("sql", 'SELECT 1 AS "=cmd"', "--format", "csv", "--store", store.folder)[1] == "'=cmd\n1\n"


def test_check_of_a_folder_without_logs_says_so_and_goes_on(tmp_path):
    (tmp_path / "empty").mkdir()
    path = put(tmp_path / LOG, lines(2))
    status, out, err = run("check", tmp_path / "empty", path)
    assert (status, out.startswith(f"{path}: ")) == (1, True)
    assert err == f"not read: {tmp_path}/empty: there is no log in it. Is --pattern right?\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--from", "2024-02-02", "--to", "2024-02-01"],
        ["--columns", ""],
        ["--columns", " ,"],
        ["--columns", "name", "--all-columns"],
    ],
)
def test_extract_refuses_what_cannot_be_meant(loaded, tmp_path, words, capsys):
    status, out, err = run("extract", *words, "-o", tmp_path / "x.csv", "--store", loaded.folder)
    assert (status, out) == (2, "")
    assert words[0] in err + capsys.readouterr().err
    assert not (tmp_path / "x.csv").exists()
