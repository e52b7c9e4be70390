"""The commands as a person gives them, in small, on SQLite."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.places import ROOT


def run(folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    database = f"sqlite:///{folder / 'bench.sqlite3'}"
    command = [sys.executable, "-m", module, "--db", database, "--out", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def more(folder: Path) -> Any:
    return json.loads((folder / "more.json").read_text())


@pytest.mark.slow
def test_many_courses_are_refreshed_until_nothing_waits(shared_data: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "benchmarks.million", "--courses", "2", "--learners", "30", "--completions", "5")

    assert done.returncode == 0, done.stderr
    (found,) = more(tmp_path)["million"]["sqlite"]
    assert (found["load"]["learners"], found["load"]["facts"], found["mark"]["learners"]) == (60, 300, 60)
    service = found["service"]
    assert (service["learners"], service["turns"]) == (60, 1)
    assert f"100,000,000 / {service['learners_per_s']:,.0f} a second = " in done.stdout


@pytest.mark.slow
def test_a_heatmap_is_measured_without_the_replaced_package(shared_data: Path, tmp_path: Path) -> None:
    small = ("--chapters", "1", "--crowd", "20", "--runs", "1")
    done = run(tmp_path, "benchmarks", "--alone", "--works", "heatmap", *small)

    assert done.returncode == 0, done.stderr
    found = more(tmp_path)["heatmap"]["sqlite"]
    assert [each["way"] for each in found] == ["standings_of_class", "standings_of_class by batches", "course_summary"]
    assert {each["tallies"] for each in found} == {20 * 22}  # a course, its chapter, 4 sequentials and 16 verticals
    assert not (tmp_path / "latest.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--works", "stats,stat"], "unknown: stat"),
        (["--works", "stats", "--peer", "nowhere/python"], "nowhere/python is not there. Make the environment"),
        (["--runs", "0"], "must be at least 1"),
    ],
    ids=["work", "environment", "number"],
)
def test_what_cannot_be_measured_is_told_at_once(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run(tmp_path, "benchmarks", *arguments)

    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
