import io
import json
import sqlite3

import pytest

from completion_aggregator.tracking.commands import tree
from completion_aggregator.tracking.ledger import VERSION
from tests.tracking.builders import LOG, events, lines, load, new_store, put


@pytest.fixture(autouse=True)
def only_this(monkeypatch):
    monkeypatch.setattr(tree, "COMMANDS", ("store",))


def run(*words):
    out, err = io.StringIO(), io.StringIO()
    status = tree.run("tracking", ["store", *map(str, words)], out, err)
    return status, out.getvalue(), err.getvalue()


def older(store, version=1):
    """Make the ledger one of the first version, as it was written then."""
    with sqlite3.connect(store.folder / "ledger.sqlite") as db:
        for name in ("tombstone", "superseded", "renaming"):
            db.execute(f"DROP TABLE {name}")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


def version_of(store):
    with sqlite3.connect(store.folder / "ledger.sqlite") as db:
        found = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return found


def test_a_new_store_is_of_the_newest_version(tmp_path):
    folder = tmp_path / "new"
    assert run("init", "--store", folder)[0] == 0
    assert run("migrate", "--store", folder) == (0, f"{folder} is of version {VERSION} already.\n", "")


def test_an_older_store_is_refused_until_it_is_migrated(store, tmp_path):
    path = put(tmp_path / LOG, lines(3))
    load(store, path)
    older(store)
    status, out, err = run("optimise", "--store", store.folder)
    assert (status, out) == (1, "")
    assert "run `tracking store migrate`" in err
    assert run("migrate", "--json", "--store", store.folder) == (0, json.dumps({"had": 1, "has": VERSION}) + "\n", "")
    assert load(store, path).known == 1
    assert len(events(store)) == 3


def test_a_newer_store_is_refused_and_left_as_it_is(store):
    older(store, VERSION + 1)
    for action in ("migrate", "optimise"):
        status, out, err = run(action, "--store", store.folder)
        assert (status, out) == (1, "")
        assert f"is of version {VERSION + 1}, and this program knows none above {VERSION}" in err
    assert version_of(store) == VERSION + 1


def test_what_is_no_ledger_is_not_migrated(store):
    ledger = store.folder / "ledger.sqlite"
    ledger.unlink()
    for content in (b"", b"no database at all, but longer than a header would have to be " * 20):
        ledger.write_bytes(content)
        status, _, err = run("migrate", "--store", store.folder)
        assert status == 1
        assert "is no ledger" in err
        assert ledger.read_bytes() == content


def test_a_store_that_is_being_written_is_not_touched(store):
    with store.writing():
        for action in ("migrate", "optimise"):
            status, _, err = run(action, "--store", store.folder)
            assert status == 1
            assert "is being written by process" in err


def test_a_store_is_destroyed_by_its_name_only(tmp_path):
    store = new_store(tmp_path, "doomed")
    assert run("destroy", "--store", store.folder)[0] == 1
    assert store.exists
    assert run("destroy", "--store", store.folder, "--yes-delete", "doomed")[0] == 0
    assert (store.folder.exists(), store.private_folder.exists(), store.keys_path.exists()) == (False, False, True)
