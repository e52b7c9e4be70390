from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from completion_aggregator.tracking import optimise, tables
from completion_aggregator.tracking.errors import StoreInUse
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.replacement import settle
from completion_aggregator.tracking.store import Store
from tests.tracking.builders import (
    LOG,
    at,
    contents_of,
    event,
    events,
    line,
    lines,
    load,
    put,
    rows,
    strays,
    totals,
    waiting,
    without,
)
from tests.tracking.crashes import POINTS, killed_at


def run(store, **given):
    return optimise.optimise(store, lambda _: None, **given)


def parts_of(store, name="event"):
    with store.reading() as ledger:
        return ledger.parts(name)


def nameless(second, username="alice", **given):
    """An event that names its learner by name alone."""
    return line(second, username=username, context=event()["context"] | {"user_id": ""}, **given)


def video(second, **given):
    payload = '{"id": "9d251397874d4f0b947b606c81ccf83c", "currentTime": 1.5, "code": "html5"}'
    return nameless(second, name="play_video", event=payload, **given)


def person_of(store, user_id=None, username=""):
    found = Pseudonyms(store.keys).person(user_id, username)
    assert found is not None
    return found


def hold_of(store):
    """All that the store holds, in the columns of people by who they are, whatever their pseudonym."""
    return contents_of(store), totals(store)


def small_loads(store, folder, generated_log):
    """Load every third line of each day, then the others: three loads that are each of all days."""
    for number in range(3):
        some = [b"".join(path.read_bytes().splitlines(keepends=True)[number::3]) for path in generated_log.paths]
        paths = [
            put(folder / str(number) / path.name, content)
            for path, content in zip(generated_log.paths, some, strict=True)
        ]
        load(store, *paths)


def test_a_day_of_many_loads_becomes_one_part_of_each_table(store, tmp_path, generated_log):
    small_loads(store, tmp_path, generated_log)
    before = hold_of(store)
    by_load = [(row["event_id"], row["load"]) for row in rows(store, "event")]
    done = run(store)
    assert hold_of(store) == before
    assert [(row["event_id"], row["load"]) for row in rows(store, "event")] == by_load
    for name in tables.TABLES:
        stored = parts_of(store, name)
        assert len({part.day for part in stored}) == len(stored)
    assert done.parts_before > done.parts_after > 0
    assert done.rows > len(by_load)
    assert waiting(store) == []


def test_parts_are_sorted_by_course_and_time(store, tmp_path):
    courses = [f"course-v1:O+{name}+R" for name in "CAB"] + [None]
    for number in range(4):
        content = b"".join(
            line(100 - second, context={"user_id": 7, "course_id": course}) + b"\n"
            for second, course in enumerate(courses * 3, start=number * 20)
        )
        load(store, put(tmp_path / f"{number}.log", content))
    run(store)
    [part] = parts_of(store)
    found = pq.ParquetFile(store.folder / part.path).read(["course", "time"]).to_pylist()
    assert len(found) == 48
    assert found == sorted(found, key=lambda row: (row["course"] is None, row["course"] or "", row["time"]))


def test_a_second_run_does_nothing(store, tmp_path, generated_log):
    small_loads(store, tmp_path, generated_log)
    run(store)
    before = [parts_of(store, name) for name in tables.TABLES]
    assert run(store) == optimise.Optimised()
    assert [parts_of(store, name) for name in tables.TABLES] == before


def test_copies_are_found_among_what_was_merged(store, tmp_path):
    load(store, put(tmp_path / "a.log", lines(20)))
    load(store, put(tmp_path / "b.log", lines(20, first=20)))
    run(store)
    summary = load(store, put(tmp_path / "c.log", line(99) + b"\n" + lines(40)))
    assert (summary.counts["events"], summary.counts["copies"]) == (1, 40)
    assert len(events(store)) == 41


def test_loads_after_it_have_greater_numbers_and_merged_parts_those_of_their_last(store, tmp_path):
    for number in range(3):
        load(store, put(tmp_path / f"{number}.log", lines(2, first=number * 2)))
    run(store)
    load(store, put(tmp_path / "later.log", lines(1, first=50)))
    with store.reading() as ledger:
        found = [(row["load"], row["rows"]) for row in ledger.rows("SELECT * FROM part WHERE name = 'event'")]
    assert sorted(found) == [(3, 6), (4, 1)]
    assert sorted(row["load"] for row in rows(store, "event")) == [1, 1, 2, 2, 3, 3, 4]


def test_a_large_day_is_in_several_parts_that_stay_as_they_are(store, tmp_path, monkeypatch):
    monkeypatch.setattr(optimise, "MOST_ROWS", 7)
    for number in range(4):
        load(store, put(tmp_path / f"{number}.log", lines(5, first=number * 5)))
    before = contents_of(store)
    run(store)
    assert sorted(part.rows for part in parts_of(store)) == [6, 7, 7]
    assert contents_of(store) == before
    assert run(store) == optimise.Optimised()


def test_only_the_last_days_are_merged_where_that_is_asked(store, tmp_path):
    for number in range(3):
        content = b"".join(line(time=at(number, days=day)) + b"\n" for day in (0, 1, 2))
        load(store, put(tmp_path / f"{number}.log", content))
    run(store, days=2)
    assert [part.rows for part in parts_of(store)] == [1, 1, 1, 3, 3]
    assert run(store, days=2).parts_before == 0


def test_a_plan_says_what_a_run_does_and_changes_nothing(store, tmp_path, generated_log):
    small_loads(store, tmp_path, generated_log)
    before = [parts_of(store, name) for name in tables.TABLES]
    planned = optimise.plan(store)
    assert [parts_of(store, name) for name in tables.TABLES] == before
    assert planned == run(store)


def test_whoever_was_known_by_name_alone_gets_the_person_of_the_number(store, tmp_path):
    load(
        store, put(tmp_path / "named.log", video(1) + b"\n" + nameless(2, "ALICE") + b"\n" + nameless(3, "bob") + b"\n")
    )
    load(store, put(tmp_path / "numbered.log", line(90, time=at(5, days=1)) + b"\n"))
    alone = {person_of(store, username="alice"), person_of(store, username="bob")}
    assert {row["person"].bytes for row in rows(store, "event")} == {*alone, person_of(store, 7)}
    before = without(rows(store, "event"), "person")
    done = run(store)
    assert (done.joined, done.ambiguous) == (1, 0)
    assert without(rows(store, "event"), "person") == before
    bob, alice = person_of(store, username="bob"), person_of(store, 7)
    assert sorted(row["person"].bytes for row in rows(store, "event")) == sorted([alice, alice, alice, bob])
    assert [row["person"].bytes for row in rows(store, "video")] == [alice]
    known = {(row["person"].bytes, row["user_id"], row["username"]) for row in rows(store, "person")}
    assert known == {(alice, 7, "alice"), (alice, 7, "ALICE"), (bob, None, "bob")}
    assert run(store) == optimise.Optimised()


def test_only_days_that_are_touched_are_written_anew(store, tmp_path):
    load(store, put(tmp_path / "named.log", nameless(1) + b"\n" + line(2, time=at(0, days=1)) + b"\n"))
    first, second = parts_of(store)
    run(store)
    changed, same = parts_of(store)
    assert (changed.path == first.path, same) == (False, second)


def test_a_name_of_several_persons_is_left_alone_and_counted(store, tmp_path):
    context = event()["context"]
    content = [line(1), line(2, context=context | {"user_id": 8}), nameless(3)]
    load(store, put(tmp_path / LOG, b"\n".join(content) + b"\n"))
    before = rows(store, "event")
    assert run(store) == optimise.Optimised(ambiguous=1)
    assert rows(store, "event") == before


def test_with_the_last_days_alone_earlier_ones_are_joined_later(store, tmp_path):
    content = [nameless(1), nameless(2, time=at(0, days=1)), line(3, time=at(1, days=1))]
    load(store, put(tmp_path / LOG, b"\n".join(content) + b"\n"))
    run(store, days=1)
    found = {row["time"].day: row["person"].bytes for row in rows(store, "event")}
    assert found == {1: person_of(store, username="alice"), 2: person_of(store, 7)}
    assert run(store, days=1).parts_before == 0
    run(store)
    assert {row["person"].bytes for row in rows(store, "event")} == {person_of(store, 7)}


def test_old_parts_can_be_read_for_an_hour(store, tmp_path):
    for number in range(2):
        load(store, put(tmp_path / f"{number}.log", lines(3, first=number * 3)))
    old = [store.folder / part.path for part in parts_of(store)]
    run(store)
    load(store, put(tmp_path / "later.log", lines(1, first=70)))
    assert [path.exists() for path in old] == [True, True]
    with store.writing() as ledger:
        settle(store, ledger, now=datetime.now(UTC) + timedelta(minutes=59))
        assert [path.exists() for path in old] == [True, True]
        assert settle(store, ledger, now=datetime.now(UTC) + timedelta(minutes=61)) == set()
    assert strays(store) == []
    assert len(events(store)) == 7


def test_two_at_once_are_refused(store):
    with store.writing(), pytest.raises(StoreInUse, match="is being written by process"):
        run(store)


def optimised(folder, private, keys):
    run(Store(folder, private, keys))


@pytest.mark.parametrize(("point", "nth"), [*((point, 1) for point in POINTS), ("ledger committed", 2)])
def test_killed_anywhere_nothing_is_lost_and_the_next_run_ends_it(store, tmp_path, point, nth):
    for number in range(2):
        content = b"".join(
            video(number, time=at(number, days=day)) + b"\n" + line(number, time=at(9, days=day)) + b"\n"
            for day in (0, 1)
        )
        load(store, put(tmp_path / f"{number}.log", content))
    before = [without(rows(store, name), "person") for name in ("event", "video", "event_private")]
    killed_at(point, nth, optimised, store.folder, store.private_folder, store.keys_path)
    assert [without(rows(store, name), "person") for name in ("event", "video", "event_private")] == before
    run(store)
    assert [without(rows(store, name), "person") for name in ("event", "video", "event_private")] == before
    assert {row["person"].bytes for name in ("event", "video") for row in rows(store, name)} == {person_of(store, 7)}
    assert [part.rows for part in parts_of(store)] == [3, 3]
    with store.writing() as ledger:
        settle(store, ledger, now=datetime.now(UTC) + timedelta(hours=2))
    assert (strays(store), waiting(store)) == ([], [])
