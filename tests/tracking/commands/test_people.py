import io
import json

import pytest

from completion_aggregator.tracking.commands import tree
from tests.tracking.builders import COURSE, LOG, event, line, load, put, rows

CONTEXT = event()["context"]


@pytest.fixture(autouse=True)
def only_this(monkeypatch):
    monkeypatch.setattr(tree, "COMMANDS", ("people",))


@pytest.fixture
def loaded(store, tmp_path):
    some = [
        line(1),
        line(2, username="bob", context=CONTEXT | {"user_id": 9}),
        line(3, username="b\x1bob", context=CONTEXT | {"user_id": 10}),
    ]
    load(store, put(tmp_path / LOG, b"\n".join(some) + b"\n"))
    return store


def run(store, *words):
    out, err = io.StringIO(), io.StringIO()
    status = tree.run("tracking", ["people", *map(str, words), "--store", store.folder.as_posix()], out, err)
    return status, out.getvalue(), err.getvalue()


def access(store):
    return [line.partition(" ")[2] for line in (store.private_folder / "access.log").read_text().splitlines()]


def person_of(store, name):
    return next(str(row["person"]) for row in rows(store, "person") if row["username"] == name)


def test_list_prints_names_and_nothing_that_terminals_run(loaded):
    assert run(loaded, "list", "--course", "course-v1:*") == (0, "alice\nb ob\nbob\n", "")
    assert run(loaded, "list", "--course", COURSE, "--json") == (0, '["alice", "b\\u001bob", "bob"]\n', "")
    assert access(loaded) == ['people list --course "course-v1:*"', f'people list --course "{COURSE}"']


def test_map_writes_a_file_once(loaded, tmp_path):
    target = tmp_path / "people.csv"
    status, out, err = run(loaded, "map", "-o", target, "--json")
    assert (status, json.loads(out), err) == (0, {"file": str(target), "rows": 3}, "")
    assert target.read_text().splitlines()[1] == f"alice,7,{person_of(loaded, 'alice')},"
    assert run(loaded, "map", "-o", target)[0] == 1
    assert access(loaded)[0] == f'people map -o "{target}"'


def test_translate_answers_what_is_known_and_says_what_is_not(loaded, monkeypatch):
    alice = person_of(loaded, "alice")
    assert run(loaded, "translate", "7", "nobody") == (0, f"7\talice\t7\t{alice}\t\nnobody\tunknown\n", "")
    monkeypatch.setattr("sys.stdin", io.StringIO("\nnobody\n"))
    assert run(loaded, "translate", "-", "--json") == (1, '[{"asked": "nobody", "found": []}]\n', "")
    assert access(loaded) == ["people translate, 2 asked", "people translate, 1 asked"]


def test_forget_asks_for_a_yes_and_says_what_it_did(loaded):
    status, out, err = run(loaded, "forget", "alice")
    assert (status, out, err.startswith("Error: this deletes for good")) == (1, "", True)
    assert run(loaded, "forget", "alice", "--dry-run")[1].startswith("Would forget 1 users with 1 names: 1 events;")
    assert person_of(loaded, "alice")
    status, out, err = run(loaded, "forget", "alice", "--yes", "--json")
    done = json.loads(out)
    assert (status, err, done["users"], done["unseen"], done["events"]) == (0, "", 1, 0, 1)
    assert {row["username"] for row in rows(loaded, "person")} == {"bob", "b\x1bob"}
    status, out, _ = run(loaded, "forget", "alice", "--yes")
    assert (status, "1 of them the store does not know" in out) == (0, True)
    assert access(loaded) == ["people forget --dry-run, 1 asked", *["people forget, 1 asked"] * 2]


def test_without_a_store_or_with_other_keys_the_remedy_is_said(loaded):
    loaded.keys_path.unlink()
    assert run(loaded, "list", "--course", "*")[0] == 0
    assert "There are no keys at" in run(loaded, "forget", "alice", "--yes")[2]
    (loaded.folder / "ledger.sqlite").unlink()
    assert "bring it back from a backup" in run(loaded, "translate", "alice")[2]
