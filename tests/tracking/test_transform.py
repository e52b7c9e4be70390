import hashlib
import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from completion_aggregator.tracking import catalogue
from completion_aggregator.tracking.columns import Segment, columns_of
from completion_aggregator.tracking.countries import Countries
from completion_aggregator.tracking.payloads import payload_of
from completion_aggregator.tracking.pseudonyms import Keys, Pseudonyms
from completion_aggregator.tracking.times import utc_text
from completion_aggregator.tracking.transform import EVENT_ROW, Transform, is_event, time_of
from tests.tracking.builders import COURSE, at, event, line, rows_of

PSEUDONYMS = Pseudonyms(Keys(b"p" * 32, b"s" * 32, b"a" * 32))


def transform(**given):
    return Transform(PSEUDONYMS, Countries(None), **given)


def taken(*data, **given):
    """The rows of events, as dictionaries without what is NULL."""
    loop = transform(**given)
    loop.take(0, data)
    return [{name: value for name, value in row.items() if value is not None} for row in rows_of(loop)]


def test_an_event_becomes_a_row():
    data = line(1, event={"widget": 1}, event_source="server")
    assert taken(data, keeps_raw=True) == [
        {
            "offset": 0,
            "digest": hashlib.sha256(data).digest(),
            "time": at(1),
            "person": PSEUDONYMS.person(7, "alice"),
            "course": COURSE,
            "time_quality": "ok",
            "name": "page_close",
            "family": "navigation",
            "source": "server",
            "by_learner": True,
            "org": "DemoU",
            "session": PSEUDONYMS.session("5e55"),
            "agent": "Mozilla/5.0",
            "host": "courses.example.org",
            "path": "/event",
            "page": "https://courses.example.org/",
            "extra": '{"widget":1}',
            "user_id": 7,
            "known_as": "alice",
            "is_forgotten": False,
            "ip": "192.0.2.7",
            "username": "alice",
            "raw_session": "5e55",
            "raw": data.decode(),
        }
    ]


def test_a_raw_object_with_bytes_that_are_no_text_is_kept():
    (row,) = taken(line(1).replace(b"Mozilla", b"\xff"), keeps_raw=True)
    assert "\\xff/5.0" in row["raw"]


def test_the_envelope_of_event_tracking_is_an_event():
    context = {"user_id": 7, "username": "alice", "session": "5e55", "ip": "192.0.2.7", "agent": "Mozilla/5.0"}
    data = {"name": "page_close", "timestamp": at(1), "data": {"widget": 1}, "context": context | {"host": "h"}}
    (row,) = taken(json.dumps(data).encode())
    told = ("time", "username", "ip", "raw_session", "host", "extra")
    assert [row[name] for name in told] == [at(1), "alice", "192.0.2.7", "5e55", "h", '{"widget":1}']


def test_the_name_wins_over_the_type():
    assert taken(line(name="edx.video.played", event_type="play_video"))[0]["name"] == "edx.video.played"
    assert taken(line(name=None, event_type="play_video"))[0]["name"] == "play_video"


@pytest.mark.parametrize(
    ("context", "page"),
    [
        ({"course_id": COURSE}, None),
        ({"path": f"/courses/{COURSE}/courseware"}, None),
        ({"course_id": "", "path": "/event"}, f"https://x.example/courses/{COURSE}/info?a=1"),
    ],
)
def test_the_course_is_that_of_the_context_the_path_or_the_page(context, page):
    assert taken(line(context=context, page=page))[0]["course"] == COURSE


def test_requests_are_named_by_the_kind_of_their_address():
    (row,) = taken(line(name=f"/courses/{COURSE}/xblock/block-v1:x/handler/save"))
    assert (row["name"], row["family"], row["course"]) == ("/courses/*/xblock/*/handler/save", "url", COURSE)


@pytest.mark.parametrize(
    ("user_id", "found"),
    [(7, 7), ("7", 7), (7.0, 7), ("", None), (None, None), (-1, None), (2**70, None), ("x", None), ("٣", None)],
)
def test_who_it_was_is_told_by_number_else_by_name(user_id, found):
    (row,) = taken(line(context={"user_id": user_id}))
    assert (row.get("user_id"), row["person"]) == (found, PSEUDONYMS.person(found, "alice"))


def test_an_event_of_nobody_has_no_person():
    (row,) = taken(line(context={"user_id": None}, username=""))
    assert {"person", "user_id", "username"}.isdisjoint(row)


@pytest.mark.parametrize(
    "written",
    ["2024-02-01T12:00:00+00:00", "2024-02-01T12:00:00", "2024-02-01T14:00:00.000000+02:00", "2024-02-01T12:00:00Z"],
)
def test_times_are_told_in_utc(written):
    assert taken(line(time=written))[0]["time"] == "2024-02-01T12:00:00.000000+00:00"


@pytest.mark.parametrize("written", ["", "never", "0001-01-01T00:00:00+05:00", "2024-02-30T00:00:00", "٢٠٢٤"])
def test_what_is_no_time_is_none(written):
    assert utc_text(written) is None


def test_a_cut_line_has_the_time_of_its_prefix_or_of_the_event_before():
    cut = line(5).partition(b', "time"')[0]
    prefix = b"2024-02-01 13:53:13,461 INFO - "
    found = [(row.get("time"), row["time_quality"]) for row in taken(cut, line(1), cut, prefix + cut)]
    assert found == [
        (None, "unreadable"),
        (at(1), "ok"),
        (at(1), "neighbour"),
        ("2024-02-01T13:53:13.461000+00:00", "prefix"),
    ]


def test_a_file_that_goes_on_has_the_neighbours_before():
    loop = transform()
    loop.begin_file([b"trash", line(3), line(1, time="never"), b"", line(9)[:-200]])
    loop.take(0, [line(5).partition(b', "time"')[0]])
    assert loop.events[0][EVENT_ROW.index("time")] == at(3)
    loop.begin_file()
    loop.take(0, [line(5).partition(b', "time"')[0]])
    assert loop.events[1][EVENT_ROW.index("time")] is None


def test_the_time_of_a_line_is_that_of_its_last_event():
    assert [time_of(each) for each in (line(1) + line(2), b"x" + line(3), b"trash", b"", line(time="never"))] == [
        at(2),
        at(3),
        None,
        None,
        None,
    ]


def test_offsets_are_those_of_the_objects():
    data = [b"  " + line(1), line(2) + line(3), b"", b"\xff" + line(4)]
    loop = transform()
    end = loop.take(100, data)
    stream = b"?" * 100 + b"\n".join(data) + b"\n"
    assert end == len(stream)
    for row in loop.events:
        assert hashlib.sha256(stream[row[0] :][: len(line(1))]).digest() == row[1]
    assert (loop.lines, loop.blank, loop.joined, loop.repaired) == (4, 1, 1, 3)


def test_what_is_refused_is_kept_in_part():
    loop = transform()
    loop.take(0, [b"\xff\0no event" + b"x" * 9000, b'{"a": 1}'])
    loop.refuse(9009, b"long", "longer than 64 MB", length=70_000_000)
    assert loop.quarantine == [
        (0, 9010, "no object", "\\xff\\0no event" + "x" * 4086),
        (9011, 8, "no name", '{"a": 1}'),
        (9009, 70_000_000, "longer than 64 MB", "long"),
    ]
    assert loop.lines == 3


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ('"{\\"a\\": 1}"', {"text": '{"a": 1}'}),
        ("input_1=2&input_2=", {"form": "input_1=2&input_2="}),
        ('"input_1=2"', {"form": "input_1=2"}),
        ('["a=b", "<p>"]', {"list": ["a=b", "<p>"]}),
        ([1], {"list": [1]}),
        ("[1", {"text": "[1"}),
        ('{"a": 1, "b": [2, 3], "c": "cu', {"a": 1, "b": [2, 3]}),
        ('{"a": "\\ud83d"}', {"a": "\ufffd"}),
        ("", {}),
        (None, {}),
        (5, {"value": 5}),
        ("text", {"text": "text"}),
    ],
)
def test_payloads_come_in_many_forms(written, found):
    assert payload_of(written) == found


def test_nan_in_a_payload_stays_out_of_extra():
    assert taken(line(event={"a": math.nan, "b": 1}, event_source="server"))[0]["extra"] == '{"a":null,"b":1}'


MAIL, ADDRESS = "quentin@x.example", "203.0.113.99"


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"agent": "App/1 ALICE"}, {"agent": "App/1 [name]"}),
        ({"agent": f"GitLab/1.0 ({MAIL})"}, {"agent": "GitLab/1.0 ([mail])"}),
        ({"agent": f"via {ADDRESS} Chrome/126.0.0.0"}, {"agent": "via [address] Chrome/126.0.0.0"}),
        ({"agent": "via 2001:db8:0:1::77ab"}, {"agent": "via [address]"}),
        ({"name": f"mail {MAIL}"}, {"name": "mail [mail]"}),
        ({"name": "Alice.clicked"}, {"name": "[name].clicked"}),
        ({"name": "edx.forum.alice"}, {"name": "edx.forum.[name]"}),
        ({"page": "https://x.example/notes/%41lice/1"}, {"page": "https://x.example/notes/*/1"}),
        ({"page": "https://x.example/notes/quentin%2540x.example"}, {"page": "https://x.example/notes/*"}),
        ({"time": MAIL}, {"extra": '{"time":{"length":17}}'}),
        ({"time": "Alice 2024"}, {"extra": '{"time":{"length":10}}'}),
        ({"time": "2024-02-30 12:00"}, {"extra": '{"time":"2024-02-30 12:00"}'}),
    ],
)
def test_whatever_names_somebody_stays_out_of_the_open_columns(fields, kept):
    (row,) = taken(line(1, **fields))
    assert {name: row[name] for name in kept} == kept


def test_a_name_that_many_send_is_without_that_of_one_only_for_her():
    rows = taken(line(1, name="edx.alice"), line(2, name="edx.alice", username="bob"), line(3, name="edx.alice"))
    assert [row["name"] for row in rows] == ["edx.[name]", "edx.alice", "edx.[name]"]


@pytest.mark.parametrize(
    ("name", "payload", "table", "kept"),
    [
        ("edx.cohort.created", {"cohort_name": f"Alice's, of {MAIL}"}, "grouping", "[name]'s, of [mail]"),
        ("edx.team.created", {"team_id": "team-alice"}, "grouping", "team-[name]"),
        ("edx.course.enrollment.activated", {"mode": MAIL}, "enrollment", "[mail]"),
        ("seek_video", {"type": "by Alice"}, "video", "by [name]"),
        ("problem_check", "input_alice_2_1=a", "response", "[name]_2_1"),
        (
            "openassessmentblock.peer_assess",
            {"parts": [{"criterion": {"name": "Alice"}, "option": {"name": MAIL}}]},
            "assessment_part",
            "[name]",
        ),
    ],
)
def test_terms_name_nobody(name, payload, table, kept):
    loop = transform()
    sent = payload if isinstance(payload, str) else json.dumps(payload)
    loop.take(0, [line(1, name=name, event=sent)])
    (row,) = getattr(loop.rows, table)
    assert kept in row
    assert MAIL not in row


def test_a_whole_line_is_an_event_and_no_part_of_one_is():
    assert is_event(line(1))
    assert not any(is_event(line(1)[:cut]) for cut in range(len(line(1))))


def test_fields_that_no_column_holds_are_counted_by_name_path_and_type():
    loop = transform()
    loop.take(0, [line(n, name="edx.new", event={"widget": {"a": [n]}}, event_source="server") for n in range(3)])
    assert dict(loop.fields) == {("edx.new", "widget.a[]", "integer"): 3}


def test_fields_do_not_tell_who_it_was():
    loop = transform()
    loop.take(0, [line(1, name="edx.new", event={"scores": {"alice": 5}}, event_source="server")])
    assert dict(loop.fields) == {("edx.new", "scores.*", "integer"): 1}


@pytest.mark.parametrize("depth", range(960, 1000, 3))
def test_what_is_nested_too_deep_is_refused_and_leaves_no_rows(depth):
    loop = transform()
    deep = b'{"name": "problem_check", "event": {"answers": {"a_2_1": "x", "b_2_1": %s}}}' % nested(depth)
    loop.take(0, [deep, b"x" + deep, line(1, name="play_video", event={"currentTime": 1})])
    assert [reason for _, _, reason, _ in loop.quarantine] in (["nested too deep"] * 2, ["cut before its name"] * 2, [])
    of_events = {row[0] for row in (*loop.rows.attempt, *loop.rows.response)}
    assert of_events == set(range(2 - len(loop.quarantine)))
    assert [row[0] for row in loop.rows.video] == [len(loop.events) - 1]


# Whatever stands in a line: every line is an event, blank or refused, and becomes columns.

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**80), max_value=2**80)
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(
        ["alice", at(1), "input_x_2_1=a", '{"a": [1, "b"]}', "block-v1:a+b+c+type@video+block@d", "/u/alice"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["POST", "answers", "id", "parts", "state"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
NAMES = st.sampled_from([*sorted(catalogue.NAMES), "/u/alice", "/courses/x/xblock/y/handler/z", "edx.forum.x.y"])
PAYLOAD_KEYS = st.sampled_from(
    [
        "answers",
        "correct_map",
        "state",
        "old_state",
        "submission",
        "problem_id",
        "id",
        "code",
        "currentTime",
        "duration",
        "POST",
        "GET",
        "answer",
        "parts",
        "feedback",
        "rubric",
        "options_selected",
        "body",
        "title",
        "query",
        "response",
        "discussion",
        "added",
        "location",
        "grade",
        "max_grade",
        "student",
        "setting",
        "new",
        "old",
        "target_url",
        "current_url",
        "hint_text",
        "hints",
        "user_id",
        "cohort_name",
        "partition_id",
        "criterion",
        "form",
        "list",
        "text",
        "value",
    ]
)
PAYLOADS = st.dictionaries(PAYLOAD_KEYS, JSON, max_size=6)
FIELDS = st.sampled_from([*sorted(event()), "data", "timestamp", "context"])


@st.composite
def odd_lines(draw):
    found = event(
        draw(st.integers(0, 80_000)), name=draw(NAMES), event_source=draw(st.sampled_from(["browser", "server"]))
    )
    payload = draw(PAYLOADS)
    found["event"] = json.dumps(payload) if draw(st.booleans()) else payload
    found.update(draw(st.dictionaries(FIELDS, JSON, max_size=2)))
    data = json.dumps(found).encode()
    kind = draw(st.integers(0, 9))
    if kind == 0:
        data = data[: draw(st.integers(0, len(data)))]
    elif kind == 1:
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=5)).replace(b"\n", b"") + data[at:]
    elif kind == 2:
        data += data
    return data


def nested(depth):
    return b"[" * depth + b"]" * depth


@settings(max_examples=200)
@given(st.lists(odd_lines() | st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")), max_size=6))
@example([])
@example([b"", b" \r", b"\0"])
@example([b'{"name": "problem_check", "event": {"answers": {"a_2_1": ' + nested(950) + b"}}}"])
@example([b'{"name": "problem_check", "event": {"answers": {"a_2_1": ' + nested(450) + b"}}}"])
@example([b'{"name": "edx.x", "event": ' + nested(970) + b"}"])
@example([b'{"name": "edx.x", "context": {"module": {"usage_key": ' + nested(970) + b"}}}"])
@example([b'{"name": "edx.x", "context": {"module": {"usage_key": {"a": 1}}}}'])
@example([b'{"name": "x", "context": {"course_id": "\\u0000"}, "event": {"a": 1e400, "b": 1234567890123456789012}}'])
@example([b'{"name": "edx.x", "time": "9999-12-31T23:59:59.999999+00:00"}', b'{"name": "edx.x", "time": "0001-01-01"}'])
@example([b'{"name": "edx.x", "time": "2024-13-41T99:99:99.999999+00:00"}'] * 2)
def test_whatever_stands_in_lines_adds_up_and_becomes_columns(data):
    loop = transform(keeps_text=True, keeps_raw=True)
    end = loop.take(0, data)
    assert end == sum(len(each) + 1 for each in data)
    assert loop.lines - loop.blank + loop.joined == len(loop.events) + len(loop.quarantine)
    assert loop.fields is not None
    columns = columns_of(loop, [Segment(1, None, False, 0, 0)], 1)
    copies = columns.own_days != columns.own_days
    pieces = list(columns.pieces(copies))
    written = sum(rows.num_rows for name, _, rows in pieces if name == "event")
    assert written == len(loop.events)
    columns.people(copies)
