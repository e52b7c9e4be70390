from tests.tracking.builders import LOG, adds_up, line, lines, load, put
from tests.tracking.commands.running import run, run_json


def test_of_an_empty_store_it_says_what_to_do(store):
    assert run("status", "--store", store.folder) == (0, "Nothing is loaded yet: tracking load PATH\n", "")
    assert run_json("status", "--store", store.folder)[1]["loads"] == 0


def test_it_adds_up_for_each_source_and_in_all(store, tmp_path):
    load(store, put(tmp_path / LOG, lines(5) + b"\nno event\n" + line(9) + line(8) + b"\n" + lines(1)))
    load(store, put(tmp_path / "more.log", lines(3, first=4)))
    status, found = run_json("status", "--store", store.folder)
    assert (status, found["loads"], found["sources"]) == (0, 2, 2)
    assert (found["lines"], found["events"], found["copies"]) == (12, 9, 2)
    names = ("lines", "blank", "joined", "events", "copies", "quarantined", "repaired", "bytes")
    for each in (found, *found["files"]):
        assert adds_up(each)
    assert {name: sum(each[name] for each in found["files"]) for name in names} == {name: found[name] for name in names}
    assert {each["name"]: each["rows"] for each in found["tables"]} == {
        "copy": 2,
        "event": 9,
        "event_private": 9,
        "navigation": 9,
        "person": 2,
        "quarantine": 1,
    }


def test_a_person_reads_totals_tables_sources_and_fields(store, tmp_path):
    load(store, put(tmp_path / LOG, lines(5) + line(7, name="edx.new", event={"a": {"b": 1}}) + b"\n"))
    status, out, _ = run("status", "--store", store.folder, "--sources", "--fields", "5")
    told = out.splitlines()
    assert status == 0
    assert told[0].startswith("1 sources, ")
    assert "6 lines, 0 blank, 0 joined, 6 events, 0 copies, 0 quarantined, 0 repaired" in out
    assert f"     1  {LOG}: 6 lines, 6 events, 0 copies, 0 quarantined" in told
    assert "         1  edx.new  a.b (integer)" in told


def test_there_must_be_a_store(tmp_path):
    status, _, err = run("status", "--store", tmp_path / "none")
    assert (status, err[:7]) == (1, "Error: ")
