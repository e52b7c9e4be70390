import argparse
import io
import json
import os
from pathlib import Path

import pytest

from completion_aggregator.tracking.commands import pull


def ran(*arguments: str | Path) -> tuple[int, str, str]:
    parser = argparse.ArgumentParser()
    pull.register(parser.add_subparsers())
    options = parser.parse_args(["pull", *map(str, arguments)])
    out, err = io.StringIO(), io.StringIO()
    return options.run(options, out, err), out.getvalue(), err.getvalue()


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "tracking.log-20240101").write_bytes(b"one")
    (folder / "tracking.log-20240102").write_bytes(b"two" * 1000)
    return folder


def test_a_dry_run_says_what_would_be_fetched(there: Path, tmp_path: Path):
    here = tmp_path / "here"
    assert ran(there, "--to", here, "--dry-run") == (
        0,
        (
            f"new                   3  {there}/tracking.log-20240101\n"
            f"new               3,000  {there}/tracking.log-20240102\n"
            "2 new, 0 changed, 0 known files; 3,003 bytes to fetch.\n"
        ),
        "",
    )
    assert not here.exists()


def test_a_run_says_what_it_fetched(there: Path, tmp_path: Path):
    here = tmp_path / "here"
    assert ran(there, "--to", here, "--limit", "1") == (
        0,
        f"2 new, 0 changed, 0 known files: 1 fetched into {here}, 3 bytes.\n1 more are left for the next run.\n",
        "",
    )
    assert ran(there, "--to", here)[1] == f"1 new, 0 changed, 1 known files: 1 fetched into {here}, 3,000 bytes.\n"
    assert ran(there, "--to", here, "--dry-run")[1] == "0 new, 0 changed, 2 known files; 0 bytes to fetch.\n"


def test_json_says_the_same(there: Path, tmp_path: Path):
    here = tmp_path / "here"
    status, out, _ = ran(there, "--to", here, "--dry-run", "--json", "--pattern", "*02")
    assert (status, json.loads(out)) == (
        0,
        {
            "new": 1, "changed": 0, "known": 0, "refused": 0, "bytes": 3000,
            "files": [
                {"url": f"{there}/tracking.log-20240102", "name": "tracking.log-20240102", "size": 3000, "state": "new"}
            ],
        },
    )  # fmt: skip
    assert json.loads(ran(there, "--to", here, "--json")[1]) == {
        "new": 2, "changed": 0, "known": 0, "refused": 0, "fetched": 2, "left": 0, "bytes": 3003, "resumed_bytes": 0,
        "kept": [], "failed": [], "folder": str(here),
    }  # fmt: skip


def test_what_could_not_be_fetched_makes_the_status(there: Path, tmp_path: Path):
    here = tmp_path / "here"
    (here / "tracking.log-20240101").mkdir(parents=True)
    status, out, _ = ran(there, "--to", here)
    assert status == 0
    assert f"its old copy is {here}/tracking.log-20240101." in out
    other = tmp_path / "other"
    other.mkdir()
    (other / "tracking.log-20240102").write_bytes(b"else")
    status, out, _ = ran(other, "--to", here)
    assert status == 1
    assert f"not fetched: {other}/tracking.log-20240102: " in out
    assert ran(other, "--to", here, "--dry-run")[0] == 1


def test_an_endpoint_is_for_object_stores(there: Path, tmp_path: Path):
    assert ran(there, "--to", tmp_path, "--endpoint", "http://x") == (2, "", "Error: --endpoint is for s3:// only.\n")


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_a_limit_is_a_number_from_1_on(there: Path, limit: str, capsys):
    with pytest.raises(SystemExit):
        ran(there, "--limit", limit)
    assert "--limit" in capsys.readouterr().err


def test_a_name_that_is_no_text_is_fetched_and_known_by_what_it_is_shown_as(there: Path, tmp_path: Path):
    name = os.fsdecode(b"tracking.log-\xff")
    (there / name).write_bytes(b"three")
    assert ran(there, "--to", tmp_path / "here")[0] == 0
    assert (tmp_path / "here" / name).read_bytes() == b"three"
    assert ran(there, "--to", tmp_path / "here", "--dry-run")[1].startswith("0 new, 0 changed, 3 known")


def test_a_link_that_leads_to_itself_does_not_keep_the_others(there: Path, tmp_path: Path):
    (there / "tracking.log-loop").symlink_to("tracking.log-loop")
    status, out, _ = ran(there, "--to", tmp_path / "here")
    assert status == 1
    assert ": 2 fetched into " in out
    assert f"  not fetched: {there}/tracking.log-loop: " in out
