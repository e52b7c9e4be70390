import json

import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.client import Client

from completion_aggregator.tracking import clerk, people
from completion_aggregator.tracking.clickhouse import erasing, schema
from completion_aggregator.tracking.forgetting import Forgotten, forget, rows
from completion_aggregator.tracking.store import Store
from tests.tracking import builders
from tests.tracking.builders import LOG, lines, new_store, put, strays, waiting
from tests.tracking.clickhouse.engine import in_clickhouse, in_folders, load
from tests.tracking.clickhouse.test_storing import command
from tests.tracking.crashes import killed_at
from tests.tracking.remembered import ANONYMOUS, KEEPING, LINES, NAME, SHE, hers, log, others, refresh


@pytest.fixture
def loaded(store, target, tmp_path):
    """A store with its tables in ClickHouse."""
    load(store, target, log(tmp_path), **KEEPING)
    refresh(store)
    return store


@pytest.fixture
def expected(tmp_path):
    """The same logs in folders, where she was forgotten."""
    other = new_store(tmp_path, "expected")
    builders.load(other, log(tmp_path), **KEEPING)
    refresh(other)
    forget(other, SHE)
    return other


def of_platform(store):
    folders = (store.tables_folder, store.private_folder / "tables")
    return {path.name: pq.ParquetFile(path).read().to_pylist() for at in folders for path in at.glob("*.parquet")}


def held(engine, target, store):
    """All that says who somebody is, or was."""
    with store.reading() as ledger:
        assert erasing.noted(ledger) == []
        tombstones = ledger.tombstones()
    assert engine.query(f"SELECT * FROM {schema.words(target)}") == []
    return in_clickhouse(engine, target), of_platform(store), tombstones


def held_in_folders(store):
    with store.reading() as ledger:
        return in_folders(store), of_platform(store), ledger.tombstones()


def test_the_same_is_left_as_in_folders(engine, target, loaded, expected):
    done = forget(loaded, SHE)
    assert held(engine, target, loaded) == held_in_folders(expected)
    assert (done.users, done.names, done.events, done.tables, done.parts) == (2, 1, 8, 5, 0)
    private = {"quarantine": 1, "event_private": 11, "person": 5, "account": 1, "text": 3}
    assert done.rows == private | {"event": 8, "video": 1, "navigation": 5, "assessment": 3, "forum": 1}
    assert waiting(loaded) == []
    # What is only hidden is on the disk still.
    sql = f"SELECT sum(has_lightweight_delete) FROM system.parts WHERE database LIKE '{target.database}%' AND active"
    assert engine.query(sql) == [(0,)]


def test_rows_that_were_sent_twice_are_forgotten_twice(engine, target, loaded, expected):
    places = {"event": f"`{target.database}`.event", "event_private": f"`{target.private_database}`.event_private"}
    for place in places.values():
        engine.query(f"INSERT INTO {place} SELECT * FROM {place}")
    forget(loaded, SHE)
    for name in places:
        assert set(engine.rows(target, name, final=False)) == set(in_folders(expected)[name])


def test_a_dry_run_says_what_there_is_to_do_and_does_nothing(engine, target, loaded):
    before = held(engine, target, loaded)
    planned = forget(loaded, SHE, dry_run=True)
    assert held(engine, target, loaded) == before
    assert planned == forget(loaded, SHE)


def test_a_second_time_changes_nothing(engine, target, loaded):
    forget(loaded, SHE)
    before = held(engine, target, loaded)
    assert forget(loaded, SHE) == Forgotten(users=2, unseen=2, names=1)
    assert held(engine, target, loaded) == before


def test_old_logs_and_new_ones_do_not_bring_her_back(engine, target, loaded, expected, tmp_path):
    forget(loaded, SHE)
    paths = [log(tmp_path, "again.log", (others(90), *LINES)), log(tmp_path, "fresh.log", [hers(100)])]
    for path in paths:
        load(loaded, target, path, **KEEPING)
        builders.load(expected, path, **KEEPING)
    assert held(engine, target, loaded) == held_in_folders(expected)


def test_many_events_and_names_take_several_statements(engine, target, loaded, expected, monkeypatch):
    monkeypatch.setattr(rows, "KEYS_AT_ONCE", 2)
    monkeypatch.setattr(erasing, "KEYS_AT_ONCE", 3)
    monkeypatch.setattr(rows, "_WORDS_AT_ONCE", 1)
    forget(loaded, SHE)
    assert held(engine, target, loaded) == held_in_folders(expected)


def test_events_of_several_months_are_forgotten_in_each(engine, target, store, tmp_path):
    some = [hers(1), hers(2, time="2024-05-01T10:00:00+00:00"), others(3), others(4, time="2024-05-01T10:00:00+00:00")]
    load(store, target, log(tmp_path, "long.log", some))
    forget(store, SHE)
    persons = engine.query(f"SELECT toMonth(time), countIf(person IS NULL), count() FROM `{target.database}`.event"
                           " GROUP BY 1 ORDER BY 1")  # fmt: skip
    assert persons == [(2, 1, 2), (5, 1, 2)]


def test_no_name_stands_in_a_query(loaded, monkeypatch):
    said = []
    for each in ("command", "query", "query_arrow_stream"):
        original = getattr(Client, each)

        def asked(self, sql, *values, original=original, **given):
            said.append(sql)
            return original(self, sql, *values, **given)

        monkeypatch.setattr(Client, each, asked)
    forget(loaded, SHE)
    monkeypatch.undo()
    assert len(said) > 20
    assert [sql for sql in said if NAME in sql.lower() or ANONYMOUS in sql] == []


def forgotten(folder, private, keys):
    forget(Store(folder, private, keys), SHE)


@pytest.mark.parametrize("point", ["parts written", "parts moved"])
def test_killed_before_the_ledger_nothing_has_happened(engine, target, loaded, expected, point):
    before = held(engine, target, loaded)
    killed_at(point, 1, forgotten, loaded.folder, loaded.private_folder, loaded.keys_path)
    assert held(engine, target, loaded) == before
    forget(loaded, SHE)
    assert held(engine, target, loaded) == held_in_folders(expected)
    assert (waiting(loaded), strays(loaded)) == ([], strays(expected))


@pytest.mark.parametrize(
    ("point", "nth", "then"),
    [
        ("ledger committed", 1, "ask"),
        ("table renamed", 2, "load"),
        ("rows erased", 1, "load"),
        ("rows erased", 6, "forget"),
        ("rows erased", 9, "ask"),
    ],
)
def test_killed_after_the_ledger_the_next_command_does_the_rest(
    engine, target, loaded, expected, *, tmp_path, point, nth, then
):
    killed_at(point, nth, forgotten, loaded.folder, loaded.private_folder, loaded.keys_path)
    with loaded.reading() as ledger:
        assert erasing.noted(ledger)
        text = ledger.note(erasing.NOTE)
        assert NAME not in text
    if then == "load":
        path = put(tmp_path / "b.log", lines(1, first=70))
        load(loaded, target, path)
        builders.load(expected, path)
    elif then == "forget":
        forget(loaded, ["bob"])
        forget(expected, ["bob"])
    else:
        with people.directory(loaded, "test") as directory:
            assert [each.username for each in directory.everybody() if each.username == NAME] == []
    assert held(engine, target, loaded) == held_in_folders(expected)
    assert waiting(loaded) == []


class Killed(BaseException):
    """Stands for the end of the process: nobody may catch it."""


def test_a_load_on_its_way_arrives_before_anybody_is_forgotten(
    engine, target, store, expected, *, tmp_path, monkeypatch
):
    def kill(point):
        if point == "parts moved":
            raise Killed

    monkeypatch.setattr(clerk, "reached", kill)
    with pytest.raises(Killed):
        load(store, target, log(tmp_path), **KEEPING)
    monkeypatch.undo()
    refresh(store)
    assert forget(store, SHE).events == 8
    assert held(engine, target, store) == held_in_folders(expected)


def test_people_are_told_as_from_folders(target, loaded, tmp_path):
    other = new_store(tmp_path, "other")
    builders.load(other, log(tmp_path), **KEEPING)
    refresh(other)
    for words in (
        ["list", "--course", "*"],
        ["list", "--course", "course-v1:Demo[UV]+*", "--json"],
        ["list", "--course", "none"],
        ["translate", NAME, "9", "nobody"],
    ):
        found, wanted = (command("people", *words, "--store", each.folder) for each in (loaded, other))
        assert found == wanted
        assert found[2] == ""
    maps = []
    for each in (loaded, other):
        target = tmp_path / f"{each.folder.name}.csv"
        assert command("people", "map", "--course", "course-v1:*", "-o", target, "--store", each.folder)[0] == 0
        maps.append(target.read_text())
    assert maps[0] == maps[1]
    assert NAME in maps[0]


def test_forgetting_by_command_tells_rows(loaded):
    said = "Would forget 2 users with 1 names: 8 events; 39 rows of 10 tables in ClickHouse go, or lose what says"
    assert command("people", "forget", *SHE, "--dry-run", "--store", loaded.folder)[1].startswith(said)
    status, out, _ = command("people", "forget", *SHE, "--yes", "--json", "--store", loaded.folder)
    assert (status, sum(json.loads(out)["rows"].values())) == (0, 39)


def test_who_has_several_months_is_found_by_days_alone(engine, target, store, tmp_path):
    load(store, target, put(tmp_path / LOG, lines(3)))
    assert forget(store, [NAME]) == Forgotten(users=1, unseen=1, names=1)
    assert len(engine.rows(target, "event")) == 3
