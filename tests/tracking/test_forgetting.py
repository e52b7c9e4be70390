import json
import re
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from completion_aggregator.tracking import optimise, tables
from completion_aggregator.tracking.errors import StoreInUse, TrackingError
from completion_aggregator.tracking.forgetting import Forgotten, forget
from completion_aggregator.tracking.identity import SeveralPersons
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.store import Store
from tests.tracking.builders import (
    LOG,
    at,
    contents_of,
    lines,
    load,
    new_store,
    put,
    rows,
    strays,
    totals,
    waiting,
)
from tests.tracking.crashes import POINTS, killed_at
from tests.tracking.remembered import (
    ANONYMOUS,
    CONTEXT,
    KEEPING,
    LINES,
    NAME,
    NUMBER,
    SHE,
    hers,
    log,
    others,
    person_of,
    refresh,
)


@pytest.fixture
def loaded(store, tmp_path):
    load(store, log(tmp_path), **KEEPING)
    return store


def said_in(store, word):
    """Where a word stands, in any file: its bytes, its cells, its name; told apart from longer words."""
    found = []
    meant = re.compile(rf"(?<![\w-]){word}(?![\w-])", re.IGNORECASE)
    for root in (store.folder, store.private_folder):
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            # Parquet and SQLite hide what they hold from whoever looks at bytes alone.
            texts = [str(path.relative_to(root)), path.read_bytes().decode("latin-1"), _cells(path)]
            found += [path.name for text in texts if meant.search(text)]
    return found


def _cells(path: Path) -> str:
    if path.suffix == ".parquet":
        return repr(pq.ParquetFile(path).read().to_pylist())
    if path.name == "ledger.sqlite":
        with sqlite3.connect(path) as db:
            dumped = "\n".join(db.iterdump())
        db.close()
        return dumped
    return ""


def holders(store, *persons):
    """Names of the open tables in which somebody stands."""
    found = []
    for name in tables.TABLES:
        for row in rows(store, name):
            values = [row[key].bytes for key in ("person", "scorer") if row.get(key)]
            found += [name] * bool(set(values) & set(persons))
    return sorted(set(found))


def test_her_events_stay_without_person_and_session_and_her_private_rows_go(loaded):
    refresh(loaded)
    before = {name: rows(loaded, name) for name in tables.TABLES}
    sums = totals(loaded)
    done = forget(loaded, SHE)
    assert (done.users, done.unseen, done.names, done.events, done.tables) == (2, 0, 1, 8, 5)
    of_events = {row["event_id"] for row in before["event_private"] if (row["username"] or "").lower() == NAME}
    of_events |= {
        row["event_id"] for row in before["event"] if row["person"] and row["person"].bytes == person_of(loaded, 7)
    }
    assert len(of_events) == 8

    def blank(row):
        theirs = row["event_id"] in of_events
        without = {key: None for key in ("person", "session") if key in row and theirs}
        scored = row.get("scorer") and row["scorer"].bytes == Pseudonyms(loaded.keys).keyed("edx-anonymous", ANONYMOUS)
        return row | without | ({"scorer": None} if scored else {})

    for table in tables.OPEN:
        assert rows(loaded, table.name) == sorted((blank(row) for row in before[table.name]), key=repr)
    kept = [row for row in before["event_private"] if row["event_id"] not in of_events]
    silent = [row | {"raw": None} if {NAME, ANONYMOUS} & set(re.split(r"[^\w-]+", row["raw"])) else row for row in kept]
    assert rows(loaded, "event_private") == sorted(silent, key=repr)
    assert [row["username"] for row in rows(loaded, "account")] == ["bob"]
    assert {row["username"] for row in rows(loaded, "person")} == {"bob", f"{NAME}_2"}
    assert {row["kind"] for row in before["text"] if row["event_id"] in of_events} >= {"body", "title"}
    assert rows(loaded, "text") == [row for row in before["text"] if row["event_id"] not in of_events]
    lines_left = sorted(row["line"] for row in rows(loaded, "quarantine"))
    assert lines_left == ["", '{"username": "bob", "event" broken']
    assert totals(loaded) == sums
    assert (said_in(loaded, NAME), said_in(loaded, ANONYMOUS)) == ([], [])
    assert (waiting(loaded), [each for each in strays(loaded) if "parquet" in each]) == (
        [],
        ["anonymous_id.parquet", "cohort_member.parquet", "post.parquet", "post_text.parquet", "user.parquet"],
    )


def test_tables_of_the_platform_are_written_anew(loaded):
    refresh(loaded)
    forget(loaded, [NUMBER])
    his = person_of(loaded, 9)

    def read(name, *columns, private=False):
        folder = loaded.private_folder / "tables" if private else loaded.tables_folder
        found = pq.ParquetFile(folder / f"{name}.parquet").read(list(columns)).to_pylist()
        return [tuple(each.bytes if hasattr(each, "bytes") else each for each in row.values()) for row in found]

    assert read("cohort_member", "person", "cohort_name") == [(None, "One"), (his, "One")]
    assert read("post", "person", "item") == [(None, "65"), (his, "66")]
    assert read("post_text", "item", private=True) == [("66",)]
    assert read("user", "person", "user_id", "username", private=True) == [(his, 9, "bob")]
    assert read("anonymous_id", "person", "user_id", private=True) == [(his, 9)]
    assert (loaded.private_folder / "tables" / "user.parquet").stat().st_mode & 0o777 == 0o600
    assert Store(loaded.folder, loaded.private_folder, loaded.keys_path).pseudonym(NUMBER, NAME) is None


def test_old_logs_and_new_ones_do_not_bring_her_back(loaded, tmp_path):
    forget(loaded, SHE)
    before = contents_of(loaded)
    again = load(loaded, log(tmp_path, "again.log", (others(90), *LINES)), **KEEPING)
    assert (again.counts["events"], again.counts["copies"]) == (1, 16)
    fresh = [
        hers(100),
        hers(101, context=CONTEXT | {"user_id": ""}),
        hers(102, username="other"),
        hers(103, username=NAME.upper()),
    ]
    broken = LINES[-2] + b" again"
    load(loaded, log(tmp_path, "fresh.log", (*fresh, LINES[14].replace(b"Mozilla", b"Opera"), broken)), **KEEPING)
    found = contents_of(loaded)
    assert len(found["event"]) == len(before["event"]) + 6
    assert found["account"] == before["account"]
    assert {row["line"] for row in rows(loaded, "quarantine")} == {"", '{"username": "bob", "event" broken'}
    assert (said_in(loaded, NAME), holders(loaded, person_of(loaded, 7), person_of(loaded, name=NAME))) == ([], [])


@pytest.mark.parametrize("workers", [1, 2])
def test_whoever_is_forgotten_first_is_loaded_as_if_forgotten_after(loaded, tmp_path, workers):
    refresh(loaded)
    forget(loaded, SHE)
    other = new_store(tmp_path, "other")
    refresh(other)
    forget(other, SHE)
    (tmp_path / "empty.log").write_bytes(b"")
    load(other, log(tmp_path), tmp_path / "empty.log", workers=workers, **KEEPING)
    assert contents_of(other) == contents_of(loaded)
    assert said_in(other, NAME) == []


def test_a_second_time_changes_nothing(loaded):
    forget(loaded, SHE)
    before = [rows(loaded, name) for name in tables.TABLES]
    with loaded.reading() as ledger:
        stored = [ledger.parts(name) for name in tables.TABLES]
        tombstones = ledger.tombstones()
    assert forget(loaded, SHE) == Forgotten(users=2, unseen=2, names=1)
    with loaded.reading() as ledger:
        assert [ledger.parts(name) for name in tables.TABLES] == stored
        assert ledger.tombstones() == tombstones
    assert [rows(loaded, name) for name in tables.TABLES] == before


def test_a_dry_run_says_what_there_is_to_do_and_does_nothing(loaded):
    refresh(loaded)
    before = [rows(loaded, name) for name in tables.TABLES]
    planned = forget(loaded, SHE, dry_run=True)
    assert [rows(loaded, name) for name in tables.TABLES] == before
    with loaded.reading() as ledger:
        assert ledger.tombstones() == frozenset()
    assert planned == forget(loaded, SHE)


def test_parts_that_only_wait_for_their_end_go_at_once(loaded, tmp_path):
    load(loaded, log(tmp_path, "more.log", [hers(50), others(51)]), **KEEPING)
    optimise.optimise(loaded, lambda _: None)
    assert said_in(loaded, NAME)
    forget(loaded, SHE)
    assert (said_in(loaded, NAME), strays(loaded)) == ([], [])


def test_only_days_on_which_she_was_seen_are_written_anew(store, tmp_path):
    load(store, log(tmp_path, some=[hers(1), others(2, time=at(0, days=1))]))
    with store.reading() as ledger:
        _, second = ledger.parts("event")
    forget(store, [NAME])
    with store.reading() as ledger:
        assert second in ledger.parts("event")


def test_copies_are_found_among_what_was_written_anew(loaded, tmp_path):
    forget(loaded, SHE)
    assert load(loaded, log(tmp_path, "b.log", LINES[:14])).counts["copies"] == 14


def test_names_in_other_writing_are_found_in_what_was_refused(store, tmp_path):
    name = "żółw"
    load(store, log(tmp_path, some=[hers(1, username=name), json.dumps({"username": name}).encode() + b"x"]))
    forget(store, [name])
    assert [row["line"] for row in rows(store, "quarantine")] == [""]
    assert said_in(store, name) == []
    load(store, log(tmp_path, "b.log", [json.dumps({"username": name}).encode() + b"y"]))
    assert [row["line"] for row in rows(store, "quarantine")] == ["", ""]


def test_a_name_with_several_numbers_needs_the_number(store, tmp_path):
    load(store, log(tmp_path, some=[hers(1), hers(2, context=CONTEXT | {"user_id": 8})]))
    with pytest.raises(SeveralPersons, match="id:7, id:8"):
        forget(store, [NAME])
    assert forget(store, [NUMBER]).shared == 1
    assert said_in(store, NAME)
    done = forget(store, [NUMBER, NAME])
    assert (done.shared, done.events, said_in(store, NAME)) == (0, 1, [])


def test_the_platform_knows_whose_name_it_is(store, tmp_path):
    load(store, log(tmp_path, some=[hers(1), hers(2, context=CONTEXT | {"user_id": 9}), others(3)]))
    refresh(store)
    done = forget(store, [NAME])
    assert (done.names, done.shared, done.events, said_in(store, NAME)) == (1, 0, 2, [])
    assert [row["person"] and row["person"].bytes for row in rows(store, "event")].count(person_of(store, 9)) == 1


def test_digits_are_a_number_or_a_name(store, tmp_path):
    load(store, log(tmp_path, some=[hers(1), hers(2, username="7", context=CONTEXT | {"user_id": 30})]))
    with pytest.raises(SeveralPersons, match="say id:7 or name:7"):
        forget(store, ["7"])
    assert (forget(store, ["id:7"]).events, forget(store, ["name:7"]).events) == (1, 1)


@pytest.mark.parametrize("given", ["", " ", "id:x", "name:", "mail:q@example.org"])
def test_what_is_neither_is_refused(store, given):
    with pytest.raises(TrackingError, match="neither a user's number nor a name"):
        forget(store, [given])


def test_another_one_who_writes_is_waited_for(store):
    with store.writing(), pytest.raises(StoreInUse):
        forget(store, [NAME])


def forgotten(folder, private, keys):
    forget(Store(folder, private, keys), SHE)


def held(store):
    folders = (store.tables_folder, store.private_folder / "tables")
    refreshed = {path.name: pq.ParquetFile(path).read().to_pylist() for at in folders for path in at.glob("*.parquet")}
    with store.reading() as ledger:
        return contents_of(store), refreshed, ledger.tombstones()


@pytest.mark.parametrize(("point", "nth"), [*((each, 1) for each in POINTS), ("table renamed", 2), ("part deleted", 3)])
def test_killed_anywhere_it_is_done_by_the_next_run(loaded, tmp_path, point, nth):
    refresh(loaded)
    before = held(loaded)
    other = new_store(tmp_path, "other")
    load(other, tmp_path / LOG, **KEEPING)
    refresh(other)
    forget(other, SHE)
    killed_at(point, nth, forgotten, loaded.folder, loaded.private_folder, loaded.keys_path)
    if point in POINTS[:2]:
        assert held(loaded) == before
    forget(loaded, SHE)
    assert held(loaded) == held(other)
    assert (said_in(loaded, NAME), waiting(loaded), strays(loaded)) == ([], [], strays(other))


@pytest.mark.parametrize("point", ["ledger committed", "table renamed", "part deleted"])
def test_killed_after_the_ledger_the_next_load_does_the_rest(loaded, tmp_path, point):
    refresh(loaded)
    killed_at(point, 1, forgotten, loaded.folder, loaded.private_folder, loaded.keys_path)
    load(loaded, put(tmp_path / "b.log", lines(1, first=70)))
    assert (said_in(loaded, NAME), waiting(loaded)) == ([], [])
