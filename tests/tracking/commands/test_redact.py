import argparse
import gzip
import io
import json
from pathlib import Path

import pytest

from completion_aggregator.tracking.commands import redact
from completion_aggregator.tracking.pseudonyms import Keys, Pseudonyms
from completion_aggregator.tracking.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "store", tmp_path / "store-private", tmp_path / "store-keys.json")
    found.create()
    return found


def ran(store: Store, *arguments: str | Path) -> tuple[int, str, str]:
    parser = argparse.ArgumentParser()
    redact.register(parser.add_subparsers())
    options = parser.parse_args(["redact", *map(str, arguments), "--store", str(store.folder)])
    out, err = io.StringIO(), io.StringIO()
    return options.run(options, out, err), out.getvalue(), err.getvalue()


def test_a_copy_is_made_with_the_keys_of_the_store(store: Store, tmp_path: Path):
    log, copy = tmp_path / "a.log", tmp_path / "copy.log"
    log.write_text('{"username": "ana", "context": {"user_id": 7}, "session": "abc"}\nnonsense\n')
    assert ran(store, log, copy, "--keep-sessions") == (
        0,
        f"1 files, 2 lines written to {copy}.\n  1 lines of which only the length is left: no JSON object\n",
        "",
    )
    first, second = map(json.loads, copy.read_text().splitlines())
    name = Pseudonyms(Keys.load(store.keys_path)).person(7, "")
    assert name
    assert first == {"username": name.hex(), "context": {"user_id": name.hex()}, "session": "abc"}
    assert second == {"redacted": "no JSON object", "length": 8}


def test_a_folder_is_copied_and_told_as_json(store: Store, tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("{}\n")
    status, out, _ = ran(store, tmp_path / "logs", tmp_path / "copies", "--json")
    assert (status, json.loads(out)) == (0, {"files": 1, "lines": 1, "replaced": {}, "damaged": [], "failures": []})
    assert (tmp_path / "copies" / "a.log").read_text() == "{}\n"


def test_a_folder_without_logs_is_wrong_use(store: Store, tmp_path: Path):
    (tmp_path / "logs").mkdir()
    status, out, err = ran(store, tmp_path / "logs", tmp_path / "copies")
    assert (status, out, err) == (2, "", f"Error: there is no log in {tmp_path}/logs. Is --pattern right?\n")


def test_what_could_not_be_unpacked_makes_the_status(store: Store, tmp_path: Path):
    log, copy = tmp_path / "a.log.gz", tmp_path / "copy.log"
    log.write_bytes(gzip.compress(b"{}\n" * 1000)[:-6])
    status, out, _ = ran(store, log, copy)
    assert (status, out.splitlines()[1]) == (1, f"  damaged: {log}: gzip: cut; what could be unpacked is copied")


def test_a_log_that_cannot_be_read_does_not_keep_the_others(store: Store, tmp_path: Path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_text("{}\n")
    (logs / "loop.log").symlink_to("loop.log")
    status, out, _ = ran(store, logs, tmp_path / "copies", "--json")
    found = json.loads(out)
    assert (status, found["files"], [each["file"] for each in found["failures"]]) == (1, 1, [f"{logs}/loop.log"])
    assert [each.name for each in (tmp_path / "copies").iterdir()] == ["a.log"]
    assert f"\n  not read: {logs}/loop.log: " in ran(store, logs, tmp_path / "others")[1]
    (logs / "a.log").unlink()
    assert ran(store, logs, tmp_path / "none")[0] == 1
    assert not (tmp_path / "none").exists()


def test_copies_are_not_written_among_the_logs(store: Store, tmp_path: Path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_text("{}\n")
    for target in logs / "sub", logs:
        told = (2, "", f"Error: {target} lies in {logs}: name a place outside of it.\n")
        assert ran(store, logs, target) == told
    assert [each.name for each in logs.iterdir()] == ["a.log"]
    assert ran(store, logs / "a.log", logs / "copy.log")[0] == 0


def test_a_copy_whose_name_is_no_text_is_shown_escaped(store: Store, tmp_path: Path):
    (tmp_path / "a.log").write_text("{}\n")
    status, out, _ = ran(store, tmp_path / "a.log", tmp_path / "b\udcff.log")
    assert (status, out) == (0, f"1 files, 1 lines written to {tmp_path}/b\\udcff.log.\n")
