"""Files of logs, wherever they lie: a folder, a pattern of names, an object store, another machine.

Who may read a store is settled where its library looks for it (environment, its own files, an agent): an address with a
password in it is refused, since addresses are shown, kept and logged.
"""

import errno
import fnmatch
import io
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from fsspec.core import url_to_fs  # type: ignore[import-untyped] # it has no types

from completion_aggregator.tracking.errors import Unreadable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK: Final = 2**20
_REMOTE_BLOCK: Final = 8 * 2**20

#: Names of files that are logs, unless the caller says otherwise, and of those that then are not.
LOGS: Final = ("*tracking*.log*", "*.log", "*.log-*", "*.log.*", "*.gz", "*.jsonl", "*.ndjson")
NO_LOGS: Final = ("*.tar.gz", "*.sql.gz", "*.csv.gz", "*.xml.gz", "*.bson.gz")
_UNFINISHED: Final = (
    ".*",
    "*~",
    "~*",
    "#*#",
    "*.tmp",
    "*.temp",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.swp",
)

_DATE: Final = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)(?!\d{3})")
_NUMBER: Final = re.compile(r"(\d+)")
#: What ``os.fsdecode`` makes of bytes that are no UTF-8.
_NO_TEXT: Final = re.compile("[\udc80-\udcff]")
_IPV6: Final = re.compile(r"[^/]*\[[^/]*::")
_MAGIC: Final = re.compile(r"[*?[]")
_STAMPS: Final = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "updated", "created")


@dataclass(frozen=True, slots=True)
class Source:
    """A file: where it is, its name below the place that was asked for, and what changes when it changes.

    ``url`` can be shown and kept; ``name`` and ``path`` are as the file system has them, which may be no text.
    """

    url: str
    name: str
    size: int
    stamp: str
    #: What remote systems say of its content: mostly its MD5.
    etag: str = ""
    system: Any = field(default=None, compare=False, repr=False)
    path: str = field(default="", compare=False, repr=False)


def listed(location: str, *, pattern: str | None = None, options: Mapping[str, Any] | None = None) -> Iterator[Source]:
    """Yield the logs at a place, by the date in their names; ``options`` go to the library of the file system."""
    found = _remote(location, pattern, options or {}) if "://" in location else _local(location, pattern)
    yield from sorted(found, key=lambda source: chronological(source.name))


def opened(source: Source) -> BinaryIO:
    """Open a file for reading; what goes wrong on the way is ``Unreadable`` and names the file."""
    if source.system is None:
        try:
            return open(source.path or source.url, "rb", buffering=BLOCK)  # noqa: PTH123 (names may be no Path)
        except OSError as error:
            raise _unreadable(source.url, error) from None
    return opened_at(source, 0)


def opened_at(source: Source, offset: int) -> BinaryIO:
    """Open a file and go to a position, without reading what is before it where the system can."""
    if source.system is None:
        stream = opened(source)
        stream.seek(offset)
        return stream
    try:
        file = source.system.open(source.path, "rb", block_size=_REMOTE_BLOCK, cache_type="readahead")
        if offset:
            file.seek(offset)
    except failures() as error:
        raise _unreadable(source.url, error) from None
    return io.BufferedReader(_Remote(file, source.url), BLOCK)


def as_text(name: str) -> str:
    """Return the name of a file as text: bytes that are none become escapes."""
    return (
        _NO_TEXT.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", name).encode(errors="backslashreplace").decode()
    )


def shown(location: str) -> str:
    """Return an address as it may be shown: without password, and without a query, which may be a signature."""
    location = as_text(location)
    scheme, slashes, rest = location.partition("://")
    if not slashes:
        return location
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    if scheme.startswith("http"):
        path = path.partition("?")[0]
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{path}"


def failures() -> tuple[type[Exception], ...]:
    """Return what the libraries at hand raise when a file system does not do what it is asked for."""
    found: list[type[Exception]] = [OSError, EOFError]
    for module, names in (
        ("paramiko", ("SSHException",)),
        ("botocore.exceptions", ("BotoCoreError", "ClientError")),
        ("aiohttp", ("ClientError",)),
        ("fsspec.exceptions", ("FSTimeoutError",)),
        ("zipfile", ("BadZipFile",)),
        ("tarfile", ("TarError",)),
    ):
        if module in sys.modules:
            found += [getattr(sys.modules[module], name) for name in names]
    return tuple(found)


def chronological(name: str) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """Return what sorts names by date, then by number; a log without a date is being written, and so the last."""
    date = _DATE.search(PurePosixPath(name).name) or _DATE.search(name)
    parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _NUMBER.split(name) if part)
    return ("".join(date.groups()) if date else "9", parts)


class _Remote(io.RawIOBase):
    """A remote file whose errors name it."""

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self._url = url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._file.read(len(view))
        except failures() as error:
            raise _unreadable(self._url, error) from None
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _is_picked(name: str, pattern: str | None) -> bool:
    """Say whether a file is meant that a pattern in the address names."""
    return _is_log(name, pattern) if pattern else not _matches(PurePosixPath(name).name, _UNFINISHED)


def _is_log(name: str, pattern: str | None) -> bool:
    """Say whether a file below a folder is meant; a pattern with a slash is held against the whole path."""
    base = PurePosixPath(name).name
    if _matches(base, _UNFINISHED) or any(part.startswith(".") for part in PurePosixPath(name).parts):
        return False
    if pattern is not None:
        return fnmatch.fnmatchcase(name if "/" in pattern else base, pattern)
    low = base.lower()
    return _matches(low, LOGS) and not _matches(low, NO_LOGS)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _unreadable(location: str, error: Exception) -> Unreadable:
    text = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())[:300] or type(error).__name__
    return Unreadable(f"{shown(location)} cannot be read: {text.rstrip('.')}.")


# This machine


def _local(location: str, pattern: str | None) -> Iterator[Source]:
    path = Path(location)
    if not location:
        raise Unreadable("The place of the logs is empty: give a file, a folder, or an address such as s3://bucket.")
    if _MAGIC.search(location) and not os.path.lexists(location):
        yield from _local_glob(location, pattern)
        return
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        raise _unreadable(location, error) from None
    if is_folder:
        yield from _local_folder(path, "", pattern)
    elif found := _local_file(path, path.name):
        yield found
    else:
        raise Unreadable(f"{location} cannot be read: it is neither a file nor a folder.")


def _local_glob(location: str, pattern: str | None) -> Iterator[Source]:
    parts = Path(location).parts
    fixed = next(at for at, part in enumerate(parts) if _MAGIC.search(part))
    root = Path(*parts[:fixed])
    found = sorted(root.glob("/".join(parts[fixed:])))
    if not found:
        raise Unreadable(f"{location} cannot be read: no file has such a name. Is the pattern right?")
    for path in found:
        name = path.relative_to(root).as_posix()
        if path.is_dir():
            yield from _local_folder(path, name + "/", pattern)
        elif _is_picked(name, pattern) and (each := _local_file(path, name)):
            yield each


def _local_folder(root: Path, name: str, pattern: str | None) -> Iterator[Source]:
    """Walk through a folder; each folder once, however many links lead to it."""
    seen: set[tuple[int, int]] = set()
    todo = [(root, name)]
    while todo:
        folder, prefix = todo.pop()
        try:
            at = folder.stat()
            if (at.st_dev, at.st_ino) in seen:
                continue
            seen.add((at.st_dev, at.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise _unreadable(str(folder), error) from None
        for entry in entries:
            told = prefix + entry.name
            if _is_folder(entry):
                if not entry.name.startswith("."):
                    todo.append((Path(entry.path), told + "/"))
            elif _is_log(told, pattern) and (found := _local_file(Path(entry.path), told)):
                yield found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads to itself


def _local_file(path: Path, name: str) -> Source | None:
    """Return a file, None if it is gone or no file: a pipe, a device.

    One that cannot be looked at, such as a link to nothing, is returned, too: whoever opens it is told why.
    """
    url = as_text(str(path.absolute()))
    try:
        at = path.stat()
    except OSError:
        return Source(url, name, 0, "", path=str(path)) if os.path.lexists(path) else None
    if not stat.S_ISREG(at.st_mode):
        return None
    stamp = f"{at.st_size}-{at.st_mtime_ns}-{at.st_ctime_ns}-{at.st_ino}"
    return Source(url, name, at.st_size, stamp, path=str(path))


# Elsewhere


def _remote(location: str, pattern: str | None, options: Mapping[str, Any]) -> Iterator[Source]:
    system, path = _connected(location, options)
    try:
        try:
            entries, root, wanted = _entries(system, path.rstrip("/"), pattern)
        except ValueError as error:
            raise _misplaced(location, error) from None
        for info in entries:
            name = info["name"][len(root) :].lstrip("/")
            if wanted(name) and (found := _resolved(system, info)):
                yield _remote_file(location, system, found, name)
    except failures() as error:
        raise _unreadable(location, error) from None


def _connected(location: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    scheme, _, rest = location.partition("://")
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        raise Unreadable(
            f"{shown(location)} was given with a password. Take it out of the address: it is read from the environment,"
            " the files of the library or a key agent."
        )
    if _IPV6.match(rest):
        raise Unreadable(f"{shown(location)}: give the host by its name. fsspec takes :: for two addresses.")
    if scheme in {"file", "local"}:
        raise Unreadable(f"{location}: write a file of this machine as its path, without {scheme}://.")
    address, own = _over_ssh(location) if scheme in {"sftp", "ssh"} else (location, {})
    try:
        system, path = url_to_fs(address, **{**own, **options})
        system.invalidate_cache()
    except (ImportError, ValueError, TypeError) as error:
        # TypeError: what an address lacks is an argument that its file system misses.
        raise _misplaced(location, error) from None
    except failures() as error:
        raise _unreadable(location, error) from None
    return system, str(path)


def _misplaced(location: str, error: Exception) -> Unreadable:
    return Unreadable(
        f"{shown(location)} cannot be read: {error}. Places are a path, s3://bucket/prefix, sftp://user@host/path, or"
        " what fsspec knows."
    )


def _entries(system: Any, path: str, pattern: str | None) -> tuple[list[dict[str, Any]], str, Callable[[str], bool]]:
    """Return what is at a path, the path below which their names begin, and which of the names are wanted."""
    magic = _MAGIC.search(path)
    if magic and "http" not in system.protocol:
        found = list(system.glob(path, detail=True).values())
        if not found:
            raise FileNotFoundError(errno.ENOENT, "no file has such a name. Is the pattern right?")
        return found, path[: magic.start()].rpartition("/")[0], lambda name: _is_picked(name, pattern)
    try:
        info = system.info(path)
    except FileNotFoundError:
        # A prefix of an object store need not end where a name does.
        parent, _, prefix = path.rpartition("/")
        found = list(system.find(parent, prefix=prefix, detail=True).values()) if system.async_impl and parent else []
        if not found:
            raise
        return found, parent, lambda name: _is_log(name, pattern)
    if info["type"] == "file":
        return [info], path.rpartition("/")[0], lambda _: True
    # A folder that may not be read is told, not left out.
    wanted = {} if system.async_impl else {"on_error": "raise"}
    return list(system.find(path, detail=True, **wanted).values()), path, lambda name: _is_log(name, pattern)


def _resolved(system: Any, info: dict[str, Any]) -> dict[str, Any] | None:
    """Return a file, or what a link to a file leads to; folders behind links are not followed."""
    if info["type"] == "link":
        try:
            info = {**system.info(info["name"]), "name": info["name"]}
        except OSError:
            return {**info, "size": 0}  # a link to nothing, or to itself: whoever opens it is told
    return info if info["type"] == "file" else None


def _remote_file(location: str, system: Any, info: dict[str, Any], name: str) -> Source:
    size = int(info["size"] if info.get("size") is not None else -1)
    etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
    stamp = next((info[key] for key in _STAMPS if info.get(key)), "")
    told = stamp.isoformat() if hasattr(stamp, "isoformat") else str(stamp).strip('"')
    scheme, _, rest = location.partition("://")
    # Only these have a host before the path.
    host = rest.partition("/")[0] if scheme in {"sftp", "ssh", "ftp", "smb", "webdav", "webhdfs", "hdfs"} else None
    url = system.unstrip_protocol(info["name"]) if host is None else f"{scheme}://{host}{info['name']}"
    return Source(shown(url), name, size, f"{size}-{told}", etag, system, info["name"])


def _over_ssh(location: str) -> tuple[str, dict[str, Any]]:
    """Return where and how to connect: as the user's own SSH settings say, and only to a host that they know."""
    try:
        import paramiko  # type: ignore[import-untyped] # it has no types

        from completion_aggregator.tracking.known_hosts import KnownHosts
    except ImportError:
        return location, {}
    scheme, _, rest = location.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, place = authority.rpartition("@")
    host, colon, port = place.partition(":")
    settings = Path.home() / ".ssh" / "config"
    found = paramiko.SSHConfig.from_path(str(settings)).lookup(host) if settings.is_file() else {}
    own: dict[str, Any] = {"host_key_policy": KnownHosts, "timeout": 30, "skip_instance_cache": True}
    if "identityfile" in found:
        own["key_filename"] = list(found["identityfile"])
    if "user" in found and not at:
        user, at = found["user"], "@"
    if "port" in found and not colon:
        colon, port = ":", found["port"]
    return f"{scheme}://{user}{at}{found.get('hostname', host)}{colon}{port}{slash}{path}", own
