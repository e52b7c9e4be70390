import gc
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.tracking import api, optimise, windows
from completion_aggregator.tracking.api import Position
from completion_aggregator.tracking.store import Store
from tests.tracking.builders import COURSE, DAY, LOG, at, event, line, load, new_store, put, rows

OTHER = "course-v1:DemoU+C002+2024_T1"
HTML = "block-v1:DemoU+C001+2024_T1+type@html+block@"
POSITIONS = st.builds(
    Position, st.integers(0, 2**63 - 1), st.datetimes(timezones=st.just(UTC)), st.uuids(allow_nil=True)
)


def context(user_id=7, course=COURSE):
    return {"user_id": user_id, "course_id": course, "org_id": "DemoU", "path": "/event"}


def completed(second, name="one", *, value=1.0, user_id=7, username="alice", course=COURSE, **given):
    payload = {"user_id": user_id, "course_id": course, "block_id": HTML + name, "completion": value}
    fields = {"context": context(user_id, course), "username": username, "event_source": "server", **given}
    return line(second, name=api.COMPLETION_CHANGED, event=payload, **fields)


def played(second, course=COURSE, **given):
    payload = json.dumps({"id": "a" * 32, "currentTime": 3.5, "code": "x"})
    return line(second, name="play_video", event=payload, context=context(course=course), **given)


def answered(second):
    """A problem with three parts: three rows of one event."""
    problem = "block-v1:DemoU+C001+2024_T1+type@problem+block@p"
    inputs = [f"p_{number}_1" for number in (2, 3, 4)]
    payload = {
        "problem_id": problem,
        "attempts": 1,
        "success": "correct",
        "grade": 3,
        "max_grade": 3,
        "answers": {each: each for each in inputs},
        "correct_map": {each: {"correctness": "correct"} for each in inputs},
        "submission": {each: {"answer": each, "input_type": "stringresponse"} for each in inputs},
    }
    return line(second, name="problem_check", event=payload, event_source="server")


def log(*lines):
    return b"\n".join(lines) + b"\n"


def mixed(first, count):
    """Lines of all kinds, ten minutes apart: a load has several days."""
    kinds = (completed, played, answered, line)
    return log(*(kinds[number % 4](number * 600) for number in range(first, first + count)))


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Store:
    """Return a store of seven loads of 40 events each; they overlap in time."""
    folder = tmp_path_factory.mktemp("filled")
    store = new_store(folder)
    for number in range(7):
        load(store, put(folder / f"{LOG}-{number}", mixed(number * 20, 40)))
    return store


def read(store, **given):
    return [row for batch in api.events(store=store, **given) for row in batch.rows]


def ordered(found):
    return [(row.load, row.time, row.event_id) for row in found]


@given(POSITIONS)
def test_a_position_survives_as_text(position):
    assert Position.parse(str(position)) == position
    assert len(str(position)) < 100


@given(POSITIONS, POSITIONS)
def test_positions_are_ordered_by_load_time_and_event(one, other):
    assert (one < other) == ((one.load, one.time, one.event_id) < (other.load, other.time, other.event_id))
    assert Position.behind(one.load) >= one


@pytest.mark.parametrize("text", ["", "1", "1/2/3", "x/2024-02-01T00:00:00.000000+00:00/" + "0" * 32, "-1/a/b"])
def test_what_is_no_position_is_refused(text):
    with pytest.raises(api.InvalidPosition, match="is no position"):
        Position.parse(text)


def test_events_come_with_all_their_columns_and_in_order(store, tmp_path):
    load(store, put(tmp_path / LOG, log(played(5), line(2))))
    load(store, put(tmp_path / "late.log-20240201", log(line(1, username=None, context={}))))
    batches = list(api.events(store=store))
    assert [batch.position for batch in batches] == [Position.behind(2)]
    found = batches[0].rows
    assert [(row.load, row.time, row.name, row.course) for row in found] == [
        (1, DAY + timedelta(seconds=2), "page_close", COURSE),
        (1, DAY + timedelta(seconds=5), "play_video", COURSE),
        (2, DAY + timedelta(seconds=1), "page_close", None),
    ]
    stored = {row["event_id"]: row for row in rows(store, "event")}
    for row in found:
        columns = {**dict(zip(row._fields[:6], row[:6], strict=True)), **row.fields}
        assert columns == {name: value for name, value in stored[row.event_id].items() if name != "day"}
    assert found[-1].person is None
    assert batches[0].arrow.column_names == [*row._fields[:6], *row.fields]


def test_the_times_are_in_utc(filled):
    assert {row.time.utcoffset() for row in read(filled)} == {timedelta(0)}


def test_events_are_narrowed_to_a_course_names_families_and_times(store, tmp_path):
    load(
        store, put(tmp_path / LOG, log(*(played(second, course) for second in range(6) for course in (COURSE, OTHER))))
    )
    load(store, put(tmp_path / "b-20240201", log(line(3), completed(4))))

    def found(**given):
        return [(row.time - DAY).total_seconds() for row in read(store, **given)]

    assert found(course=OTHER) == [0, 1, 2, 3, 4, 5]
    assert found(course=COURSE, names=["page_close", api.COMPLETION_CHANGED]) == [3, 4]
    assert found(families=("video",), course=COURSE) == [0, 1, 2, 3, 4, 5]
    assert found(families=("video", "progress"), since=DAY + timedelta(seconds=4), course=COURSE) == [4, 5, 4]
    assert found(until=DAY + timedelta(seconds=1)) == [0, 0]
    assert found(since=DAY + timedelta(days=1)) == found(course="course-v1:A+B+C") == []


def test_a_typed_table_comes_with_its_columns(store, tmp_path):
    load(store, put(tmp_path / LOG, log(line(1), played(2))))
    (found,) = read(store, table="video")
    assert (found.load, found.name, found.course) == (1, "play_video", COURSE)
    assert {name: value for name, value in found.fields.items() if value is not None} == {
        "block": "block-v1:DemoU+C001+2024_T1+type@video+block@" + "a" * 32,
        "action": "play",
        "position_s": 3.5,
    }


def test_rows_of_one_event_stay_in_one_batch(store, tmp_path):
    load(store, put(tmp_path / LOG, log(*(answered(second) for second in range(4)))))
    batches = list(api.events(store=store, table="response", batch_size=2))
    assert [len(batch.rows) for batch in batches] == [3, 3, 3, 3]
    assert [[row.fields["part"] for row in batch.rows] for batch in batches] == [["p_2_1", "p_3_1", "p_4_1"]] * 4
    assert [len({row.event_id for row in batch.rows}) for batch in batches] == [1] * 4


@settings(max_examples=12)
@given(
    sizes=st.lists(st.integers(5, 80), min_size=1, max_size=8),
    taken=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    table=st.sampled_from(["event", "response", "progress", "video"]),
)
def test_whoever_goes_on_behind_a_batch_gets_what_one_call_gives(filled, sizes, taken, table):
    whole = read(filled, table=table)
    assert ordered(whole) == sorted(ordered(whole))
    found: list[Any] = []
    after: Position | None = None
    calls = 0
    while after is None or after < Position.behind(7):
        calls += 1
        given = {"table": table, "batch_size": sizes[calls % len(sizes)], "after": after and Position.parse(str(after))}
        for batch in islice(api.events(store=filled, **given), taken[calls % len(taken)]):
            found += batch.rows
            after = batch.position
    assert found == whole
    assert list(api.events(store=filled, table=table, after=after)) == []


def test_what_is_loaded_meanwhile_comes_with_the_next_call(store, tmp_path):
    load(store, put(tmp_path / "a-20240201", mixed(100, 30)))
    found: list[Any] = []
    after: Position | None = None
    stream = api.events(store=store, batch_size=7)
    for number in range(3):
        batch = next(stream)
        found += batch.rows
        after = batch.position
        load(store, put(tmp_path / f"b-{number}-20240201", mixed(number * 40, 30)))  # older events, newer loads
    for batch in stream:
        found += batch.rows
        after = batch.position
    assert len(found) == 30
    assert after == Position.behind(1)
    found += read(store, after=after, batch_size=11)
    assert found == read(store)
    assert len(found) == 30 + 90 - 10  # 100 to 109 are copies


def test_merged_parts_change_nothing(tmp_path):
    store = new_store(tmp_path)
    for number in range(6):
        load(store, put(tmp_path / f"{LOG}-{number}", mixed(number * 13, 40)))
    tables = ("event", "response", "progress")
    before = {table: read(store, table=table) for table in tables}
    position = next(api.events(store=store, batch_size=50)).position
    running = {table: api.events(store=store, table=table, batch_size=10) for table in tables}
    begun = {table: list(next(stream).rows) for table, stream in running.items()}
    assert optimise.optimise(store, lambda _: None).parts_before > 0
    assert {table: read(store, table=table) for table in tables} == before
    assert read(store, after=position) == before["event"][50:]
    for table, stream in running.items():
        assert begun[table] + [row for batch in stream for row in batch.rows] == before[table]
    load(store, put(tmp_path / "later-20240201", mixed(200, 10)))
    assert read(store)[: len(before["event"])] == before["event"]
    assert ordered(read(store)) == sorted(ordered(read(store)))


def test_parts_that_vanish_while_they_are_read_are_looked_up_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW", 30)
    store = new_store(tmp_path)
    for number in range(6):
        load(store, put(tmp_path / f"{LOG}-{number}", mixed(number * 13, 40)))
    whole = read(store)
    with store.reading() as ledger:
        old = [store.folder / part.path for part in ledger.parts("event")]
    stream = api.events(store=store, batch_size=5)
    found = list(next(stream).rows)
    optimise.optimise(store, lambda _: None)
    for path in old:
        path.unlink(missing_ok=True)
    found += [row for batch in stream for row in batch.rows]
    assert found == whole


@pytest.mark.parametrize("window", [1, 25, 100])
@pytest.mark.parametrize("merged", [False, True])
def test_the_size_of_a_window_changes_nothing(tmp_path, monkeypatch, window, merged):
    store = new_store(tmp_path)
    for number in range(5):
        load(store, put(tmp_path / f"{LOG}-{number}", mixed(number * 10, 30)))
    whole, responses = read(store), read(store, table="response")
    if merged:
        optimise.optimise(store, lambda _: None)
    monkeypatch.setattr(windows, "WINDOW", window)
    assert read(store, batch_size=4) == whole
    assert read(store, table="response", batch_size=4) == responses
    assert read(store, after=whole[55].position) == whole[56:]


def planned(store, days=(-(2**40), 2**40), after=None, table="event"):
    with store.reading() as ledger:
        return windows.windows(ledger, table, days, after)


def rows_in(found):
    return sum(part.rows for window in found for part in window.events)


def test_only_parts_of_the_loads_and_days_that_are_asked_for_are_read(filled):
    assert (len(planned(filled)), rows_in(planned(filled))) == (1, 160)
    assert rows_in(planned(filled, after=Position.behind(5))) == 40
    assert rows_in(planned(filled, after=Position.behind(7))) == 0
    day = (DAY.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days
    assert rows_in(planned(filled, days=(day, day))) == 144  # ten minutes apart
    (window,) = planned(filled, days=(day + 1, day + 1), after=Position.behind(1), table="response")
    assert sum(part.rows for part in window.typed) == len(
        [row for row in read(filled, table="response", after=Position.behind(1)) if (row.time - DAY).days == 1]
    )


def test_what_is_looked_through_in_vain_moves_the_position(filled):
    (batch,) = api.events(store=filled, course="course-v1:A+B+C")
    assert (batch.rows, batch.position) == ((), Position.behind(7))
    assert batch.arrow.schema == next(api.events(store=filled)).arrow.schema


def test_a_store_of_which_a_part_is_gone_is_damaged(store, tmp_path):
    load(store, put(tmp_path / LOG, mixed(0, 3)))
    with store.reading() as ledger:
        (store.folder / ledger.parts("event")[0].path).unlink()
    with pytest.raises(api.DamagedStore, match="cannot be read"):
        list(api.events(store=store))


def test_a_store_whose_tables_are_elsewhere_says_so(store):
    with store.writing() as ledger:
        ledger.set_note("target", "clickhouse://reader@clickhouse.example.org:8123/learning")
    for ask in (api.events, api.completions):
        with pytest.raises(api.TrackingError, match=r"clickhouse\.example\.org"):
            ask(store=store)


def test_an_empty_store_has_nothing(store):
    assert list(api.events(store=store)) == []
    assert list(api.completions(store=store)) == []
    assert api.latest_position(store) is None
    assert api.status(store) == api.Status(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, None, None, None)


def test_without_a_store_each_question_says_so(tmp_path):
    nowhere = api.store_in(tmp_path / "nowhere")
    questions = (api.events, api.completions)
    for ask in questions:
        with pytest.raises(api.NoStore, match="tracking store init"):
            ask(store=nowhere)
    for question in (api.status, api.latest_position):
        with pytest.raises(api.NoStore):
            question(nowhere)


def test_what_cannot_be_asked_is_refused_at_once(filled):
    with pytest.raises(api.InvalidRequest, match="no table 'quarantine'"):
        api.events(store=filled, table="quarantine")
    with pytest.raises(api.InvalidRequest, match="no offset"):
        api.events(store=filled, since=datetime(2024, 2, 1))  # noqa: DTZ001 (that is what is refused)
    with pytest.raises(api.InvalidRequest, match="1 row or more"):
        api.completions(store=filled, batch_size=0)
    with pytest.raises(api.InvalidPosition, match="behind load 7"):
        api.events(store=filled, after=Position.behind(8))


def test_the_status_counts_what_is_loaded(store, tmp_path):
    load(store, put(tmp_path / LOG, log(line(1), line(1), b"", b"nothing", line(2))))
    assert api.status(store) == api.Status(
        loads=1,
        sources=1,
        bytes=(tmp_path / LOG).stat().st_size,
        lines=5,
        blank=1,
        joined=0,
        events=2,
        copies=1,
        quarantined=1,
        repaired=0,
        earliest=DAY + timedelta(seconds=1),
        latest=DAY + timedelta(seconds=2),
        position=Position.behind(1),
    )
    assert api.latest_position(store) == Position.behind(1)


def test_completions_come_with_the_number_and_the_name_of_the_learner(store, tmp_path):
    load(
        store,
        put(
            tmp_path / LOG,
            log(
                completed(2, "two", value=0.5),
                completed(1, "one", user_id=8, username="bob"),
                completed(3, "three", user_id=None, username="carol"),
                completed(4, "four", user_id=None, username=""),
                completed(5, "five", value="much"),
                line(6, name="edx.done.toggled", event={"done": True}),
                line(7, username="alicia"),
            ),
        ),
    )
    (batch,) = api.completions(store=store)
    assert batch.position == Position.behind(1)
    assert [(*row[:5], (row.time - DAY).seconds) for row in batch.rows] == [
        (8, "bob", COURSE, HTML + "one", 1.0, 1),
        (7, "alicia", COURSE, HTML + "two", 0.5, 2),
        (None, "carol", COURSE, HTML + "three", 1.0, 3),
        (None, None, COURSE, HTML + "four", 1.0, 4),
        (7, "alicia", COURSE, HTML + "five", None, 5),
    ]


def test_completions_are_resumed_as_events_are(store, tmp_path):
    for number in range(3):
        lines = [completed(second, str(second), course=(COURSE, OTHER)[second % 2]) for second in range(20)]
        load(store, put(tmp_path / f"{number}-20240201", log(*(each for each in lines[number::3]))))
    whole = [row for batch in api.completions(store=store) for row in batch.rows]
    assert len(whole) == 20
    found: list[Any] = []
    after: Position | None = None
    while after != Position.behind(3):
        batch = next(api.completions(store=store, after=after, batch_size=3))
        found += batch.rows
        after = batch.position
    assert found == whole
    of_one = [row for batch in api.completions(store=store, course=OTHER) for row in batch.rows]
    assert of_one == [row for row in whole if row.course == OTHER]


def test_each_use_of_names_is_written_down_once(store, tmp_path):
    log_file = store.private_folder / "access.log"
    load(store, put(tmp_path / LOG, log(completed(1), completed(2))))
    list(api.events(store=store, table="progress"))
    assert not log_file.exists()
    list(api.completions(store=store, batch_size=1))
    (entry,) = log_file.read_text().splitlines()
    assert entry.endswith(" completions")


def test_a_load_is_told_from_that_of_another_store(store, tmp_path):
    other = new_store(tmp_path, "other")
    for each in (store, other):
        load(each, put(tmp_path / LOG, log(line(1))))
    ids = {api.load_id(Position.behind(1), each) for each in (store, other, store)}
    assert len(ids) == 2
    assert max(map(len, ids)) <= 50
    with pytest.raises(api.InvalidPosition, match="no load 2"):
        api.load_id(Position.behind(2), store)


def test_the_store_of_the_site_is_that_of_its_settings(tmp_path, settings):
    settings.HOME = tmp_path
    assert api.site_store() == api.store_in(tmp_path / "tracking")
    settings.COMPLETION_AGGREGATOR_TRACKING_STORE = str(tmp_path / "logs")
    assert api.site_store() == Store(tmp_path / "logs", tmp_path / "logs-private", tmp_path / "logs-keys.json")
    settings.COMPLETION_AGGREGATOR_TRACKING_KEYS = str(tmp_path / "keys")
    settings.COMPLETION_AGGREGATOR_TRACKING_PRIVATE_STORE = str(tmp_path / "private")
    assert api.site_store() == Store(tmp_path / "logs", tmp_path / "private", tmp_path / "keys")
    with pytest.raises(api.NoStore):
        api.events()


WITHOUT = """
import os
import sys

from django.conf import settings

settings.configure(COMPLETION_AGGREGATOR_TRACKING_STORE=os.environ["STORE"])
for name in ("duckdb", "pyarrow", "numpy", "msgspec", "isal", "fsspec"):
    sys.modules[name] = None
from completion_aggregator.tracking import api
for ask in (api.events, api.completions, api.status, api.latest_position, api.site_store, lambda: api.forget(7)):
    try:
        ask()
    except api.TrackingError as error:
        print(error)
"""


def test_without_the_extra_the_door_stands_and_says_what_to_install():
    assert len(without_the_extra()) == 6


def test_without_the_extra_a_site_without_a_store_is_told_that_it_has_none(tmp_path):
    there, other = tmp_path / "there", tmp_path / "other"
    (there / "event").mkdir(parents=True)
    other.mkdir()
    assert without_the_extra(there)[-1].endswith("pip install 'completion-aggregator[tracking]'")
    assert without_the_extra(other)[-1] == f"there is no store of tracking logs in {other}"


def without_the_extra(store="/"):
    """What each call says in a process that cannot import what the extra installs."""
    beside = {"DJANGO_SETTINGS_MODULE": "none", "STORE": str(store)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True, env=os.environ | beside
    )
    lines = done.stdout.splitlines()
    assert all(each.endswith("pip install 'completion-aggregator[tracking]'") for each in lines[:5])
    return lines


def test_a_call_that_is_left_in_the_middle_leaves_nothing_open(filled, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stream = api.events(store=filled, batch_size=1)
    next(stream)
    assert len(list(Path(tmp_path).iterdir())) == 1
    del stream
    gc.collect()
    assert list(Path(tmp_path).iterdir()) == []


def test_ids_are_uuids(filled):
    row = next(api.events(store=filled)).rows[0]
    assert isinstance(row.event_id, UUID)
    assert isinstance(row.person, UUID)
    assert row.position == Position(row.load, row.time, row.event_id)
    assert event(0)["time"] == at(0)


# Forgetting


def learner(second, user_id, username):
    return line(second, username=username, context=context(user_id))


@pytest.fixture
def with_alice(store, tmp_path):
    """Return a store with two events of alice, one of them without her number, and one of bob."""
    load(store, put(tmp_path / LOG, log(learner(1, 7, "alice"), learner(2, None, "alice"), learner(3, 9, "bob"))))
    return store


def named(store):
    return sorted(row["username"] for row in rows(store, "event_private"))


@pytest.mark.parametrize("given", [(7,), (None, ["alice"]), (7, ["alice", "retired__user_1"])])
def test_somebody_is_forgotten_by_number_or_names_for_good(with_alice, tmp_path, given):
    plan = api.forget(*given, dry_run=True, store=with_alice)
    assert (plan.events, plan.shared, plan.is_known) == (2, 0, True)
    assert named(with_alice) == ["alice", "alice", "bob"]
    assert api.forget(*given, store=with_alice) == plan
    assert named(with_alice) == ["bob"]
    load(with_alice, put(tmp_path / f"{LOG}-late", log(learner(4, 7, "alice"))))
    assert named(with_alice) == ["bob"]
    assert api.forget(*given, store=with_alice).events == 0


def test_that_somebody_is_forgotten_is_noted_without_names(with_alice):
    api.forget(7, ["alice"], dry_run=True, store=with_alice)
    api.forget(7, ["alice"], store=with_alice)
    lines = (with_alice.private_folder / "access.log").read_text().splitlines()
    assert [each.split(" ", 1)[1] for each in lines] == [
        "forget, to see what there is, by the door",
        "forget by the door",
    ]


def test_whom_the_store_never_saw_later_logs_do_not_name(with_alice, tmp_path):
    assert api.forget(70, ["carol"], store=with_alice) == api.Forgotten(0, 1, 0, 0, 0, is_known=False)
    load(with_alice, put(tmp_path / f"{LOG}-late", log(learner(4, 70, "carol"))))
    assert named(with_alice) == ["alice", "alice", "bob"]


def test_a_name_of_digits_is_no_number(with_alice):
    assert not api.forget(None, ["9"], store=with_alice).is_known
    assert named(with_alice) == ["alice", "alice", "bob"]


def test_nobody_is_forgotten_who_is_not_named(with_alice):
    with pytest.raises(api.InvalidRequest, match="by a number or a name"):
        api.forget(None, ["", " "], store=with_alice)


def test_a_name_of_several_is_the_callers_to_clear_up(store, tmp_path):
    load(store, put(tmp_path / LOG, log(learner(1, 7, "alice"), learner(2, 8, "alice"))))
    with pytest.raises(api.InvalidRequest, match="id:7, id:8"):
        api.forget(None, ["alice"], store=store)
    assert api.forget(8, store=store).events == 1


def test_who_cannot_forget_now_says_so(with_alice):
    with with_alice.writing(), pytest.raises(api.StoreInUse):
        api.forget(7, store=with_alice)
    assert named(with_alice) == ["alice", "alice", "bob"]


def test_a_site_without_a_store_has_nothing_to_forget(tmp_path, settings):
    settings.HOME = tmp_path
    with pytest.raises(api.NoStore, match=f"no store of tracking logs in {tmp_path / 'tracking'}"):
        api.forget(7)
