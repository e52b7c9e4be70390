"""The ledger: a SQLite file that says what was loaded, from where, and which parts are part of the store.

One transaction moves parts, offsets and counts together; readers see what it names, and nothing else.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from completion_aggregator.tracking.errors import DamagedStore
from completion_aggregator.tracking.seen import Ids

VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE load (
    load INTEGER PRIMARY KEY, run TEXT NOT NULL, began TEXT NOT NULL, ended TEXT NOT NULL, seconds REAL NOT NULL,
    version TEXT NOT NULL, key_id TEXT NOT NULL, bytes INTEGER NOT NULL, lines INTEGER NOT NULL, blank INTEGER NOT NULL,
    joined INTEGER NOT NULL, events INTEGER NOT NULL, copies INTEGER NOT NULL, quarantined INTEGER NOT NULL,
    repaired INTEGER NOT NULL
);
CREATE TABLE source (
    source INTEGER PRIMARY KEY, name TEXT NOT NULL, head BLOB NOT NULL, length INTEGER NOT NULL, digest BLOB NOT NULL,
    log_day TEXT, damage TEXT NOT NULL, load INTEGER NOT NULL, bytes INTEGER NOT NULL, lines INTEGER NOT NULL,
    blank INTEGER NOT NULL, joined INTEGER NOT NULL, events INTEGER NOT NULL, copies INTEGER NOT NULL,
    quarantined INTEGER NOT NULL, repaired INTEGER NOT NULL, first TEXT, last TEXT
);
CREATE INDEX source_head ON source (head);
CREATE TABLE prefix (
    source INTEGER NOT NULL, length INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (source, length)
) WITHOUT ROWID;
CREATE TABLE place (url TEXT PRIMARY KEY, stamp TEXT NOT NULL, packed BLOB, source INTEGER NOT NULL, seen TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX place_packed ON place (packed);
CREATE TABLE part (
    path TEXT PRIMARY KEY, name TEXT NOT NULL, day INTEGER NOT NULL, load INTEGER NOT NULL, rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX part_day ON part (name, day);
CREATE TABLE misdated (high INTEGER NOT NULL, low INTEGER NOT NULL, PRIMARY KEY (high, low)) WITHOUT ROWID;
CREATE TABLE field (
    name TEXT NOT NULL, path TEXT NOT NULL, type TEXT NOT NULL, first TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (name, path, type)
) WITHOUT ROWID;
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
#: What each version brought, beyond the first.
_STEPS: Final = {
    2: """
CREATE TABLE IF NOT EXISTS tombstone (hash BLOB PRIMARY KEY, forgotten TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS superseded (path TEXT PRIMARY KEY, name TEXT NOT NULL, until TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS renaming (target TEXT PRIMARY KEY, staged TEXT NOT NULL) WITHOUT ROWID;
""",
}

COUNTS: Final = ("lines", "blank", "joined", "events", "copies", "quarantined", "repaired")
#: Names of events and fields that are kept apart in the catalogue of drift: what a plug-in makes up without end.
_MOST_FIELDS: Final = 50_000


@dataclass(slots=True)
class Progress:
    """How far a load read the content of a file, and what it found there.

    ``source`` is its number, ``length`` and ``digest`` are of the plain bytes from the start that are loaded now.
    """

    source: int
    url: str
    name: str
    stamp: str
    head: bytes
    length: int = 0
    digest: bytes = b""
    packed: bytes | None = None
    log_day: str | None = None
    is_dated: bool = False
    damage: str = ""
    bytes: int = 0
    first: str | None = None
    last: str | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def rest_of(self) -> "Progress":
        """Return the same file from here on, for the next load."""
        return replace(self, bytes=0, first=None, last=None, counts=Counter())


@dataclass(frozen=True, slots=True)
class Part:
    """A Parquet file of the store: its path below the folder of its kind, open or private."""

    path: str
    name: str
    day: int
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Known:
    """A content that was loaded: its number, and how far. ``digest`` is that of its first *length* bytes."""

    source: int
    length: int
    digest: bytes


class Ledger:
    """The ledger of one store. Raises DamagedStore for a file that is none."""

    def __init__(self, path: Path, *, create: bool = False, read_only: bool = False) -> None:
        if not create and not path.exists():
            raise DamagedStore(f"{path} is missing: `tracking store init` makes a store, a backup brings this one back")
        self._path = path
        mode = "ro" if read_only else "rwc" if create else "rw"
        try:
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=30, isolation_level=None
            )
            try:
                self._begin(create=create, read_only=read_only)
            except BaseException:
                self._db.close()
                raise
        except sqlite3.DatabaseError as error:
            raise DamagedStore(f"{path} is no ledger: {error}") from error

    def _begin(self, *, create: bool, read_only: bool) -> None:
        self._db.row_factory = sqlite3.Row
        if create:
            self._create()
        else:
            _require(self._path, self._one("PRAGMA user_version"))
        if not read_only:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all or nothing. Raises DamagedStore where the disk does not let it."""
        with self._telling():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # of some errors SQLite takes back all by itself
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say of which file it is that SQLite speaks."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise DamagedStore(f"{self._path} cannot be read or written: {error}") from error

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        with self._telling():
            return self._db.execute(sql, values).fetchall()

    def next_load(self) -> int:
        """Return the number that follows those of all loads."""
        return int(self._one("SELECT coalesce(max(load), 0) + 1 FROM load"))

    def next_source(self) -> int:
        """Return the number that follows those of all sources."""
        return int(self._one("SELECT coalesce(max(source), 0) + 1 FROM source"))

    def at_place(self, url: str) -> tuple[str, int] | None:
        """Return the stamp of the file when it was last seen there, and its source."""
        found = self.rows("SELECT stamp, source FROM place WHERE url = ?", url)
        return (found[0]["stamp"], found[0]["source"]) if found else None

    def packed_alike(self, packed: bytes) -> int | None:
        """Return the source whose file had these bytes, packed or not, when it was read to its end."""
        found = self.rows("SELECT source FROM place WHERE packed = ? LIMIT 1", packed)
        return int(found[0]["source"]) if found else None

    def with_head(self, head: bytes) -> list[Known]:
        """Return the contents that begin with this line, and each point to which a load read them, ascending."""
        sql = (
            "SELECT p.source, p.length, p.digest FROM prefix p JOIN source s ON s.source = p.source WHERE s.head = ?"
            " ORDER BY p.length"
        )
        return [Known(row["source"], row["length"], row["digest"]) for row in self.rows(sql, head)]

    def parts(self, name: str, days: tuple[int, int] | None = None) -> list[Part]:
        """Return the parts of a table, of all days or from the first to the last given, in order of days and loads."""
        low, high = days or (-(2**40), 2**40)
        sql = "SELECT * FROM part WHERE name = ? AND day BETWEEN ? AND ? ORDER BY day, load, path"
        return [Part(*(row[key] for key in Part.__slots__)) for row in self.rows(sql, name, low, high)]

    def misdated(self) -> Ids:
        """Return the ids of events that stand under another day than their own."""
        rows = self._db.execute("SELECT high, low FROM misdated").fetchall()
        return np.array([(row[0], row[1]) for row in rows], np.int64).reshape(-1, 2).view(np.uint64)

    def tombstones(self) -> frozenset[bytes]:
        """Return the pseudonyms of whoever was forgotten, by number and by name."""
        return frozenset(row["hash"] for row in self.rows("SELECT hash FROM tombstone"))

    def note(self, name: str) -> str | None:
        """Return what is noted under a name."""
        found = self.rows("SELECT value FROM note WHERE name = ?", name)
        return str(found[0]["value"]) if found else None

    def set_note(self, name: str, value: str) -> None:
        """Note something of the store."""
        self._db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    def saw(self, url: str, stamp: str, packed: bytes | None, source: int) -> None:
        """Note that a file holds what is loaded already."""
        values = (url, stamp, packed, source, _now())
        with self._telling():
            self._db.execute("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?)", values)

    def _create(self) -> None:
        if self._one("SELECT count(*) FROM sqlite_master"):
            raise DamagedStore("this store has a ledger already")
        steps = "".join(_STEPS.values())
        self._db.executescript(f"BEGIN; {_SCHEMA} {steps} PRAGMA user_version = {VERSION}; COMMIT;")

    def _one(self, sql: str) -> Any:
        return self._db.execute(sql).fetchone()[0]


def migrate(path: Path) -> int:
    """Bring a ledger to the version of this program; return the one that it had. Raises DamagedStore."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30, isolation_level=None)
    try:
        had = int(db.execute("PRAGMA user_version").fetchone()[0])
        if had not in range(1, VERSION):
            _require(path, had)
        for version in range(had + 1, VERSION + 1):
            db.executescript(f"BEGIN IMMEDIATE; {_STEPS[version]} PRAGMA user_version = {version}; COMMIT;")
    except sqlite3.DatabaseError as error:
        raise DamagedStore(f"{path} is no ledger: {error}") from error
    finally:
        db.close()
    return had


def _require(path: Path, version: int) -> None:
    if version > VERSION:
        raise DamagedStore(
            f"{path} is of version {version}, and this program knows none above {VERSION}: install the program that"
            " wrote it, or a newer one"
        )
    if version == 0:
        raise DamagedStore(f"{path} is no ledger: bring it back from a backup")
    if version < VERSION:
        raise DamagedStore(
            f"{path} is of version {version}, and this program writes {VERSION}: run `tracking store migrate`"
        )


@dataclass(slots=True)
class Delivery:
    """A load that is written, in the folder *aside*, and waits to be committed."""

    load: int
    aside: str
    began: datetime
    seconds: float = 0.0
    sources: list[Progress] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    fields: Counter[tuple[str, str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Run:
    """What all loads of a run share."""

    run: str
    version: str
    key_id: str


def commit(ledger: Ledger, run: Run, load: Delivery, misdated: Ids) -> None:
    """Make a load part of the store, all at once. *misdated*: ids that stand under another day than their own."""
    with ledger.transaction() as db:
        total: Counter[str] = sum((each.counts for each in load.sources), Counter())
        db.execute(
            "INSERT INTO load VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                load.load,
                run.run,
                load.began.isoformat(),
                _now(),
                load.seconds,
                run.version,
                run.key_id,
                sum(each.bytes for each in load.sources),
                *(total[name] for name in COUNTS),
            ),
        )
        for each in load.sources:
            _commit_source(db, load.load, each)
        db.executemany(
            "INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)",
            [(each.path, each.name, each.day, load.load, each.rows, each.bytes) for each in load.parts],
        )
        signed = misdated.view(np.int64)
        db.executemany("INSERT OR IGNORE INTO misdated VALUES (?, ?)", signed.tolist())
        _commit_fields(db, load.fields)


def _commit_source(db: sqlite3.Connection, load: int, each: Progress) -> None:
    db.execute(
        "INSERT INTO source VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (source) DO UPDATE SET length = max(length, excluded.length),"
        " digest = CASE WHEN excluded.length >= length THEN excluded.digest ELSE digest END,"
        " damage = excluded.damage, load = excluded.load,"
        " log_day = coalesce(log_day, excluded.log_day),"
        " first = coalesce(min(first, excluded.first), first, excluded.first),"
        " last = coalesce(max(last, excluded.last), last, excluded.last), bytes = bytes + excluded.bytes,"
        + ", ".join(f" {name} = {name} + excluded.{name}" for name in COUNTS),
        (
            each.source,
            each.name,
            each.head,
            each.length,
            each.digest,
            each.log_day,
            each.damage,
            load,
            each.bytes,
            *(each.counts[name] for name in COUNTS),
            each.first,
            each.last,
        ),
    )
    db.execute("INSERT OR REPLACE INTO prefix VALUES (?, ?, ?)", (each.source, each.length, each.digest))
    values = (each.url, each.stamp, each.packed, each.source, _now())
    db.execute("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?)", values)


def _commit_fields(db: sqlite3.Connection, fields: Mapping[tuple[str, str, str], int]) -> None:
    kept = db.execute("SELECT count(*) FROM field").fetchone()[0]
    now = _now()
    for (name, path, kind), count in fields.items():
        if kept < _MOST_FIELDS:
            sql = "INSERT INTO field VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
            kept += db.execute(sql, (name, path, kind, now, count)).rowcount
        else:
            sql = "UPDATE field SET count = count + ? WHERE name = ? AND path = ? AND type = ?"
            db.execute(sql, (count, name, path, kind))


def as_json(rows: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    """Return rows as JSON takes them; digests as hex."""
    plain = [{key: row[key] for key in row.keys()} for row in rows]  # noqa: SIM118 (a Row is iterated by values)
    found: list[dict[str, Any]] = json.loads(json.dumps(plain, default=lambda value: value.hex()))
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
