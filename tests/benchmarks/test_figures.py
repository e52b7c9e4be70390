import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import KEYS, WORKS, keep, latest, row, table
from benchmarks.places import ROOT

NINE = {
    "incremental", "forced", "scratch", "republish", "staff_page_100", "list_20", "stats", "signal_async",
    "storage_bytes",
}  # fmt: skip


def run(cpu: float, wall: float, **others: float) -> dict[str, float]:
    return {"cpu_s": cpu, "wall_s": wall, **others}


def measured(work: str = "scratch", levels: str = "all", *, beside: int | None = 100) -> dict[str, Any]:
    made = row(work, levels, [run(1.0, 2.0, queries=9)], [run(10.0, 30.0)])
    return made | {"theirs_learners": beside, "runs": 1, "load": 0.5, "leaves": 960, "learners": 1000}


def test_the_committed_figures_tell_of_the_nine_works_with_both_choices_of_levels_and_nothing_else() -> None:
    found = json.loads((ROOT / "benchmarks" / "latest.json").read_text())

    assert {(each["work"], each["projected"]) for each in found} == {(w, p) for w in NINE for p in ("course", "all")}
    assert len(found) == 2 * len(NINE)
    assert {tuple(each) for each in found} == {KEYS}
    assert set(WORKS) == NINE


def test_the_committed_ratios_are_those_of_the_committed_seconds() -> None:
    for each in json.loads((ROOT / "benchmarks" / "latest.json").read_text()):
        for kind in ("cpu", "wall"):
            theirs, ours = each[f"theirs_{kind}_s"], each[f"ours_{kind}_s"]
            assert each[f"ratio_{kind}"] == (round(theirs / ours, 1) if theirs and ours else None), each


def test_a_row_has_the_medians_of_both_sides_and_how_far_the_runs_lie_apart() -> None:
    made = row("forced", "all", [run(2.0, 4.0), run(1.0, 9.0), run(3.0, 5.0)], [run(50.0, 70.0), run(30.0, 90.0)])

    assert (made["theirs_cpu_s"], made["ours_cpu_s"], made["ratio_cpu"]) == (40.0, 2.0, 20.0)
    assert (made["theirs_wall_s"], made["ours_wall_s"], made["ratio_wall"]) == (80.0, 5.0, 16.0)
    assert made["spread"] == {
        "theirs_cpu_s": (30.0, 50.0), "ours_cpu_s": (1.0, 3.0), "theirs_wall_s": (70.0, 90.0), "ours_wall_s": (4.0, 9.0)
    }  # fmt: skip
    assert made["noise"] == 1.0


def test_what_one_side_does_not_measure_is_none_and_so_is_its_ratio() -> None:
    made = row("storage_bytes", "course", [{"bytes": 1000}], [{"bytes": 192_000}])

    assert (made["theirs_bytes"], made["ours_bytes"], made["ratio_bytes"]) == (192_000, 1000, 192.0)
    assert latest(made | {"runs": 1, "load": 0.1}) == {
        "work": "storage_bytes", "projected": "course", "theirs_cpu_s": None, "ours_cpu_s": None, "ratio_cpu": None,
        "theirs_wall_s": None, "ours_wall_s": None, "ratio_wall": None, "queries": None, "rows_written": None,
        "runs": 1, "load": 0.1,
    }  # fmt: skip


def test_new_figures_take_the_place_of_old_ones_and_leave_the_others(tmp_path: Path) -> None:
    keep(tmp_path, "mysql", [measured("stats"), measured()], {"graph": [{"stored_bytes": 1}]})
    keep(tmp_path, "mysql", [measured() | {"load": 7.0}], {"growth": []})

    assert [(each["work"], each["load"]) for each in read(tmp_path / "latest.json")] == [
        ("scratch", 7.0),
        ("stats", 0.5),
    ]
    more = read(tmp_path / "more.json")
    assert (more["graph"], more["growth"]) == ({"mysql": [{"stored_bytes": 1}]}, {"mysql": []})
    assert [each["work"] for each in more["works"]["mysql"]] == ["scratch", "stats"]


@pytest.mark.parametrize(
    ("database", "beside", "work"),
    [("postgres", 100, "scratch"), ("mysql", None, "scratch"), ("mysql", 100, "signal_sync")],
    ids=["another database", "without the replaced package", "not one of the nine"],
)
def test_other_figures_are_kept_apart(database: str, beside: int | None, work: str, tmp_path: Path) -> None:
    keep(tmp_path, database, [measured(work, beside=beside)], {})

    assert not (tmp_path / "latest.json").exists()
    assert [each["work"] for each in read(tmp_path / "more.json")["works"][database]] == [work]


def test_the_table_leaves_out_columns_of_which_nothing_was_measured() -> None:
    header, line, foot = table([measured()]).splitlines()

    assert header.split() == [
        "work", "projected", "theirs_cpu_s", "ours_cpu_s", "ratio_cpu", "theirs_wall_s", "ours_wall_s", "ratio_wall",
        "queries",
    ]  # fmt: skip
    assert line.split() == ["scratch", "all", "10", "1", "10", "30", "2", "15", "9"]
    assert foot == "960 leaves, 1000 learners, load 0.5"


def read(path: Path) -> Any:
    return json.loads(path.read_text())
