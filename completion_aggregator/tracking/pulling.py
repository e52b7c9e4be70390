"""Copies of logs that lie elsewhere: each fetched once, resumed where it broke off, and never one deleted.

What was fetched is noted in a small database beside the copies. Without it nothing is lost: files are then compared by
content.
"""

import errno
import fcntl
import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

from completion_aggregator.meter import Meter
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.sources import BLOCK, Source, as_text, listed, opened_at

RECORD: Final = ".pulled.sqlite"
_LOCK: Final = ".pulling.lock"
_MD5: Final = re.compile(r"[0-9a-f]{32}")
#: With these, the next file would fare no better.
_HOPELESS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

_CREATE: Final = """
CREATE TABLE IF NOT EXISTS pulled (
    name TEXT PRIMARY KEY, url TEXT NOT NULL, size INTEGER NOT NULL, stamp TEXT NOT NULL, pulled TEXT NOT NULL
) STRICT
"""
_NOTE: Final = "INSERT OR REPLACE INTO pulled (name, url, size, stamp, pulled) VALUES (?, ?, ?, ?, ?)"


class PullFailed(TrackingError):
    """Nothing more can be fetched into this folder; what was fetched before stays, and the next run goes on."""


class _Incomplete(TrackingError):
    """One file could not be fetched; the others can."""


class State(Enum):
    """What a file is to the folder of copies."""

    NEW = "new"
    CHANGED = "changed"
    KNOWN = "known"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Planned:
    """A file, what it is to us, and why it is refused."""

    source: Source
    state: State
    why: str = ""


@dataclass(slots=True)
class Pulled:
    """What came of it. ``kept``: older versions that were put aside."""

    fetched: list[Planned] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left: int = 0
    bytes: int = 0
    resumed_bytes: int = 0


def plan(
    location: str, folder: Path, *, pattern: str | None = None, options: Mapping[str, Any] | None = None
) -> list[Planned]:
    """Return the files at a place and what each is to the folder; nothing is written.

    Raises PullFailed where the folder lies in the place itself.
    """
    _refuse_own(location, folder)
    record = _recorded(folder)
    return [_planned(source, folder, record) for source in listed(location, pattern=pattern, options=options)]


def pull(planned: Sequence[Planned], folder: Path, *, meter: Meter, limit: int | None = None) -> Pulled:
    """Fetch what is new and changed; a file that cannot be fetched does not keep the others."""
    result = Pulled(failed=[(each.source.url, each.why) for each in planned if each.state is State.REFUSED])
    wanted = [each for each in planned if each.state in {State.NEW, State.CHANGED}]
    result.left = len(wanted) - len(wanted[:limit])
    with _locked(folder), closing(_record(folder)) as record:
        fetch = _Fetch(folder, record, meter, result)
        for each in wanted[:limit]:
            try:
                fetch.one(each)
            except OSError as error:
                if error.errno in _HOPELESS:
                    raise _hopeless(folder, error) from None
                result.failed.append((each.source.url, f"{error.strerror or error}"))
            except sqlite3.Error as error:
                raise _damaged(folder, error) from None
            except TrackingError as error:
                result.failed.append((each.source.url, str(error)))
    return result


def _refuse_own(location: str, folder: Path) -> None:
    """Refuse copies that lie among what is copied: the next run would copy them, too."""
    place, to = Path(location).resolve(), folder.resolve()
    if "://" in location or not place.exists():
        return
    place = place if place.is_dir() else place.parent
    is_listed = to.is_relative_to(place) and not any(part.startswith(".") for part in to.relative_to(place).parts)
    if to == place or (Path(location).is_dir() and is_listed):
        raise PullFailed(f"{folder} lies in {location}, and would be copied into itself: pull into another folder.")


def _planned(source: Source, folder: Path, record: Mapping[str, tuple[str, int, str]]) -> Planned:
    if why := _leaves(source.name, folder):
        return Planned(source, State.REFUSED, why)
    target, known = folder / source.name, record.get(as_text(source.name))
    if known and known[0] != source.url:
        return Planned(
            source, State.REFUSED, f"{as_text(str(target))} is the copy of {known[0]}: pull this into another folder."
        )
    try:
        size = target.lstat().st_size
    except OSError:
        return Planned(source, State.NEW)
    is_known = known is not None and known[2] == source.stamp and known[1] == size
    return Planned(source, State.KNOWN if is_known else State.CHANGED)


def _leaves(name: str, folder: Path) -> str:
    """Say why a file must not be written where its name says."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        return f"its name {name!r} leads out of the folder, or nowhere."
    if not (folder / path).parent.resolve().is_relative_to(folder.resolve()):
        return f"its name {name!r} leads out of the folder by a link in it."
    return ""


class _Fetch:
    """Fetches files one by one."""

    def __init__(self, folder: Path, record: sqlite3.Connection, meter: Meter, result: Pulled) -> None:
        self._folder, self._record, self._meter, self._result = folder, record, meter, result
        #: Some stores name encrypted files by what looks like an MD5 and is none.
        self._trusts_etags = True

    def one(self, planned: Planned) -> None:
        """Fetch a file whole, put it in its place, and note it."""
        source = planned.source
        target = self._folder / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Another version of the file has another name here, so that two halves never become one.
        version = hashlib.sha256(f"{source.url}\0{source.stamp}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
        part = target.with_name(f".{target.name[:200]}.{version}.part")
        self._fetched(source, part)
        self._put_aside(target, part)
        part.replace(target)
        _sync_folder(target.parent)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._record:
            self._record.execute(_NOTE, (as_text(source.name), source.url, target.stat().st_size, source.stamp, now))
        self._result.fetched.append(planned)

    def _fetched(self, source: Source, part: Path) -> None:
        """Fill the part, from where it ends."""
        start = part.stat().st_size if part.exists() else 0
        if source.size < 0 or start > source.size:
            start = 0  # whoever does not tell the size cannot be resumed
        digest = self._filled(source, part, start)
        if not (self._trusts_etags and _MD5.fullmatch(source.etag)) or digest == source.etag:
            return
        for _ in range(2):  # what was resumed may have a wrong beginning, so that the first whole one is the second
            before, digest = digest, self._filled(source, part, 0)
            if digest in {source.etag, before}:
                self._trusts_etags = digest == source.etag  # the same twice: what it has is no checksum
                return
        raise _Incomplete(f"{source.url} came with another checksum each time. It will be fetched again.")

    def _filled(self, source: Source, part: Path, start: int) -> str:
        """Fetch a file from a position on; return the MD5 of the whole."""
        digest = hashlib.md5(usedforsecurity=False)
        with part.open("r+b" if start else "wb") as file:
            for block in _blocks(file, start):
                digest.update(block)
            file.seek(start)
            self._result.resumed_bytes += start
            done = self._copied(source, file, start, digest)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        if 0 <= source.size != done:
            raise _Incomplete(
                f"{source.url} ended after {done:,} of {source.size:,} bytes. The next run goes on there."
            )
        return digest.hexdigest()

    def _copied(self, source: Source, file: BinaryIO, start: int, digest: "hashlib._Hash") -> int:
        """Copy what is beyond ``start``; return where that ends."""
        done = start
        with closing(opened_at(source, start)) as stream:
            # A log that grows meanwhile is fetched as it was listed; what came later is the next run's.
            while done != source.size and (
                block := stream.read(min(BLOCK, source.size - done) if source.size >= 0 else BLOCK)
            ):
                file.write(block)
                digest.update(block)
                done += len(block)
                self._result.bytes += len(block)
                self._meter.show(
                    self._result.bytes + self._result.resumed_bytes,
                    f"{source.name}, {self._result.bytes / 1e6:,.0f} MB",
                )
        return done

    def _put_aside(self, target: Path, part: Path) -> None:
        """Keep the copy at hand under another name, unless the new one begins with all of it."""
        if not os.path.lexists(target) or (target.is_file() and _begins_with(part, target)):
            return
        stamp = datetime.fromtimestamp(target.lstat().st_mtime, UTC).strftime("%Y%m%dT%H%M%SZ")
        kept, number = target.with_name(f"{target.name}.{stamp}"), 1
        while os.path.lexists(kept):
            number += 1
            kept = target.with_name(f"{target.name}.{stamp}-{number}")
        target.rename(kept)
        self._result.kept.append(as_text(str(kept)))


def _blocks(file: BinaryIO, length: int) -> Iterator[bytes]:
    file.seek(0)
    while length and (block := file.read(min(BLOCK, length))):
        yield block
        length -= len(block)


def _begins_with(whole: Path, beginning: Path) -> bool:
    if beginning.stat().st_size > whole.stat().st_size:
        return False
    with whole.open("rb") as first, beginning.open("rb") as second:
        while block := second.read(BLOCK):
            if first.read(len(block)) != block:
                return False
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder; the lock goes with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("w")
    except OSError as error:
        raise PullFailed(f"Nothing can be written to {folder}: {error.strerror}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PullFailed(
                f"Another process pulls into {folder}. Wait for it, or pull into another folder."
            ) from None
        yield


def _record(folder: Path) -> sqlite3.Connection:
    try:
        record = sqlite3.connect(folder / RECORD, timeout=30)
        try:
            record.execute(_CREATE)
        except sqlite3.Error:
            record.close()
            raise
    except sqlite3.Error as error:
        raise _damaged(folder, error) from None
    return record


def _recorded(folder: Path) -> dict[str, tuple[str, int, str]]:
    """Return what was noted: by name the address, the size and the stamp."""
    if not (folder / RECORD).exists():
        return {}
    with closing(_record(folder)) as record:
        try:
            rows = record.execute("SELECT name, url, size, stamp FROM pulled").fetchall()
        except sqlite3.Error as error:
            raise _damaged(folder, error) from None
    return {name: cast(tuple[str, int, str], tuple(rest)) for name, *rest in rows}


def _damaged(folder: Path, error: sqlite3.Error) -> PullFailed:
    return PullFailed(
        f"{folder / RECORD} cannot be used: {error}. If it is damaged, move it away: files are then fetched again and"
        " compared with the copies."
    )


def _hopeless(folder: Path, error: OSError) -> PullFailed:
    return PullFailed(
        f"Nothing more can be written to {folder}: {error.strerror}. What was fetched stays; make room and run it"
        " again, and it goes on where it stopped."
    )
