from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.columns import NO_DAY, Segment, array_of, columns_of
from completion_aggregator.tracking.schemas import schema_of
from tests.tracking.builders import COURSE, at, line
from tests.tracking.test_transform import PSEUDONYMS, transform

LOG_DAY = date(2024, 2, 1)
DAY = 19754


def segment(source=1, log_day=LOG_DAY, first_row=0, first_refused=0):
    return Segment(source, log_day, log_day is not None, first_row, first_refused)


def columns(*data, segments=None, load=9):
    loop = transform(keeps_text=True)
    loop.take(0, data)
    return columns_of(loop, segments or [segment()], load)


def pieces(found, *copies):
    flags = np.zeros(len(found.days), bool)
    flags[list(copies)] = True
    return {(name, day): rows.to_pylist() for name, day, rows in found.pieces(flags)}


def told(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


def test_every_table_has_the_columns_that_are_promised():
    for table in tables.TABLES.values():
        assert schema_of(table).names == [column.name for column in table.columns]


def test_rows_go_to_the_table_and_day_they_belong_to():
    plain = line(1, name="edx.new")
    video = line(3, name="play_video", event={"id": "x" * 32, "currentTime": 5, "code": "html5"})
    late = line(5, name="stop_video", event={"id": "x" * 32, "currentTime": 7}, time=at(days=-2))
    found = pieces(columns(plain, video, late))
    assert {key: len(rows) for key, rows in found.items()} == {
        ("event", DAY - 2): 1,
        ("event", DAY): 2,
        ("event_private", DAY - 2): 1,
        ("event_private", DAY): 2,
        ("video", DAY - 2): 1,
        ("video", DAY): 1,
    }
    of_event = {row["event_id"]: row for row in found["event", DAY]}
    (row,) = found["video", DAY]
    shared = ("time", "person", "course")
    assert [row[name] for name in shared] == [of_event[row["event_id"]][name] for name in shared]
    assert (row["action"], row["position_s"]) == ("play", 5.0)


FORM = {
    "username": "bob",
    "email": "bob@x.example",
    "name": "Bob B.",
    "country": "DE",
    "city": "Ulm",
    "goals": "to win",
}


def test_the_fields_of_an_account_stand_in_their_own_columns():
    """Its column ``course`` is one that all tables of events share, but stands elsewhere in it."""
    (row,) = pieces(columns(line(1, name="/create_account", event={"POST": FORM}, event_source="server")))[
        "account", DAY
    ]
    kept = {name: value for name, value in row.items() if value is not None and name not in {"event_id", "time"}}
    assert kept == FORM | {"course": COURSE}


def test_each_table_has_its_columns_in_the_order_of_its_schema():
    for table in (*tables.TYPED, tables.ACCOUNT, tables.TEXT):
        loop = transform()
        loop.take(0, [line(1, name="edx.new")])
        values = [f"value {n}" if column.kind.name in {"TEXT", "TERM"} else None for n, column in _own(table)]
        getattr(loop.rows, table.name).append((0, *values))
        (row,) = pieces(columns_of(loop, [segment()], 1))[table.name, DAY]
        for number, column in _own(table):
            if column.kind.name in {"TEXT", "TERM"}:
                assert row[column.name] == f"value {number}", (table.name, column.name)


def _own(table):
    return [(n, c) for n, c in enumerate(table.columns) if c.name in table.own]


def test_copies_are_left_out_of_all_tables_and_noted():
    forum = {"id": "post", "body": "words", "commentable_id": "general"}
    created = line(2, name="edx.forum.thread.created", event=forum, event_source="server")
    plain = line(1, name="edx.new")
    found = columns(plain, created)
    whole, rest = pieces(found), pieces(found, 1)
    assert {name for name, _ in whole} == {"event", "event_private", "forum", "text"}
    assert {key: len(rows) for key, rows in rest.items()} == {
        ("event", DAY): 1,
        ("event_private", DAY): 1,
        ("copy", DAY): 1,
    }
    (copy,) = rest["copy", DAY]
    (event,) = [row for row in whole["event", DAY] if row["name"] == "edx.forum.thread.created"]
    assert copy == {
        "event_id": event["event_id"],
        "time": event["time"],
        "source": 1,
        "offset": len(plain) + 1,
        "load": 9,
    }


def test_people_are_those_of_events_that_are_no_copies():
    found = columns(line(1), line(2, username="ALICE"), line(3), line(4, context={"user_id": 8}, username="bob"))
    rows = found.people(np.array([False, False, False, True])).to_pylist()
    person = PSEUDONYMS.person(7, "")
    times = [
        (row["username"], row["time_min"].second, row["time_max"].second) for row in rows if row["person"] == person
    ]
    assert (len(rows), sorted(times)) == (2, [("ALICE", 2, 2), ("alice", 1, 3)])


def test_events_of_several_files_know_theirs():
    loop = transform()
    loop.take(0, [line(1), b"no event"])
    loop.begin_file()
    loop.take(0, [line(2), b"trash", line(2, time="never")])
    segments = [segment(), segment(2, date(2024, 3, 1), 1, 1)]
    found = columns_of(loop, segments, 1)
    assert found.source_of_row.tolist() == [1, 2, 2]
    assert found.days.tolist() == [DAY, DAY, DAY + 29]
    assert found.own_days.tolist() == [DAY, DAY, NO_DAY]
    assert told(pieces(found)["quarantine", DAY], "source", "line") == [(1, "no event")]
    assert told(pieces(found)["quarantine", DAY + 29], "source", "line") == [(2, "trash")]


@pytest.mark.parametrize(
    ("days", "quality"), [(-401, "outside"), (-400, "ok"), (0, "ok"), (2, "ok"), (3, "outside"), (400, "outside")]
)
def test_times_are_held_against_the_date_of_the_log(days, quality):
    (row,) = [
        row for rows in pieces(columns(line(time=at(days=days)))).values() for row in rows if "time_quality" in row
    ]
    assert row["time_quality"] == quality
    assert row["time"].isoformat(timespec="microseconds") == (at(days=days) if quality == "ok" else at())


def test_a_log_without_date_and_time_is_of_the_first_day_there_is():
    found = columns(line(time="never"), b"trash", segments=[segment(log_day=None)])
    assert (found.days.tolist(), {day for _, day in pieces(found)}) == ([0], {0})


def test_values_that_do_not_fit_become_null():
    assert array_of(["a", 5, None, "\ud83d", {"a": 1}], pa.string()).to_pylist() == ["a", None, None, None, None]
    assert array_of([1, 2**70, "x"], pa.int64()).to_pylist() == [1, None, None]
    assert array_of([1.5, "x", 2], pa.float64()).to_pylist() == [1.5, None, 2.0]


def test_a_batch_of_nothing_is_columns_of_nothing():
    found = columns()
    assert (pieces(found), found.people(np.zeros(0, bool)).num_rows) == ({}, 0)
