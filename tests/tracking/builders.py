"""What tests of loading need: events as lines, a store, and all that the ledger says is in it."""

import gzip
import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from completion_aggregator.tracking import actors, headings, loading, places, reading, tables
from completion_aggregator.tracking.clerk import Summary
from completion_aggregator.tracking.contents import Content, Lines
from completion_aggregator.tracking.ledger import COUNTS
from completion_aggregator.tracking.load import Settings
from completion_aggregator.tracking.parts import INCOMING
from completion_aggregator.tracking.sources import Source, listed
from completion_aggregator.tracking.store import Store
from completion_aggregator.tracking.transform import EVENT_ROW, Transform

DAY = datetime(2024, 2, 1, tzinfo=UTC)
LOG = "tracking.log-20240201"
COURSE = "course-v1:DemoU+C001+2024_T1"
KEYS = {name: f"{number:064x}" for number, name in enumerate(("person", "session", "address"), 1)}

Row = dict[str, Any]


def event(second: float = 0, **fields: Any) -> dict[str, Any]:
    """An event as the platform writes it, so many seconds into the day; ``None`` leaves a field out."""
    found: dict[str, Any] = {
        "name": "page_close",
        "context": {"user_id": 7, "path": "/event", "course_id": COURSE, "org_id": "DemoU"},
        "username": "alice",
        "session": "5e55",
        "ip": "192.0.2.7",
        "agent": "Mozilla/5.0",
        "host": "courses.example.org",
        "event": "{}",
        "time": at(second),
        "event_type": "page_close",
        "event_source": "browser",
        "page": "https://courses.example.org/",
    }
    if "name" in fields:
        found["event_type"] = fields["name"]
    found.update(fields)
    return {name: value for name, value in found.items() if value is not None}


def at(second: float = 0, **days: float) -> str:
    return (DAY + timedelta(seconds=second, **days)).isoformat(timespec="microseconds")


def line(second: float = 0, **fields: Any) -> bytes:
    return json.dumps(event(second, **fields)).encode()


def rows_of(loop: Transform) -> list[Row]:
    """The rows of the events in a batch, with what they share."""
    found = []
    for values in loop.events:
        row = dict(zip(EVENT_ROW, values, strict=True))
        for name, module in (("actor", actors), ("place", places), ("heading", headings)):
            row |= dict(zip(module.COLUMNS, loop.groups[name].rows[row.pop(name)], strict=True))
        found.append(row)
    return found


def lines(count: int, first: int = 0) -> bytes:
    return b"".join(line(second) + b"\n" for second in range(first, first + count))


def packed(*members: bytes) -> bytes:
    return b"".join(gzip.compress(member, 1, mtime=0) for member in members)


def new_store(folder: Path, name: str = "store") -> Store:
    """A store whose keys are the same in every test."""
    keys = folder / f"{name}-keys.json"
    keys.write_text(json.dumps(KEYS))
    keys.chmod(0o600)
    store = Store(folder / name, folder / f"{name}-private", keys)
    store.create()
    return store


def put(path: Path, content: bytes, *, settled: bool = True) -> Path:
    """Write a log; one that is settled was last written to long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if settled:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def settings_of(store: Store, **given: Any) -> Settings:
    return Settings(store.roots, store.keys, **given)


def load(store: Store, *paths: Path | Source, workers: int = 1, **given: Any) -> Summary:
    """Load files, one after the other as they are given."""
    sources = [each for path in paths for each in ([path] if isinstance(path, Source) else listed(str(path)))]
    return loading.load(store, sources, settings_of(store, **given), lambda *_: None, workers=workers)


def in_small_loads(monkeypatch: Any, *, load_bytes: int = 4096, batch_events: int = 5, block: int = 1024) -> None:
    """Let files of a few KB take many loads, as those of many GB do."""
    from completion_aggregator.tracking import contents

    monkeypatch.setattr(reading, "LOAD_BYTES", load_bytes)
    monkeypatch.setattr(reading, "BATCH_EVENTS", batch_events)
    monkeypatch.setattr(contents, "_PACKED_BLOCK", block)


def rows(store: Store, name: str) -> list[Row]:
    """All rows of a table, in an order of their own."""
    root = store.roots.of(name)
    with store.reading() as ledger:
        parts = ledger.parts(name)
    found: list[Row] = []
    for part in parts:
        table = pq.ParquetFile(root / part.path).read()
        assert table.num_rows == part.rows
        assert (root / part.path).stat().st_size == part.bytes
        found += [row | {"day": part.day} for row in table.to_pylist()]
    return sorted(found, key=repr)


def events(store: Store) -> list[Row]:
    """The events, without the loads that brought them."""
    return without(rows(store, "event"), "load")


def times_of(found: list[Row]) -> list[str]:
    return sorted(row["time"].isoformat(timespec="microseconds") for row in found)


def without(found: list[Row], *names: str) -> list[Row]:
    return sorted(({key: row[key] for key in row if key not in names} for row in found), key=repr)


def contents_of(store: Store) -> dict[str, Any]:
    """All that a store holds, apart from which load brought it, and who was seen in all loads together.

    Contents are told by their digests: their numbers depend on which is begun first.
    """
    with store.reading() as ledger:
        digests = {row["source"]: row["digest"] for row in ledger.rows("SELECT source, digest FROM source")}
    names = [each.name for each in (*tables.TYPED, tables.EVENT_PRIVATE, tables.ACCOUNT, tables.TEXT)]
    found: dict[str, Any] = {name: without(rows(store, name), "load") for name in ("event", *names)}
    refused = [row | {"source": digests[row["source"]]} for row in rows(store, "quarantine")]
    found["quarantine"] = without(refused, "load")
    found["copies"] = Counter(row["event_id"] for row in rows(store, "copy"))
    found["people"] = people(store)
    return found


def people(store: Store) -> dict[tuple[Any, ...], tuple[datetime, datetime]]:
    seen: dict[tuple[Any, ...], tuple[datetime, datetime]] = {}
    for row in rows(store, "person"):
        key = (row["person"], row["user_id"], row["username"])
        first, last = seen.get(key, (row["first"], row["time"]))
        seen[key] = min(first, row["first"]), max(last, row["time"])
    return seen


def totals(store: Store) -> dict[str, int]:
    """The counts of all loads, which are those of all sources, and add up."""
    sums = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in (*COUNTS, "bytes"))
    with store.reading() as ledger:
        of_loads, of_sources = (dict(ledger.rows(f"SELECT {sums} FROM {table}")[0]) for table in ("load", "source"))
        each = [dict(row) for row in ledger.rows("SELECT * FROM source")]
    assert of_loads == of_sources
    for found in (*each, of_loads):
        assert adds_up(found), found
    return of_loads


def adds_up(found: Any) -> bool:
    return bool(
        found["lines"] - found["blank"] + found["joined"] == found["events"] + found["copies"] + found["quarantined"]
    )


def strays(store: Store) -> list[str]:
    """Files of the store that the ledger does not name."""
    with store.reading() as ledger:
        known = {store.roots.of(name) / part.path for name in tables.TABLES for part in ledger.parts(name)}
    roots = (store.folder, store.private_folder)
    found = [path for root in roots for path in root.rglob("*") if path.is_file() and path not in known]
    return sorted(path.name for path in found if path.name != "lock" and not path.name.startswith("ledger."))


def waiting(store: Store) -> list[Path]:
    """What stands aside."""
    return [each for root in (store.folder, store.private_folder) for each in root.glob(f"{INCOMING}/*")]


def plain(content: Content) -> bytes:
    return b"".join(content.blocks())


def handed_out(found: Lines) -> list[bytes]:
    """The lines, those that are too long by their first bytes."""
    out: list[bytes] = []
    for each in found:
        out += each if isinstance(each, list) else [each.begin]
    return out
