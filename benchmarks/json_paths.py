"""Ways from arrays of tallies to the JSON of the v1 API, compared on seeded data: see docs/decisions/0003-json-path.md.

``python -m benchmarks.json_paths`` prints a table. Each way runs in a fresh process, as ``... WAY SHAPE`` does by hand.
The ways that need orjson or msgspec are left out where these are not installed.
"""

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from statistics import median
from time import process_time
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.cost import forget_peak, peak_mb, resident_mb
from benchmarks.places import ROOT

Floats: TypeAlias = NDArray[np.float64]
#: Learners (or courses) times rows of 253 blocks: a page of a class, one learner, a learner's list of 20 courses.
SHAPES: Final = {"page of 100": 100, "one learner": 1, "list of 20": 20}
#: Requested levels, and how many blocks of each there are; the course itself comes before them.
LEVELS: Final = {"chapter": 12, "sequential": 48, "vertical": 192}
BLOCKS: Final = 1 + sum(LEVELS.values())
#: What no JSON has in it.
HOLE: Final = b"\0"
ENVELOPE: Final = {"next": None, "previous": None, "count": 1000, "num_pages": 10}


class Entry:
    """One learner in one course; ``sums`` has a row for each block, the course first."""

    def __init__(self, username: str, course_key: str, keys: list[str], sums: Floats) -> None:
        self.username = username
        self.course_key = course_key
        self.keys = keys
        self.sums = sums


def entries(count: int) -> list[Entry]:
    """Return seeded entries: of 960 leaves, about two in five are done."""
    random = np.random.default_rng(20261121)
    courses = [f"course-v1:BenchU+X{number:02}+2026" for number in range(20 if count == SHAPES["list of 20"] else 1)]
    keys = {key: _keys(random, key.replace("course-v1", "block-v1")) for key in courses}
    numbered = ((number, courses[number % len(courses)]) for number in range(count))
    return [Entry(f"learner{number:05}", key, keys[key], _sums(random)) for number, key in numbered]


def _keys(random: np.random.Generator, base: str) -> list[str]:
    below = [f"{base}+type@{level}+block@{random.bytes(16).hex()}" for level, n in LEVELS.items() for _ in range(n)]
    return [f"{base}+type@course+block@course", *below]


def _sums(random: np.random.Generator) -> Floats:
    possible = random.integers(3, 6, size=LEVELS["vertical"]).astype(np.float64)
    earned = np.minimum(random.integers(0, 13, size=LEVELS["vertical"]) / 4.0, possible)
    levels = [(each.sum(keepdims=True), each.reshape(12, -1).sum(1), each.reshape(48, -1).sum(1), each)
              for each in (earned, possible)]  # fmt: skip
    done, all_of = (np.concatenate(each) for each in levels)
    nothing = np.zeros(BLOCKS)
    return np.column_stack((done, all_of, done / all_of, nothing, nothing, nothing + 1.0))


def as_dict(entry: Entry) -> dict[str, Any]:
    """Return what the API says of one learner, as dictionaries."""
    rows = entry.sums.tolist()
    earned, possible, percent = rows[0][:3]
    made: dict[str, Any] = {
        "course_key": entry.course_key,
        "completion": {"earned": earned, "possible": possible, "percent": percent},
        "username": entry.username,
    }
    at, course_key, keys = 1, entry.course_key, entry.keys
    for level, count in LEVELS.items():
        made[level] = [
            {"course_key": course_key, "block_key": key, "completion": {"earned": e, "possible": p, "percent": r}}
            for key, (e, p, r, *_) in zip(keys[at : at + count], rows[at : at + count], strict=True)
        ]
        at += count
    return made


def stdlib(found: list[Entry]) -> bytes:
    """Dictionaries, and the standard library."""
    return json.dumps(_page(found), separators=(",", ":")).encode()


def rest_framework(found: list[Entry]) -> bytes:
    """Dictionaries, and the renderer that Django REST framework brings."""
    from django.conf import settings

    if not settings.configured:
        settings.configure()
    from rest_framework.renderers import JSONRenderer

    return bytes(JSONRenderer().render(_page(found)))


def orjson_whole(found: list[Entry]) -> bytes:
    """Dictionaries of the whole page, and orjson."""
    return bytes(_orjson().dumps(_page(found)))


def orjson_fragments(found: list[Entry]) -> bytes:
    """Dictionaries of one learner at a time, which orjson makes fragments of."""
    return _page_of([bytes(_orjson().dumps(as_dict(entry))) for entry in found])


def stencils(found: list[Entry]) -> bytes:
    """Texts that are the same for all who see the same blocks, with numbers put between them."""
    orjson = _orjson()
    return _page_of([_filled(entry, orjson.dumps(entry.sums[:, :3].ravel().tolist())) for entry in found])


def stencils_of_numpy(found: list[Entry]) -> bytes:
    """Stencils; the numbers are written by orjson from the array itself."""
    return _page_of([_filled(entry, _numbers(entry)) for entry in found])


def stencils_joined(found: list[Entry]) -> bytes:
    """Stencils with numbers from the array, joined by hand and not by orjson."""
    head, tail = _page_of([HOLE]).split(HOLE)
    return b"".join((head, b",".join(_filled(entry, _numbers(entry)) for entry in found), tail))


def _numbers(entry: Entry) -> bytes:
    orjson = _orjson()
    return bytes(orjson.dumps(entry.sums[:, :3].ravel(), option=orjson.OPT_SERIALIZE_NUMPY))


def _filled(entry: Entry, written: bytes) -> bytes:
    texts = _texts(entry.course_key, tuple(entry.keys))
    parts = [b""] * (2 * len(texts) - 1)
    numbers = written[1:-1].split(b",")
    numbers.insert(3, _orjson().dumps(entry.username))
    parts[0::2], parts[1::2] = texts, numbers
    return b"".join(parts)


def _page_of(results: list[bytes]) -> bytes:
    orjson = _orjson()
    return bytes(orjson.dumps({"results": [orjson.Fragment(each) for each in results], "pagination": ENVELOPE}))


@cache
def _texts(course_key: str, keys: tuple[str, ...]) -> list[bytes]:
    """Return what stands before, between and after the numbers of an entry, in the order of ``as_dict``."""
    marked = Entry(_hole(), course_key, list(keys), np.full((BLOCKS, 6), _hole()))
    return list(_orjson().dumps(as_dict(marked)).split(HOLE))


def _hole() -> Any:
    return _orjson().Fragment(HOLE)


def structs(found: list[Entry]) -> bytes:
    """Structs of msgspec, which knows their fields beforehand."""
    msgspec, (tally, block, entry_of, page) = importlib.import_module("msgspec"), _structs()
    results = []
    for entry in found:
        rows, at, levels = [tally(e, p, r) for e, p, r, *_ in entry.sums.tolist()], 1, []
        for count in LEVELS.values():
            pairs = zip(entry.keys[at : at + count], rows[at : at + count], strict=True)
            levels.append([block(entry.course_key, key, row) for key, row in pairs])
            at += count
        results.append(entry_of(entry.course_key, rows[0], entry.username, *levels))
    return bytes(msgspec.json.encode(page(results, ENVELOPE)))


@cache
def _structs() -> tuple[Any, ...]:
    msgspec = importlib.import_module("msgspec")
    tally = msgspec.defstruct("Tally", ["earned", "possible", "percent"], gc=False)
    block = msgspec.defstruct("Block", ["course_key", "block_key", "completion"], gc=False)
    fields = ["course_key", "completion", "username", *LEVELS]
    return (
        tally,
        block,
        msgspec.defstruct("Entry", fields, gc=False),
        msgspec.defstruct("Page", ["results", "pagination"]),
    )


def _page(found: list[Entry]) -> dict[str, Any]:
    return {"results": [as_dict(entry) for entry in found], "pagination": ENVELOPE}


def _orjson() -> Any:
    return importlib.import_module("orjson")


#: By name: how, and what must be installed for it.
WAYS: Final[dict[str, tuple[Callable[[list[Entry]], bytes], str]]] = {
    "json": (stdlib, "json"),
    "rest_framework": (rest_framework, "rest_framework"),
    "orjson, whole": (orjson_whole, "orjson"),
    "orjson, fragments": (orjson_fragments, "orjson"),
    "stencils": (stencils, "orjson"),
    "stencils, numpy": (stencils_of_numpy, "orjson"),
    "stencils, joined": (stencils_joined, "orjson"),
    "msgspec": (structs, "msgspec"),
}


def measure(way: str, shape: str) -> dict[str, Any]:
    """Return CPU milliseconds (median and least) and memory of one way; what it writes must be right."""
    write, found = WAYS[way][0], entries(SHAPES[shape])
    write(entries(1))  # imports
    forget_peak()
    before = resident_mb()
    written = write(found)
    after = peak_mb()
    assert json.loads(written) == _page(found), way
    times = list(_times(lambda: write(found), 40 if shape == "page of 100" else 200))
    grown = None if before is None or after is None else round(after - before, 1)
    return {"cpu_ms": 1000 * median(times), "least_ms": 1000 * min(times), "peak_mb": grown, "bytes": len(written)}


def _times(write: Callable[[], object], count: int) -> Iterator[float]:
    for _ in range(count):
        began = process_time()
        write()
        yield process_time() - began


def main() -> None:
    """Measure one way, or all of them by turns, and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.json_paths", description=__doc__)
    parser.add_argument("way", nargs="?", choices=WAYS)
    parser.add_argument("shape", nargs="?", choices=SHAPES, default="page of 100")
    parser.add_argument("--runs", type=int, default=3, help="medians are taken of so many")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.shape)))
        return
    print(f"{'shape':12} {'way':18} {'CPU ms':>8} {'least':>8} {'MB':>6} {'bytes':>10}")
    for shape in SHAPES:
        for way, runs in _by_turns(shape, options.runs).items():
            middle = {name: median(each[name] for each in runs) for name in runs[0] if runs[0][name] is not None}
            memory = f"{middle.get('peak_mb', float('nan')):6.1f} {middle['bytes']:10,}"
            print(f"{shape:12} {way:18} {middle['cpu_ms']:8.3f} {middle['least_ms']:8.3f} {memory}", flush=True)


def _by_turns(shape: str, runs: int) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(runs):
        for way in (way for way, (_, library) in WAYS.items() if find_spec(library)):
            command = [sys.executable, "-m", "benchmarks.json_paths", way, shape]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
            found.setdefault(way, []).append(json.loads(done.stdout))
    return found


if __name__ == "__main__":
    main()
