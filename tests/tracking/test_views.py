"""DuckDB over a store: a view for each table, and the names that the tables had before."""

import json

import pytest

from completion_aggregator.tracking import old_names, tables, views
from tests.tracking.builders import COURSE, LOG, line, load, put

VIDEO = json.dumps({"id": "v" * 32, "code": "html5", "currentTime": 3.5})
PROBLEM = {
    "problem_id": f"block-v1:{COURSE[10:]}+type@problem+block@p1",
    "success": "correct",
    "grade": 1,
    "max_grade": 2,
    "attempts": 3,
    "answers": {"p1_2_1": "42"},
    "correct_map": {"p1_2_1": {"correctness": "correct", "npoints": None, "msg": "", "hint": ""}},
    "state": {"seed": 7, "done": True, "student_answers": {"p1_2_1": "41"}},
}


def log_of(*each: bytes) -> bytes:
    return b"".join(one + b"\n" for one in each)


def asked(store, query, *, private=False):
    with views.connected(store, private=private) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def loaded(store, tmp_path):
    first = line(0, name="play_video", event=VIDEO)
    problem = line(1, name="problem_check", event_source="server", event=PROBLEM)
    load(store, put(tmp_path / LOG, log_of(first, problem, line(2), first)))
    return store


@pytest.mark.parametrize("table", [*tables.OPEN, *tables.PRIVATE], ids=lambda table: table.name)
def test_every_table_is_there_before_anything_is_loaded_and_has_its_columns(store, table):
    schema = "private." if table.is_private else ""
    with views.connected(store, private=True) as connection:
        found = connection.execute(f'SELECT * FROM {schema}"{table.name}"')
        names = [each[0] for each in found.description]
        assert found.fetchall() == []
    expected = [column.name for column in table.columns]
    if table is tables.EVENT:
        expected = [*expected[:-2], "day", "copies", "load", "extra"]
    assert names == expected


def test_an_event_that_was_met_again_says_how_often(loaded):
    assert asked(loaded, "SELECT name, copies FROM event ORDER BY time") == [
        ("play_video", 1),
        ("problem_check", 0),
        ("page_close", 0),
    ]


def test_the_ledger_can_be_asked_too(loaded):
    found = asked(loaded, "SELECT s.name, s.events, s.copies, l.lines FROM source s JOIN load l USING (load)")
    assert found == [(LOG, 3, 1, 4)]


def test_a_name_with_quotes_in_it_is_a_name(store, tmp_path):
    load(store, put(tmp_path / 'it\'s "quoted".log', log_of(line())))
    assert asked(store, "SELECT name FROM source") == [('it\'s "quoted".log',)]


def test_private_tables_are_there_for_those_who_ask_for_them_and_it_is_written_down(loaded):
    with views.connected(loaded) as connection, pytest.raises(Exception, match="private"):
        connection.execute("SELECT * FROM private.event_private")
    assert not (loaded.private_folder / "access.log").exists()
    assert asked(loaded, "SELECT DISTINCT username FROM private.event_private", private=True) == [("alice",)]
    assert (loaded.private_folder / "access.log").read_text().endswith(" sql\n")


def test_the_old_names_answer_old_questions(loaded):
    query = (
        "SELECT event_type, quarter, course_id, video_current_time, success, attempts FROM EdxTrackEvent ORDER BY time"
    )
    assert asked(loaded, query) == [
        ("play_video", "winter2024", COURSE, 3.5, None, None),
        ("problem_check", "winter2024", COURSE, None, "correct", 3),
        ("page_close", "winter2024", COURSE, None, None, None),
    ]
    assert sorted(asked(loaded, "SELECT problem_id, answer FROM Answer")) == [
        (PROBLEM["problem_id"], "41"),
        (PROBLEM["problem_id"], "42"),
    ]
    assert asked(loaded, "SELECT answer_identifier, correctness FROM CorrectMap") == [("p1_2_1", "correct")]
    assert asked(loaded, "SELECT seed, done, student_answer FROM State") == [(7, True, "41")]
    assert asked(loaded, "SELECT load_file FROM LoadInfo") == [(LOG,)]
    assert asked(loaded, "SELECT DISTINCT event_ip FROM private.EventIp", private=True) == [("192.0.2.7",)]


def test_views_of_refreshed_tables_are_there_once_they_are(store):
    without = list(old_names.statements(has=()))
    assert [sql for sql in old_names.statements(has={"block"}) if sql not in without] == [
        "CREATE OR REPLACE VIEW EdxProblem AS SELECT *, block AS problem_id FROM block WHERE type = 'problem'",
        "CREATE OR REPLACE VIEW EdxVideo AS SELECT *, block AS video_id FROM block WHERE type = 'video'",
    ]


def test_a_file_of_views_can_be_opened_by_others(loaded, tmp_path):
    import duckdb

    with views.connected(loaded, path=tmp_path / "views.duckdb"):
        pass
    with duckdb.connect(str(tmp_path / "views.duckdb"), read_only=True) as other:
        assert other.execute("SELECT count(*) FROM event").fetchall() == [(3,)]
