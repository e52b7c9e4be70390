"""Figures of both sides: medians, how far the runs lie apart, the table for a reader, and the files that keep them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.cost import Result
from benchmarks.measure import LEVELS, REFRESHES, REQUESTS

#: The works of ``latest.json``, and all that it says of each.
WORKS: Final = tuple(work for work in (*REFRESHES, *REQUESTS) if work not in ("reconcile", "signal_sync"))
KEYS: Final = (
    "work", "projected", "theirs_cpu_s", "ours_cpu_s", "ratio_cpu", "theirs_wall_s", "ours_wall_s", "ratio_wall",
    "queries", "rows_written", "runs", "load",
)  # fmt: skip
#: Of these, the second is what the first is so many times of.
RATIOS: Final = {"cpu_s": "ratio_cpu", "wall_s": "ratio_wall", "bytes": "ratio_bytes"}
#: Ours alone; and what is told of both sides where it was measured.
COUNTS: Final = (
    "queries", "rows_written", "bytes_each", "peak_rss_mb", "p95_wall_s", "session_cpu_s", "session_queries",
)  # fmt: skip
BOTH: Final = ("memory_mb",)
_SHOWN: Final = (*KEYS[2:10], "theirs_bytes", "ours_bytes", "bytes_each", "ratio_bytes", "noise")


def row(work: str, levels: str, ours: Sequence[Result], theirs: Sequence[Result]) -> Result:
    """Return the medians of one work; None where a side has no such figure. ``noise``: see ``spread``."""
    made: Result = {"work": work, "projected": levels}
    for name, ratio in RATIOS.items():
        other, mine = middle(theirs, name), middle(ours, name)
        made |= {f"theirs_{name}": other, f"ours_{name}": mine}
        made[ratio] = round(other / mine, 1) if mine and other else None
    made |= {name: middle(ours, name) for name in COUNTS}
    made |= {f"{side}_{name}": middle(found, name) for name in BOTH for side, found in _sides(ours, theirs)}
    spreads = {
        f"{side}_{name}": spread(found, name) for name in ("cpu_s", "wall_s") for side, found in _sides(ours, theirs)
    }
    return made | {"noise": _noise(made, spreads), "spread": {name: both for name, both in spreads.items() if both}}


def middle(found: Sequence[Result], name: str) -> float | None:
    """Return the median of a figure; None where it was not measured."""
    return round(median(each[name] for each in found), 6) if found and found[0].get(name) is not None else None


def spread(found: Sequence[Result], name: str) -> tuple[float, float] | None:
    """Return the least and the most of a figure; None of a single run."""
    if len(found) == 1 or middle(found, name) is None:
        return None
    values = [round(each[name], 6) for each in found]
    return min(values), max(values)


def latest(made: Mapping[str, Any]) -> Result:
    """Return what ``latest.json`` tells of a work."""
    return {name: made.get(name) for name in KEYS}


def table(rows: Sequence[Result]) -> str:
    """Return the figures for a reader, a line for each work."""
    names = [name for name in _SHOWN if any(each.get(name) is not None for each in rows)]
    lines = [f"{'work':14} {'projected':9}" + "".join(f"{name:>14}" for name in names)]
    for each in rows:
        cells = ["-" if each[name] is None else f"{each[name]:,.10g}"[:10] for name in names]
        lines.append(f"{each['work']:14} {each['projected']:9}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join([*lines, f"{rows[0]['leaves']} leaves, {rows[0]['learners']} learners, load {rows[0]['load']}"])


def database_of(url: str) -> str:
    """Return under which name the figures of this database are kept."""
    scheme = urlsplit(url).scheme
    return {"mariadb": "mysql", "postgresql": "postgres"}.get(scheme, scheme)


def keep(folder: Path, database: str, rows: Sequence[Result], others: Mapping[str, Any]) -> None:
    """Put the figures in the places of those of the same works and database, and leave the rest as it is.

    ``latest.json`` holds what was measured on MariaDB beside the replaced package; ``more.json`` everything.
    """
    compared = [each for each in rows if each["work"] in WORKS and each["theirs_learners"]]
    if compared and database == "mysql":
        path = folder / "latest.json"
        _write(path, _merged(_read(path, []), [latest(each) for each in compared]))
    path = folder / "more.json"
    more = _read(path, {})
    if rows:
        works = more.setdefault("works", {})
        works[database] = _merged(works.get(database, []), rows)
    for name, found in others.items():
        more.setdefault(name, {})[database] = found
    _write(path, more)


def _sides(ours: Sequence[Result], theirs: Sequence[Result]) -> tuple[tuple[str, Sequence[Result]], ...]:
    return ("theirs", theirs), ("ours", ours)


def _noise(made: Mapping[str, Any], spreads: Mapping[str, tuple[float, float] | None]) -> float | None:
    """Return by how much of its median our CPU time, or else our wall time, differs between runs."""
    for name in ("ours_cpu_s", "ours_wall_s"):
        if (both := spreads[name]) and made[name]:
            return round((both[1] - both[0]) / abs(float(made[name])), 2)
    return None


def _merged(kept: Iterable[Result], rows: Iterable[Result]) -> list[Result]:
    places = [(work, levels) for work in (*REFRESHES, *REQUESTS) for levels in LEVELS]
    found = {(each["work"], each["projected"]): each for each in (*kept, *rows)}
    return [found[place] for place in places if place in found]


def _read(path: Path, default: Any) -> Any:
    return json.loads(path.read_text()) if path.exists() else default


def _write(path: Path, found: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
