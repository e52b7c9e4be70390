import bz2
import json
import lzma
import os
from pathlib import Path

import pyarrow as pa
import pytest

from completion_aggregator.tracking.commands import load as load_command
from completion_aggregator.tracking.sources import listed
from tests.tracking.builders import LOG, events, lines, packed, put, rows, totals
from tests.tracking.commands.running import run, run_json


def counts(**given):
    names = ("lines", "blank", "joined", "events", "copies", "quarantined", "repaired")
    return {name: given.get(name, 0) for name in names}


def test_logs_are_loaded_and_counted(store, tmp_path):
    put(tmp_path / "logs" / LOG, lines(5) + b"no event\n\n" + lines(1))
    put(tmp_path / "logs" / "more.log.gz", packed(lines(3, first=10)))
    status, out, err = run("load", tmp_path / "logs", "--store", store.folder)
    told = "2 files read, 0 known: 11 lines, 8 new events, 1 copies, 1 quarantined, 0 repaired ("
    assert (status, out[: len(told)], err) == (0, told, "")
    assert len(events(store)) == 8


def test_machines_are_told_all_counts(store, tmp_path):
    path = put(tmp_path / LOG, lines(5))
    status, found = run_json("load", path, "--store", store.folder)
    assert found.pop("seconds") >= 0
    assert (status, found) == (
        0,
        counts(lines=5, events=5)
        | {"files": 1, "known": 0, "bytes": len(lines(5)), "loads": 1, "failures": [], "damaged": []},
    )
    assert run_json("load", path, "--store", store.folder)[1]["known"] == 1


def test_a_dry_run_says_what_is_new_changed_and_known(store, tmp_path):
    known, changed = put(tmp_path / "a" / LOG, lines(2)), put(tmp_path / "b.log", lines(1, first=50), settled=False)
    run("load", known, changed, "--store", store.folder)
    changed.write_bytes(lines(3, first=50))
    new = put(tmp_path / "c.log", lines(4))
    told = run("load", known, changed, new, "--dry-run", "--store", store.folder)
    sizes = [(len(lines(3)), changed), (len(lines(4)), new)]
    assert told == (
        0,
        "".join(f"{size:>14,}  {path}\n" for size, path in sizes)
        + f"1 new, 1 changed, 1 known files; {len(lines(7)):,} bytes to read.\n",
        "",
    )
    figures = {"new": 1, "changed": 1, "known": 1, "bytes": len(lines(7)), "files": [str(changed), str(new)]}
    assert run_json("load", known, changed, new, "--dry-run", "--store", store.folder) == (0, figures)
    assert totals(store)["lines"] == 3


def test_a_folder_without_logs_is_nothing_to_do(store, tmp_path):
    put(tmp_path / "logs" / "readme.txt", b"text")
    status, out, _ = run("load", tmp_path / "logs", "--store", store.folder)
    assert (status, out[:42]) == (0, "0 files read, 0 known: 0 lines, 0 new even")


def test_a_place_that_is_not_there_is_named_and_nothing_is_loaded(store, tmp_path):
    path = put(tmp_path / LOG, lines(2))
    status, out, err = run("load", path, tmp_path / "none", "--store", store.folder)
    assert (status, out) == (1, "")
    assert err.startswith(f"Error: {tmp_path / 'none'} cannot be read: No such file or directory")
    assert totals(store)["lines"] == 0


@pytest.mark.parametrize("name", ["bzip2", "xz", "zstd"])
def test_a_file_that_is_packed_otherwise_is_not_read(store, tmp_path, name):
    data = lines(2)
    other = {"bzip2": bz2.compress(data), "xz": lzma.compress(data), "zstd": pa.compress(data, "zstd", asbytes=True)}
    path = put(tmp_path / "logs" / f"{LOG}.packed", other[name])
    put(tmp_path / "logs" / LOG, lines(3))
    why = f"not read: {path}: packed with {name}: unpack it, or pack it with gzip\n"
    status, out, _ = run("load", tmp_path / "logs", "--store", store.folder)
    assert (status, out.endswith(why)) == (1, True)
    assert (totals(store)["lines"], totals(store)["quarantined"]) == (3, 0)
    assert run("check", path) == (1, "", why)
    status, out, _ = run("redact", path, tmp_path / "copy.log", "--store", store.folder)
    assert (status, out.endswith(why), (tmp_path / "copy.log").exists()) == (1, True, False)


def test_a_damaged_file_makes_the_status_of_the_run_that_meets_it(store, tmp_path):
    path = put(tmp_path / f"{LOG}.gz", packed(lines(20))[:-30])
    status, out, _ = run("load", path, "--store", store.folder)
    assert (status, out.splitlines()[1:]) == (
        1,
        [f"  damaged: {path}: gzip: cut; what could be unpacked is loaded"],
    )
    assert run("load", path, "--store", store.folder)[0] == 0


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_loaded(store, tmp_path, monkeypatch):
    """The superuser may read all, so the file goes while the others are looked at."""
    good, bad = put(tmp_path / "a.log", lines(2)), put(tmp_path / "b.log", lines(3))

    def gone(*given, **named):
        found = list(listed(*given, **named))
        bad.unlink(missing_ok=True)
        return iter(found)

    monkeypatch.setattr("completion_aggregator.tracking.commands.load.listed", gone)
    status, out, _ = run("load", good, "--store", store.folder)
    bad.write_bytes(lines(3))
    status, out, _ = run("load", tmp_path, "--store", store.folder)
    assert status == 1
    assert out.splitlines()[1] == f"  not read: {bad}: {bad} cannot be read: No such file or directory."
    assert len(events(store)) == 2


def test_text_and_raw_objects_are_kept_only_where_that_is_asked_for(store, tmp_path):
    run("load", put(tmp_path / LOG, lines(2)), "--store", store.folder, "--keep-raw")
    run("load", put(tmp_path / "b.log", lines(2, first=5)), "--store", store.folder)
    assert sorted(bool(row["raw"]) for row in rows(store, "event_private")) == [False, False, True, True]


@pytest.mark.parametrize("workers", ["0", "65", "-1", "two", "1.5", "²"])
def test_a_wrong_number_of_processes_is_wrong_use(store, workers, capsys):
    assert run("load", "x", "--store", store.folder, "--workers", workers)[0] == 2
    assert "is not a number from 1 to 64" in capsys.readouterr().err


def test_no_place_is_wrong_use(store, capsys):
    assert run("load", "--store", store.folder)[0] == 2
    assert "PATH" in capsys.readouterr().err


def test_where_there_is_no_store_it_is_said(tmp_path):
    status, out, err = run("load", put(tmp_path / LOG, lines(1)), "--store", tmp_path / "none", "--json")
    assert (status, json.loads(out)["error"][:20]) == (1, "there is no store in")
    assert "`tracking store init` makes one" in err


def test_the_meter_tells_how_many_lines_were_refused(store, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(load_command._Advance, "__call__", lambda _, *told: shown.append(told))
    run("load", put(tmp_path / LOG, lines(5) + b"no event\n" * 3), "--store", store.folder, "--workers", "1")
    size = (tmp_path / LOG).stat().st_size
    assert [sum(each) for each in zip(*shown, strict=True)] == [size, 8, 3]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_file_whose_name_is_no_text_is_loaded_once(store, tmp_path, workers):
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/logs/tracking.log-\xff")), lines(2))
    put(tmp_path / "logs" / LOG, lines(1, first=50))
    words = ("load", tmp_path / "logs", "--store", store.folder, "--workers", workers)
    assert run(*words)[0] == 0
    assert run_json(*words)[1]["known"] == 2
    assert run_json("status", "--store", store.folder)[1]["files"][-1]["name"] == "tracking.log-\\xff"


def test_links_that_lead_nowhere_do_not_keep_the_others(store, tmp_path):
    put(tmp_path / "logs" / LOG, lines(2))
    (tmp_path / "logs" / "tracking.log-loop").symlink_to("tracking.log-loop")
    (tmp_path / "logs" / "tracking.log-none").symlink_to("nothing")
    for words in ("load", tmp_path / "logs", "--store", store.folder), ("check", tmp_path / "logs"):
        status, out, err = run(*words)
        assert status == 1
        assert all(f"not read: {tmp_path}/logs/tracking.log-{name}: " in out + err for name in ("loop", "none"))
    assert len(events(store)) == 2
