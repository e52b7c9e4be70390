import json

import pytest

from tests.tracking.builders import LOG, lines, put
from tests.tracking.commands.running import run, run_json


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "made"


def test_a_store_is_made_and_destroyed(folder, tmp_path):
    keys = f"{folder}-keys.json"
    assert run("store", "init", "--store", folder) == (0, f"Made {folder}. Keep a copy of {keys} elsewhere.\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "made-keys.json", "made-private"]
    assert run("store", "destroy", "--store", folder, "--yes-delete", "made") == (
        0,
        f"Deleted {folder} and {folder}-private. The keys are in {keys} still.\n",
        "",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["made-keys.json"]


def test_machines_are_told_where_it_is(folder):
    places = {"store": str(folder), "private": f"{folder}-private", "keys": f"{folder}-keys.json"}
    assert run_json("store", "init", "--store", folder) == (0, places)
    deleted = {"deleted": [str(folder), f"{folder}-private"]}
    assert run_json("store", "destroy", "--store", folder, "--yes-delete", "made") == (0, deleted)


def test_a_store_that_is_there_is_left_alone(folder, tmp_path):
    run("store", "init", "--store", folder)
    run("load", put(tmp_path / LOG, lines(2)), "--store", folder)
    status, out, err = run("store", "init", "--store", folder)
    assert (status, out) == (1, "")
    assert err == f"Error: {folder} is not empty: name another folder, or take away what is in it\n"
    assert run_json("status", "--store", folder)[1]["events"] == 2


@pytest.mark.parametrize("said", [(), ("--yes-delete", "other"), ("--yes-delete", "")])
def test_nothing_is_deleted_that_was_not_named(folder, said):
    run("store", "init", "--store", folder)
    status, out, err = run("store", "destroy", "--store", folder, *said)
    assert (status, out) == (1, "")
    assert err == f"Error: this would delete {folder} and {folder}-private: say --yes-delete made\n"
    assert folder.joinpath("ledger.sqlite").exists()


def test_what_is_no_store_is_not_deleted(folder):
    folder.mkdir()
    put(folder / "mine", b"mine")
    assert run("store", "destroy", "--store", folder, "--yes-delete", "made")[0] == 1
    assert folder.joinpath("mine").exists()


def test_errors_are_json_where_json_was_asked_for(folder):
    status, out, err = run("store", "destroy", "--store", folder, "--json")
    assert (status, json.loads(out)) == (1, {"error": f"there is no store in {folder}"})
    assert err == f"Error: there is no store in {folder}\n"
