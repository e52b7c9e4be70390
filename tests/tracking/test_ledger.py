import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest

from completion_aggregator.tracking import ledger as ledgers
from completion_aggregator.tracking.errors import DamagedStore
from completion_aggregator.tracking.ledger import Delivery, Known, Ledger, Part, Progress, Run, commit

NO_IDS = np.empty((0, 2), np.uint64)
RUN = Run("run", "1.0", "key")
BEGAN = datetime(2024, 2, 1, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    with closing(Ledger(tmp_path / "ledger.sqlite", create=True)) as ledger:
        yield ledger


def progress(source=1, length=10, digest=b"ten", **given):
    counts = Counter(lines=3, events=2, copies=1)
    found = Progress(
        source, f"/logs/{source}", f"{source}.log", "stamp", b"head", length, digest, counts=counts, bytes=10
    )
    for name, value in given.items():
        setattr(found, name, value)
    return found


def delivery(load, *sources, **given):
    return Delivery(load, "aside", BEGAN, sources=list(sources), **given)


def test_a_load_is_committed_with_all_that_belongs_to_it(ledger):
    part = Part("event/day=2024-02-01/1.parquet", "event", 19754, 2, 100)
    fields = Counter({("edx.new", "a", "integer"): 2})
    commit(ledger, RUN, delivery(1, progress(), parts=[part], fields=fields), np.array([[2**63 + 1, 5]], np.uint64))
    assert (ledger.next_load(), ledger.next_source()) == (2, 2)
    assert ledger.parts("event") == [part]
    assert ledger.at_place("/logs/1") == ("stamp", 1)
    assert ledger.with_head(b"head") == [Known(1, 10, b"ten")]
    assert ledger.misdated().tolist() == [[2**63 + 1, 5]]
    assert [tuple(row)[:3] for row in ledger.rows("SELECT name, path, count FROM field")] == [("edx.new", "a", 2)]


def test_a_content_that_grew_is_added_to(ledger):
    commit(ledger, RUN, delivery(1, progress(first="2", last="3", damage="gzip: cut")), NO_IDS)
    commit(ledger, RUN, delivery(2, progress(length=20, digest=b"twenty", first="1", last="2")), NO_IDS)
    (row,) = ledger.rows("SELECT length, digest, damage, load, bytes, lines, first, last FROM source")
    assert tuple(row) == (20, b"twenty", "", 2, 20, 6, "1", "3")
    assert ledger.with_head(b"head") == [Known(1, 10, b"ten"), Known(1, 20, b"twenty")]


def test_an_older_state_of_a_content_does_not_make_it_shorter(ledger):
    commit(ledger, RUN, delivery(1, progress()), NO_IDS)
    commit(ledger, RUN, delivery(2, progress(length=20, digest=b"twenty")), NO_IDS)
    commit(ledger, RUN, delivery(3, progress(length=15, digest=b"fifteen")), NO_IDS)
    assert tuple(ledger.rows("SELECT length, digest FROM source")[0]) == (20, b"twenty")
    assert [each.length for each in ledger.with_head(b"head")] == [10, 15, 20]


def test_contents_may_end_alike(ledger):
    commit(ledger, RUN, delivery(1, progress(1), progress(2)), NO_IDS)
    assert len(ledger.with_head(b"head")) == 2


def test_a_load_that_fails_leaves_nothing(ledger):
    part = Part("event/day=2024-02-01/1.parquet", "event", 19754, 2, 100)
    with pytest.raises(sqlite3.IntegrityError):
        commit(ledger, RUN, delivery(1, progress(), parts=[part, part]), NO_IDS)
    tables = ("load", "source", "prefix", "place", "part", "misdated", "field")
    assert [ledger.rows(f"SELECT count(*) FROM {name}")[0][0] for name in tables] == [0] * len(tables)


def test_fields_without_end_are_counted_only_if_they_are_known(ledger, monkeypatch):
    monkeypatch.setattr(ledgers, "_MOST_FIELDS", 2)
    for load in (1, 2):
        fields = Counter({("a", "x", "string"): 1, ("b", "x", "string"): 1, (f"c{load}", "x", "string"): 1})
        commit(ledger, RUN, delivery(load, progress(), fields=fields), NO_IDS)
    rows = ledger.rows("SELECT name, count FROM field ORDER BY name")
    assert [tuple(row) for row in rows] == [("a", 2), ("b", 2)]


def test_days_of_parts_are_from_the_first_to_the_last(ledger):
    parts = [Part(f"event/{day}", "event", day, 1, 1) for day in (3, 1, 2)]
    commit(ledger, RUN, delivery(1, parts=[*parts, Part("video/1", "video", 1, 1, 1)]), NO_IDS)
    assert [part.day for part in ledger.parts("event")] == [1, 2, 3]
    assert [part.day for part in ledger.parts("event", (2, 3))] == [2, 3]


def test_a_packed_file_is_known_by_its_bytes(ledger):
    commit(ledger, RUN, delivery(1, progress(packed=b"hash")), NO_IDS)
    assert (ledger.packed_alike(b"hash"), ledger.packed_alike(b"other")) == (1, None)
    ledger.saw("/elsewhere", "stamp", b"other", 1)
    assert ledger.packed_alike(b"other") == 1


def test_rows_are_told_as_json(ledger):
    commit(ledger, RUN, delivery(1, progress()), NO_IDS)
    assert ledgers.as_json(ledger.rows("SELECT head, name FROM source")) == [{"head": "68656164", "name": "1.log"}]


def test_a_ledger_is_made_once(tmp_path, ledger):
    with pytest.raises(DamagedStore, match="has a ledger already"):
        Ledger(tmp_path / "ledger.sqlite", create=True)


def test_a_ledger_that_is_missing_is_told(tmp_path):
    with pytest.raises(DamagedStore, match="is missing"):
        Ledger(tmp_path / "none.sqlite")


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"x" * 200])
def test_a_file_that_is_no_ledger_is_told(tmp_path, content):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(DamagedStore, match="is no ledger"):
        Ledger(path)


def test_a_folder_is_no_ledger(tmp_path):
    with pytest.raises(DamagedStore, match="is no ledger"):
        Ledger(tmp_path)


@pytest.mark.parametrize(("version", "words"), [(0, "is no ledger"), (ledgers.VERSION + 1, "knows none above")])
def test_a_ledger_of_another_version_is_told(tmp_path, ledger, version, words):
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    with pytest.raises(DamagedStore, match=words):
        Ledger(tmp_path / "ledger.sqlite")


def test_a_ledger_that_is_locked_or_cannot_be_written_is_told(tmp_path, ledger):
    ledger.rows("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DamagedStore, match=r"ledger\.sqlite.*locked"):
            commit(ledger, RUN, delivery(1), NO_IDS)
        with pytest.raises(DamagedStore, match=r"ledger\.sqlite.*locked"):
            ledger.saw("/x", "stamp", None, 0)
