"""Extracts: some courses and days of a table as one file."""

import csv
import sqlite3
from contextlib import closing
from datetime import date

import duckdb
import pyarrow.parquet as pq
import pytest

from completion_aggregator.tracking import extract, views
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.extract import ALL, FORMATS, USUAL, Cut
from tests.tracking.builders import COURSE, LOG, at, line, load, put

OTHER = "course-v1:PolyX+C9+2024"


@pytest.fixture
def loaded(store, tmp_path):
    other = {"user_id": 8, "path": "/event", "course_id": OTHER, "org_id": "PolyX"}
    each = (
        line(0),
        line(1, context=other, username="bob"),
        line(2, time=at(0, days=1)),
        line(3, name="problem_check", event="input_p_2_1==1%2B1"),
    )
    load(store, put(tmp_path / LOG, b"".join(one + b"\n" for one in each)))
    return store


def taken(store, cut, target, form):
    with views.connected(store) as connection:
        return extract.extract(connection, cut, target, form)


def names_in(target, form):
    if form == "parquet":
        return pq.read_table(target)["name"].to_pylist()
    if form == "csv":
        with target.open(newline="") as file:
            return [row["name"] for row in csv.DictReader(file)]
    if form == "sqlite":
        with closing(sqlite3.connect(target)) as database:
            return [row[0] for row in database.execute("SELECT name FROM extract")]
    with duckdb.connect(str(target), read_only=True) as database:
        return [row[0] for row in database.execute("SELECT name FROM extract").fetchall()]


@pytest.mark.parametrize("form", FORMATS)
def test_an_extract_holds_the_rows_asked_for_in_each_format(loaded, tmp_path, form):
    target = tmp_path / "out"
    cut = Cut("event", course="course-v1:DemoU*", since=date(2024, 2, 1), until=date(2024, 2, 1))
    assert taken(loaded, cut, target, form) == 2
    assert sorted(names_in(target, form)) == ["page_close", "problem_check"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


def test_a_file_that_exists_is_left_alone(loaded, tmp_path):
    target = put(tmp_path / "out.csv", b"mine")
    with pytest.raises(TrackingError, match="nothing is written over"):
        taken(loaded, Cut("event"), target, "csv")
    assert target.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (Cut("nothing"), "there is no table 'nothing'; there are: "),
        (Cut("_event"), "there is no table '_event'"),
        (Cut("event", columns=("time", "ip")), "event has no column ip; it has: event_id"),
        (Cut("copy", course="*"), "copy has no column course"),
        (Cut('event" --'), "there is no table"),
    ],
)
def test_what_does_not_exist_is_named(loaded, tmp_path, cut, words):
    with pytest.raises(TrackingError, match=words):
        taken(loaded, cut, tmp_path / "out", "csv")
    assert not (tmp_path / "out").exists()


def test_of_events_the_usual_columns_are_taken_unless_told_otherwise(loaded, tmp_path):
    taken(loaded, Cut("event"), tmp_path / "usual.parquet", "parquet")
    taken(loaded, Cut("event", columns=ALL), tmp_path / "all.parquet", "parquet")
    taken(loaded, Cut("event", columns=("course", "day")), tmp_path / "two.parquet", "parquet")
    assert tuple(pq.read_schema(tmp_path / "usual.parquet").names) == USUAL
    assert set(USUAL) < set(pq.read_schema(tmp_path / "all.parquet").names)
    assert pq.read_table(tmp_path / "two.parquet")["course"].to_pylist().count(COURSE) == 3


def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(loaded, tmp_path):
    taken(loaded, Cut("response", columns=("answer",)), tmp_path / "out.csv", "csv")
    assert (tmp_path / "out.csv").read_text() == "answer\n'=1+1\n"


def test_a_course_that_looks_like_sql_is_a_value(loaded, tmp_path):
    assert taken(loaded, Cut("event", course="' OR 1=1 --"), tmp_path / "out.csv", "csv") == 0
