"""The files of a course export, read into memory: nothing is unpacked to disk, no link is followed."""

import gzip
import lzma
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from completion_aggregator.exceptions import InvalidCourse

MAX_MEMBERS: Final = 1_000_000  # a course of 100,000 blocks has about twice as many files
MAX_PATH: Final = 1024
MAX_FILE_BYTES: Final = 16 * 1024**2  # of one XML or policy file
MAX_READ_BYTES: Final = 512 * 1024**2  # of all XML and policy files
MAX_UNPACKED_BYTES: Final = 8 * 1024**3  # of an archive, videos and images included

SKIPPED_FOLDERS: Final[Mapping[str, str]] = {
    "about": "pages about the course, not blocks",
    "assets": "a list of uploaded files, not blocks",
    "custom_tags": "templates, not blocks",
    "drafts": "unpublished versions",
    "info": "course updates, not blocks",
    "static": "uploaded files, not blocks",
    "tabs": "extra pages, not blocks",
}

# What the libraries raise for headers and contents that make no sense; ValueError for names and numbers in them.
_DAMAGED: Final = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError, ValueError,
    OverflowError, struct.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CourseFiles:
    """The XML and policy files of one course, by path below the course's folder; ``name`` is that folder's."""

    name: str
    contents: Mapping[str, bytes]
    skipped: Mapping[str, str]

    def get(self, path: str) -> bytes | None:
        """Return the file at *path*, however its name's accents are composed."""
        return self.contents.get(unicodedata.normalize("NFC", path))


def read_files(path: Path) -> CourseFiles:
    """Return the files of the one course in *path*: a folder, or a tar (gzipped or not) or zip archive."""
    members = _Members()
    try:
        _read(path, members)
    except _DAMAGED as error:
        raise InvalidCourse(f"{path} is damaged or incomplete: {error}") from error
    except NotImplementedError as error:
        raise InvalidCourse(f"{path} is packed in a way that is not supported: {error}") from error
    except OSError as error:
        raise InvalidCourse(f"{path} cannot be read: {error.strerror or error}") from error
    folder = _course_folder(path, members)
    return CourseFiles(
        name=folder.rpartition("/")[2] or path.resolve().name.partition(".")[0],
        contents=_below(folder, members),
        skipped=members.skipped,
    )


class _Members:
    """Takes the files that matter, and keeps count of everything."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.skipped: dict[str, str] = {}
        self._count = 0
        self._bytes = 0

    def admit(self, raw_name: str) -> str | None:
        """Return the path under which to keep a file, or None when it does not matter."""
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise InvalidCourse(f"more than {MAX_MEMBERS} files; is this a course export?")
        if len(raw_name) > MAX_PATH:
            raise InvalidCourse(f"a path of {len(raw_name)} characters: {raw_name[:100]}…")
        path = _safe_path(raw_name)
        return path if _matters(path) else None

    def check_size(self, path: str, size: int) -> None:
        if size > MAX_FILE_BYTES:
            raise InvalidCourse(f"{path} has {size} bytes; at most {MAX_FILE_BYTES} are read")
        self._bytes += size
        if self._bytes > MAX_READ_BYTES:
            raise InvalidCourse(f"more than {MAX_READ_BYTES} bytes of XML, at {path}")

    def add(self, path: str, stream: IO[bytes]) -> None:
        # One byte more than allowed: what a header says of the size may be a lie.
        content = stream.read(MAX_FILE_BYTES + 1)
        self.check_size(path, len(content))
        self.contents[path] = content

    def skip(self, raw_name: str, reason: str) -> None:
        self.skipped[_safe_path(raw_name)] = reason


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Forward:
    """What tarfile needs of a stream: forward only, so that no archive can make us go round, and bounded."""

    def __init__(self, stream: _Readable) -> None:
        self._stream = stream
        self._position = 0

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        # tarfile reads a long name or an extended header at once, as large as the archive says it is
        if not 0 <= size <= MAX_FILE_BYTES + tarfile.BLOCKSIZE:
            raise InvalidCourse(f"the archive holds a header of {size} bytes")
        data = self._stream.read(size)
        self._advance(len(data))
        return data

    def seek(self, position: int) -> None:
        if position < self._position:
            raise InvalidCourse("the archive points back into itself")
        while self._position < position:
            passed = len(self._stream.read(min(position - self._position, 1024**2)))
            if not passed:
                raise EOFError("unexpected end of data")
            self._advance(passed)

    def _advance(self, size: int) -> None:
        self._position += size
        if self._position > MAX_UNPACKED_BYTES:
            raise InvalidCourse(f"the archive unpacks to more than {MAX_UNPACKED_BYTES} bytes")


def _read(path: Path, members: _Members) -> None:
    if path.is_dir():
        _read_folder(path, members)
        return
    with path.open("rb") as stream:
        magic = stream.read(4)
        stream.seek(0)
        if magic[:2] == b"PK":
            _read_zip(stream, members)
        elif magic[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=stream) as unpacked:
                _read_tar(unpacked, members)
        else:
            _read_tar(stream, members)


def _read_folder(folder: Path, members: _Members) -> None:
    for file in _files_below(folder):
        name = file.relative_to(folder).as_posix()
        mode = file.lstat().st_mode
        if stat.S_ISLNK(mode):
            members.skip(name, "a link: links are not followed")
        elif stat.S_ISREG(mode) and (path := members.admit(name)):
            with file.open("rb") as stream:
                members.add(path, stream)


def _files_below(folder: Path) -> Iterator[Path]:
    pending = [folder]
    while pending:
        for entry in sorted(pending.pop().iterdir()):
            if not entry.is_dir() or entry.is_symlink():
                yield entry
            elif not _is_junk(entry.name):
                pending.append(entry)


def _read_tar(stream: _Readable, members: _Members) -> None:
    with tarfile.open(fileobj=_Forward(stream), mode="r:") as archive:  # type: ignore[call-overload]  # reads no more
        while (member := archive.next()) is not None:
            archive.members.clear()  # or tarfile would keep every header
            path = members.admit(member.name)
            if member.issym() or member.islnk():
                members.skip(member.name, "a link: links are not followed")
            elif not (member.isfile() or member.isdir()):
                raise InvalidCourse(f"{member.name} in the archive is a device or a pipe")
            elif member.isfile() and path:
                _add_tar_member(archive, member, path, members)


def _add_tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, members: _Members) -> None:
    if member.size > MAX_FILE_BYTES:
        members.check_size(path, member.size)
    stream = archive.extractfile(member)
    if stream is not None:
        members.add(path, stream)


def _read_zip(stream: IO[bytes], members: _Members) -> None:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            path = members.admit(info.filename)
            if stat.S_ISLNK(info.external_attr >> 16):
                members.skip(info.filename, "a link: links are not followed")
            elif path and not info.is_dir():
                _add_zip_member(archive, info, path, members)


def _add_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, members: _Members) -> None:
    if info.flag_bits & 0x1:
        raise InvalidCourse(f"{path} in the archive is encrypted; pack the course without a password")
    with archive.open(info) as stream:
        members.add(path, stream)


def _safe_path(raw_name: str) -> str:
    """Return *raw_name* as a plain relative path; a name that points elsewhere condemns the archive."""
    name = raw_name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        raise InvalidCourse(f"the archive holds {name!r}, a path that leads out of it")
    return unicodedata.normalize("NFC", "/".join(parts))


def _matters(path: str) -> bool:
    parts = path.split("/")
    if any(map(_is_junk, parts)) or "static" in parts[:2]:
        return False
    return path.endswith(".xml") or (path.endswith(".json") and "policies" in parts[:-1])


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.endswith("~") or name == "__MACOSX"


def _course_folder(path: Path, members: _Members) -> str:
    """Return the folder that holds the outermost course.xml, as a prefix."""
    found = sorted((name.count("/"), name) for name in members.contents if _file_name(name) == "course.xml")
    if not found:
        raise InvalidCourse(f"{path}: {_why_no_course(members)}")
    rivals = [name for depth, name in found if depth == found[0][0]]
    if len(rivals) > 1:
        raise InvalidCourse(f"{path} holds {len(rivals)} courses ({', '.join(rivals[:3])}); give one of them")
    return found[0][1].rpartition("/")[0]


def _why_no_course(members: _Members) -> str:
    if any(_file_name(name) == "library.xml" for name in members.contents):
        return "this is the export of a content library, not of a course"
    if any(_file_name(name) == "course.xml" for name in members.skipped):
        return "course.xml is a link, and links are not followed; replace it by the file that it points to"
    return "no course.xml in it; export the course as OLX (Studio: Tools, Export)"


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _below(folder: str, members: _Members) -> dict[str, bytes]:
    prefix = f"{folder}/" if folder else ""
    contents = {}
    for path, content in members.contents.items():
        top, _, rest = path.removeprefix(prefix).partition("/")
        if not path.startswith(prefix):
            members.skipped[path] = "outside the course's folder"
        elif rest and top in SKIPPED_FOLDERS:
            members.skipped[f"{top}/"] = SKIPPED_FOLDERS[top]
        else:
            contents[path.removeprefix(prefix)] = content
    return contents
