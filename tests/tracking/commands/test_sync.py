import fcntl
import io
import json
from pathlib import Path
from typing import Any

import pytest

from completion_aggregator.tracking import api
from completion_aggregator.tracking.commands import tree
from completion_aggregator.tracking.store import Store
from tests.tracking.builders import lines, packed, put


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Return a folder elsewhere with two logs."""
    put(tmp_path / "there" / "tracking.log-20240201", lines(5))
    put(tmp_path / "there" / "tracking.log-20240202", lines(3, first=30) + lines(5))
    return tmp_path / "there"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = api.store_in(tmp_path / "store")
    found.create()
    return found


def ran(store: Store, *arguments: str | Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status = tree.run("tracking", ["sync", *map(str, arguments), "--store", str(store.folder)], out, err)
    return status, out.getvalue(), err.getvalue()


def told(text: str) -> Any:
    found = json.loads(text)
    found.get("load", {}).pop("seconds", None)
    return found


def test_what_is_new_is_fetched_and_loaded_and_only_once(store: Store, there: Path):
    logs = store.private_folder / "logs"
    status, out, err = ran(store, there)
    first, second = out.splitlines()
    size = sum(path.stat().st_size for path in there.iterdir())
    assert (status, err) == (0, "")
    assert first == f"2 new, 0 changed, 0 known files: 2 fetched into {logs}, {size:,} bytes."
    assert second.startswith("2 files read, 0 known: 13 lines, 8 new events, 5 copies, 0 quarantined (")
    status, out, _ = ran(store, there)
    assert out.splitlines()[1].startswith("0 files read, 2 known: 0 lines, 0 new events, 0 copies, 0 quarantined (")
    put(there / "tracking.log-20240203", lines(2, first=20))
    assert ran(store, there, "--quiet") == (0, "", "")
    assert api.status(store).events == 10


def test_json_has_both_halves(store: Store, there: Path):
    status, out, _ = ran(store, there, "--json", "--limit", "1")
    found = told(out)
    assert (status, found["pull"]["fetched"], found["pull"]["left"]) == (0, 1, 1)
    assert {name: found["load"][name] for name in ("files", "lines", "events", "copies", "quarantined", "loads")} == {
        "files": 1,
        "lines": 5,
        "events": 5,
        "copies": 0,
        "quarantined": 0,
        "loads": 1,
    }


def test_a_dry_run_does_neither(store: Store, there: Path):
    status, out, err = ran(store, there, "--dry-run")
    assert (status, err) == (0, "")
    assert out.splitlines()[2:] == [
        f"2 new, 0 changed, 0 known files; {sum(each.stat().st_size for each in there.iterdir()):,} bytes to fetch.",
        "0 new, 0 changed, 0 known files to load.",
    ]
    assert api.status(store).loads == 0


def test_a_second_run_at_the_same_time_leaves_it_to_the_first(store: Store, there: Path):
    logs = store.private_folder / "logs"
    logs.mkdir()
    with (logs / ".sync.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        why = f"Another sync into {logs} is at work"
        assert ran(store, there) == (0, f"{why}. The next run does what is left.\n", "")
        assert ran(store, there, "--quiet") == (0, "", "")
        assert told(ran(store, there, "--json")[1]) == {"left": why}
    assert api.status(store).loads == 0
    assert ran(store, there, "--quiet") == (0, "", "")
    assert api.status(store).events == 8


def test_a_store_that_somebody_writes_into_is_loaded_next_time(store: Store, there: Path):
    with store.writing():
        status, out, err = ran(store, there)
        assert (status, err) == (0, "")
        assert "2 fetched into" in out
        assert out.endswith("nothing is lost by that. The next run does what is left.\n")
    assert ran(store, there, "--quiet") == (0, "", "")
    assert api.status(store).events == 8


def test_what_was_fetched_before_is_loaded_also_when_the_source_is_gone(store: Store, there: Path, tmp_path: Path):
    put(store.private_folder / "logs" / "tracking.log-20240204", lines(3, first=50))
    status, out, err = ran(store, tmp_path / "nowhere", "--quiet")
    assert (status, out) == (1, "")
    assert err.startswith("Error: ")
    assert "nowhere" in err
    assert api.status(store).events == 3
    found = told(ran(store, tmp_path / "nowhere", "--json")[1])
    assert "nowhere" in found["pull"]["error"]
    assert found["load"]["known"] == 1


def test_a_log_that_is_damaged_is_told_even_if_it_is_to_be_quiet(store: Store, there: Path):
    put(there / "tracking.log-20240205.gz", packed(lines(3, first=90))[:-9])
    status, out, err = ran(store, there, "--quiet")
    assert (status, out) == (1, "")
    assert err.startswith(f"  damaged: {store.private_folder}/logs/tracking.log-20240205.gz: gzip")
    assert api.status(store).events > 8
    assert ran(store, there, "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    "wrong", [["--workers", "65"], ["--workers", "x"], ["--limit", "0"], ["--endpoint", "http://x"]]
)
def test_wrong_use_ends_with_2(store: Store, there: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]):
    assert ran(store, there, *wrong)[0] == 2
    assert api.status(store).loads == 0


def test_without_a_store_it_says_how_to_make_one(there: Path, tmp_path: Path):
    status, _, err = ran(api.store_in(tmp_path / "none"), there)
    assert status == 1
    assert "tracking store init" in err
