import io
import signal
import subprocess
import sys
from collections import Counter

import pytest
from clickhouse_connect.driver.exceptions import OperationalError

from completion_aggregator.tracking import clerk, tables
from completion_aggregator.tracking.clickhouse import blocks, connection, pending, storing
from completion_aggregator.tracking.clickhouse.connection import Connection, connected
from completion_aggregator.tracking.commands import tree
from completion_aggregator.tracking.destination import TARGET, Handover
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.ledger import Ledger
from tests.conftest import REPOSITORY
from tests.tracking import builders
from tests.tracking.builders import LOG, in_small_loads, line, lines, new_store, put, totals, waiting
from tests.tracking.clickhouse.engine import Engine, in_clickhouse, in_folders, load

#: Loads in a process of its own that is killed when it comes to a point. Arguments: store, target, point, times, file.
KILLED = """
import os, signal, sys
from pathlib import Path
from completion_aggregator.tracking import clerk, contents, reading
from completion_aggregator.tracking.clickhouse.target import target_of
from completion_aggregator.tracking.store import Store
from tests.tracking.clickhouse.engine import load

folder, target, point, times, path = sys.argv[1:]
left = int(times)

def reached(name):
    global left
    left -= name == point
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

clerk.reached = reached
reading.LOAD_BYTES, reading.BATCH_EVENTS, contents._PACKED_BLOCK = 4096, 5, 1024
root = Path(folder)
store = Store(root, root.with_name(f"{root.name}-private"), root.with_name(f"{root.name}-keys.json"))
load(store, target_of(target), Path(path))
"""


class Killed(BaseException):
    """Stands for the end of the process: nobody may catch it."""


def without_loads(found):
    """The rows without the number of the load that brought them, and people in all loads together."""
    result = {}
    for name, rows in found.items():
        at = [
            place for place, column in enumerate(tables.TABLES[name].columns) if column.name not in {"load", "source"}
        ]
        result[name] = sorted((tuple(row[place] for place in at) for row in rows), key=repr)
    result["person"] = sorted({row[:3] for row in result["person"]}, key=repr)
    result["copy"] = sorted(Counter(row[0] for row in result["copy"]).items())
    return result


@pytest.fixture
def expected(tmp_path):
    """Return what the same files come to in the folders of a store."""

    def loaded(*groups):
        store = new_store(tmp_path, "expected")
        for group in groups:
            builders.load(store, *group)
        return in_folders(store), totals(store)

    return loaded


def test_all_tables_are_there_the_private_ones_apart(engine, target):
    for _ in range(2):
        connected(target, "").create()
    for database, group, beside in (
        (target.database, tables.OPEN, ["_field", "_load", "_source"]),
        (target.private_database, tables.PRIVATE, []),
    ):
        found = engine.query(
            f"SELECT name FROM system.tables WHERE database = '{database}' AND engine LIKE '%MergeTree'"
        )
        assert sorted(name for (name,) in found) == sorted([*(table.name for table in group), *beside])


def test_a_log_becomes_the_same_rows_as_in_folders_and_is_loaded_once(
    engine, target, store, *, expected, generated_log, tmp_path, monkeypatch
):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 1000)
    summary = load(store, target, *generated_log.paths)
    again = tmp_path / "again.log"
    again.write_bytes(generated_log.paths[0].read_bytes())
    assert load(store, target, again, *generated_log.paths).counts["lines"] == 0
    rows, counts = expected(generated_log.paths)
    assert in_clickhouse(engine, target) == rows
    assert totals(store) == counts
    assert summary.counts["events"] == len(rows["event"])
    assert {name for name, found in rows.items() if not found} <= {"account", "text", "assessment", "assessment_part"}
    assert waiting(store) == []
    assert not list(store.folder.rglob("*.parquet"))


def test_two_processes_load_the_same(engine, target, store, expected, generated_log):
    load(store, target, *generated_log.paths, workers=2)
    rows, counts = expected(generated_log.paths)
    found = in_clickhouse(engine, target)
    assert without_loads(found)["event"] == without_loads(rows)["event"]
    # Which of two equal lines in two files is the copy depends on who comes first.
    assert [len(found[name]) for name in ("event", "copy")] == [len(rows[name]) for name in ("event", "copy")]
    assert totals(store) == counts


def test_copies_are_found_among_what_earlier_runs_stored(engine, target, store, expected, tmp_path):
    late = line(5, time="1999-01-01T00:00:00+00:00")
    first = put(tmp_path / LOG, lines(20) + late)
    second = put(tmp_path / "b" / LOG, late + b"\n" + lines(20, first=10) + late)
    load(store, target, first)
    load(store, target, second)
    rows, counts = expected([first], [second])
    assert in_clickhouse(engine, target) == rows
    assert totals(store) == counts
    assert (counts["events"], counts["copies"]) == (31, 12)


@pytest.mark.parametrize("sent", [0, 5, 200])
def test_a_load_that_ended_on_its_way_is_sent_again_as_it_was(
    engine, target, store, *, expected, generated_log, monkeypatch, sent
):
    calls = []

    def insert(self, table, rows, token):
        calls.append((token, rows))
        if len(calls) == sent + 1:
            raise Killed
        original(self, table, rows, token)

    original = Connection.insert
    monkeypatch.setattr(Connection, "insert", insert)
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 500)
    monkeypatch.setattr(clerk, "reached", lambda point: kill() if point == "parts moved" else None)
    path = generated_log.paths[0]
    with pytest.raises(Killed):
        load(store, target, path)
    before, calls[:] = list(calls), []
    sent = 10**9
    monkeypatch.setattr(clerk, "reached", lambda point: None)
    assert load(store, target, path).known == 1
    assert len({token for token, _ in calls}) == len(calls)
    again = dict(calls)
    assert all(again[token].equals(rows) for token, rows in before)
    rows, counts = expected([path])
    assert in_clickhouse(engine, target) == rows
    assert totals(store) == counts
    assert waiting(store) == []


def kill():
    raise Killed


@pytest.mark.parametrize(("point", "times"), [("parts written", 2), ("parts moved", 2), ("ledger committed", 1)])
def test_a_process_that_is_killed_leaves_nothing_twice(engine, target, store, *, expected, tmp_path, point, times):
    path = put(tmp_path / LOG, lines(40) + lines(5))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, store.folder, str(target), point, str(times), path], cwd=REPOSITORY, check=False
    )
    assert done.returncode == -signal.SIGKILL
    load(store, target, path)
    rows, counts = expected([path])
    assert without_loads(in_clickhouse(engine, target)) == without_loads(rows)
    assert totals(store) == counts
    assert (waiting(store), counts["events"], counts["copies"]) == ([], 40, 5)


def test_a_load_whose_parts_are_lost_is_read_again(engine, target, store, *, tmp_path, monkeypatch):
    path = put(tmp_path / LOG, lines(4))
    monkeypatch.setattr(clerk, "reached", lambda point: kill() if point == "parts moved" else None)
    with pytest.raises(Killed):
        load(store, target, path)
    monkeypatch.undo()
    for each in waiting(store):
        for part in each.rglob("*.parquet"):
            part.unlink()
    said: list[str] = []
    # Other tests of the same process set up logging as a service does.
    monkeypatch.setattr(storing.log, "warning", lambda text, *values: said.append(text % values))
    load(store, target, path)
    assert [each.partition(":")[0] for each in said] == ["load 1 cannot be finished, its parts are gone"]
    assert len(engine.rows(target, "event")) == 4
    assert totals(store)["lines"] == 4


def test_a_load_on_its_way_is_noted_to_the_last_detail(engine, target, store, tmp_path, monkeypatch):
    late = line(5, time="1999-01-01T00:00:00+00:00", event={"unknown": {"field": 1}})
    path = put(tmp_path / LOG, lines(3) + late + b"\nno event\n")
    noted: list[tuple[Handover, Handover]] = []

    def note(ledger: Ledger, handover: Handover) -> None:
        original(ledger, handover)
        found = pending.noted(ledger)
        assert found
        assert found.delivery == handover.delivery
        noted.append((handover, found))

    original = pending.note
    monkeypatch.setattr(pending, "note", note)
    load(store, target, path)
    ((handover, found),) = noted
    assert (found.run, found.misdated.tolist()) == (handover.run, handover.misdated.tolist())
    delivery = found.delivery
    assert (len(found.misdated), type(delivery.fields), type(delivery.sources[0].counts)) == (1, Counter, Counter)
    assert all((delivery.fields, delivery.parts))


def test_a_connection_that_is_lost_ends_the_run_with_a_sentence(
    shared_data, tmp_path, store, *, expected, monkeypatch, capfd
):
    engine = Engine(shared_data, tmp_path / "data")
    try:
        target = engine.target()
        path = put(tmp_path / LOG, lines(40))
        in_small_loads(monkeypatch)
        monkeypatch.setattr(connection, "PAUSES", (0.01,))
        points = iter(range(100))
        monkeypatch.setattr(
            clerk, "reached", lambda point: engine.stop() if point == "parts written" and next(points) == 1 else None
        )
        status, out, err = command("load", path, "--workers", "1", "--store", store.folder, "--to", target)
        assert (status, out) == (1, "")
        assert err.startswith(f"Error: {target} cannot be reached, or the connection broke: ")
        assert err.count("\n") == 1
        assert capfd.readouterr().out == ""
        with store.reading() as ledger:
            assert ledger.next_load() == 2
        monkeypatch.setattr(clerk, "reached", lambda point: None)
        engine.start()
        status, out, err = command("load", path, "--workers", "1", "--store", store.folder)
        assert status == 0, err
        rows, counts = expected([path])
        assert without_loads(in_clickhouse(engine, target)) == without_loads(rows)
        assert totals(store)["events"] == counts["events"] == 40
    finally:
        engine.stop()


def test_a_connection_that_breaks_for_a_moment_is_tried_again(target, store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "PAUSES", (0.01,))
    link = connected(target, "")
    original, fails = link._client.insert_arrow, iter([True, False] * 50)

    def insert_arrow(*values):
        found = original(*values)
        if next(fails):
            raise OperationalError("the answer never came")
        return found

    monkeypatch.setattr(link._client, "insert_arrow", insert_arrow)
    monkeypatch.setattr("tests.tracking.clickhouse.engine.connected", lambda *_: link)
    load(store, target, put(tmp_path / LOG, lines(4)))
    monkeypatch.undo()
    assert len(engine.rows(target, "event")) == 4


def command(*arguments):
    out, err = io.StringIO(), io.StringIO()
    return tree.run("tracking", [str(each) for each in arguments], out, err), out.getvalue(), err.getvalue()


def test_a_store_begun_there_is_loaded_there_and_nowhere_else(engine, target, tmp_path):
    folder, path = tmp_path / "begun", put(tmp_path / LOG, lines(4))
    status, out, _ = command("store", "init", "--store", folder, "--to", target)
    assert (status, out.startswith(f"Made {folder}, and its tables in {target}. ")) == (0, True)
    assert command("load", path, "--store", folder)[0] == 0
    assert len(engine.rows(target, "event")) == 4
    other = engine.target()
    assert command("load", path, "--store", folder, "--to", other) == (
        1,
        "",
        f"Error: the tables of this store are in {target}, not in {other}: name the one, or another store\n",
    )
    assert command("sql", "SELECT 1", "--store", folder) == (
        1,
        "",
        f"Error: the tables of this store are in {target}: ask there, or name another store\n",
    )
    status, out, _ = command("status", "--store", folder)
    assert (status, out.splitlines()[-1]) == (0, f"the tables are in {target}")
    # These would find nothing, and say so, or that they had changed it.
    for words in (["store", "optimise"], ["gaps"], ["extract", "--course", "*", "-o", tmp_path / "out.csv"]):
        status, out, err = command(*words, "--store", folder)
        assert (status, out) == (1, "")
        assert err == f"Error: the tables of this store are in {target}: ask there, or name another store\n"


def test_a_database_with_another_store_in_it_is_refused(target, store, tmp_path):
    load(store, target, put(tmp_path / LOG, lines(4)))
    said = f"Error: {target} holds the events of another store: name another database\n"
    assert command("store", "init", "--store", tmp_path / "other", "--to", target) == (1, "", said)
    assert not (tmp_path / "other").exists()
    with pytest.raises(TrackingError, match="holds the events of another store"):
        load(new_store(tmp_path, "third"), target, put(tmp_path / LOG, lines(4)))


def test_a_store_with_tables_in_its_folders_stays_so(target, store, tmp_path):
    builders.load(store, put(tmp_path / LOG, lines(4)))
    with pytest.raises(TrackingError, match="has tables in its folders"):
        load(store, target, put(tmp_path / "b.log", lines(4)))
    with store.reading() as ledger:
        assert ledger.note(TARGET) is None


def test_a_store_whose_tables_are_there_takes_no_load_into_its_folders(target, store, tmp_path):
    load(store, target, put(tmp_path / LOG, lines(4)))
    with pytest.raises(TrackingError, match=f"are in {target}: ask there"):
        builders.load(store, put(tmp_path / "b.log", lines(5)))


@pytest.mark.parametrize("url", ["clickhouse://loader:hidden@host/learning", "learning"])
def test_an_address_that_is_none_makes_no_store(tmp_path, url):
    status, out, err = command("store", "init", "--store", tmp_path / "none", "--to", url)
    assert (status, out, err.count("\n"), "hidden" in err) == (1, "", 1, False)
    assert not (tmp_path / "none").exists()
