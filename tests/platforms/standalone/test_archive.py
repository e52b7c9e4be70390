import contextlib
import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone import archive
from completion_aggregator.platforms.standalone.archive import CourseFiles, read_files
from tests.platforms.standalone.olx_export import POINTER, write

COURSE = {"course.xml": POINTER, "course/R.xml": "<course/>", "policies/R/policy.json": "{}"}
CONTENTS = {name: text.encode() for name, text in COURSE.items()}


def pack_tar(path: Path, files: Mapping[str, str | tarfile.TarInfo], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as packed:  # type: ignore[call-overload]  # the mode is a parameter
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                packed.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content.encode())
            packed.addfile(info, io.BytesIO(content.encode()))
    return path


def pack_zip(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def below(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def special(name: str, kind: bytes, target: str = "", size: int = 0) -> dict[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return {name: info}


PACKINGS = ["export.tar.gz", "export.zip", "folder"]


def pack(path: Path, files: Mapping[str, str]) -> Path:
    """Pack *files* as the name of *path* says."""
    if path.suffix == ".zip":
        return pack_zip(path, files)
    if path.suffix:
        return pack_tar(path, files, "w" if path.suffix == ".tar" else "w:gz")
    return write(path, files)


# Wherever the course is


@pytest.mark.parametrize("packing", [*PACKINGS, "export.tgz", "export.tar", "course.export"])
@pytest.mark.parametrize("top", ["", "course", "Физика 2026", "repo-main/courses/physics"])
def test_a_course_is_found_in_any_packing(tmp_path, packing, top):
    files = below(top, COURSE) if top else COURSE
    found = read_files(pack(tmp_path / packing, files))
    name = top.rpartition("/")[2] or packing.partition(".")[0]
    assert found == CourseFiles(name=name, contents=CONTENTS, skipped={})


def test_names_may_start_with_a_dot(tmp_path):
    path = pack_tar(tmp_path / "x.tar.gz", {f"./{name}": text for name, text in COURSE.items()})
    assert read_files(path).contents == CONTENTS


def test_what_computers_leave_behind_is_not_read(tmp_path):
    junk = {
        "course/.DS_Store": "x",
        "course/._course.xml": "x",
        "__MACOSX/course/course.xml": "x",
        "course/.git/course.xml": "x",
        "course/course.xml~": "x",
        "course/html/notes.txt": "x",
        "._course/course.xml": "x",
    }
    for packing in PACKINGS:
        found = read_files(pack(tmp_path / packing, {**junk, **below("course", COURSE)}))
        assert (found.contents, found.skipped) == (CONTENTS, {})


def test_folders_without_blocks_are_passed_over_and_named(tmp_path):
    extra = {"drafts/html/a.xml": "x", "about/b.xml": "x", "static/scorm.xml": "x", "html/about/c.xml": "<html/>"}
    found = read_files(pack_tar(tmp_path / "x.tar.gz", below("course", {**COURSE, **extra})))
    assert found.contents == {**CONTENTS, "html/about/c.xml": b"<html/>"}
    assert found.skipped == {"about/": "pages about the course, not blocks", "drafts/": "unpublished versions"}


def test_of_a_file_packed_twice_the_later_is_read(tmp_path):
    path = pack_tar(tmp_path / "x.tar", below("course", COURSE), "w")
    with tarfile.open(path, "a") as packed:
        info = tarfile.TarInfo("course/course.xml")
        info.size = 3
        packed.addfile(info, io.BytesIO(b"<a>"))
    assert read_files(path).contents["course.xml"] == b"<a>"


@pytest.mark.parametrize("packing", PACKINGS)
def test_two_courses_are_one_too_many(tmp_path, packing):
    path = pack(tmp_path / packing, {**below("a", COURSE), **below("b", COURSE)})
    with pytest.raises(InvalidCourse, match=r"holds 2 courses \(a/course.xml, b/course.xml\); give one of them"):
        read_files(path)


# Archives that mean harm


@pytest.mark.parametrize(
    "name", ["../evil.xml", "course/../../evil.xml", "/etc/evil.xml", "C:/evil.xml", "..\\evil.xml"]
)
@pytest.mark.parametrize("packing", PACKINGS[:2])
def test_a_path_that_leads_out_condemns_the_archive(tmp_path, packing, name):
    path = pack(tmp_path / packing, {**below("course", COURSE), name: "<evil/>"})
    with pytest.raises(InvalidCourse, match="a path that leads out of it"):
        read_files(path)
    assert not list(tmp_path.parent.rglob("evil.xml"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_in_an_archive_are_not_followed(tmp_path, kind):
    link = special("course/html/passwd.xml", kind, "/etc/passwd")
    found = read_files(pack_tar(tmp_path / "x.tar.gz", {**below("course", COURSE), **link}))
    assert found.contents == CONTENTS
    assert found.skipped == {"course/html/passwd.xml": "a link: links are not followed"}


def test_links_in_a_zip_are_not_followed(tmp_path):
    path = pack_zip(tmp_path / "x.zip", below("course", COURSE))
    with zipfile.ZipFile(path, "a") as packed:
        info = zipfile.ZipInfo("course/html/passwd.xml")
        info.external_attr = 0o120777 << 16
        packed.writestr(info, "/etc/passwd")
    found = read_files(path)
    assert (found.contents, list(found.skipped)) == (CONTENTS, ["course/html/passwd.xml"])


def test_links_in_a_folder_are_not_followed(tmp_path):
    write(tmp_path / "outside", {"secret.xml": "<secret/>"})
    folder = write(tmp_path / "course", COURSE)
    (folder / "html").symlink_to(tmp_path / "outside")
    (folder / "vertical").mkdir()
    (folder / "vertical/loop").symlink_to(folder)
    found = read_files(folder)
    assert found.contents == CONTENTS
    assert set(found.skipped) == {"html", "vertical/loop"}


def test_a_course_that_is_a_link_is_explained(tmp_path):
    path = pack_tar(tmp_path / "x.tar.gz", special("course/course.xml", tarfile.SYMTYPE, "roots/2012.xml"))
    with pytest.raises(InvalidCourse, match=r"course\.xml is a link, and links are not followed"):
        read_files(path)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_condemn_the_archive(tmp_path, kind):
    path = pack_tar(tmp_path / "x.tar.gz", {**below("course", COURSE), **special("course/html/x.xml", kind)})
    with pytest.raises(InvalidCourse, match=r"course/html/x\.xml in the archive is a device or a pipe"):
        read_files(path)


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    folder = write(tmp_path / "course", COURSE)
    os.mkfifo(folder / "pipe.xml")
    assert read_files(folder).contents == CONTENTS


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_file_too_large_is_refused(tmp_path, packing, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 10_000)
    path = pack(tmp_path / packing, below("course", {**COURSE, "html/huge.xml": "x" * 10_001}))
    with pytest.raises(InvalidCourse, match=r"course/html/huge\.xml has 10001 bytes; at most 10000 are read"):
        read_files(path)


@pytest.mark.parametrize("packing", PACKINGS)
def test_too_much_xml_is_refused(tmp_path, packing, monkeypatch):
    monkeypatch.setattr(archive, "MAX_READ_BYTES", 5_000)
    many = {f"html/{n}.xml": "x" * 1000 for n in range(6)}
    with pytest.raises(InvalidCourse, match="more than 5000 bytes of XML"):
        read_files(pack(tmp_path / packing, below("course", {**COURSE, **many})))


@pytest.mark.parametrize("packing", PACKINGS)
def test_too_many_files_are_refused(tmp_path, packing, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 5)
    many = {f"static/{n}.png": "" for n in range(6)}
    with pytest.raises(InvalidCourse, match="more than 5 files"):
        read_files(pack(tmp_path / packing, below("course", {**COURSE, **many})))


def test_a_gzip_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1_000_000)
    bomb = {"course/static/film.mp4": "0" * 2_000_000}
    with pytest.raises(InvalidCourse, match="unpacks to more than 1000000 bytes"):
        read_files(pack_tar(tmp_path / "x.tar.gz", {**bomb, **below("course", COURSE)}))


def test_a_header_without_end_is_not_read_into_memory(tmp_path):
    header = special("name", tarfile.XHDTYPE, size=8 * 1024**3 - 1)["name"]
    path = tmp_path / "x.tar.gz"
    with gzip.open(path, "wb") as packed:
        packed.write(header.tobuf(tarfile.GNU_FORMAT))
        packed.write(b"0" * 10_000)
    with pytest.raises(InvalidCourse, match="holds a header of"):
        read_files(path)


def test_a_zip_that_lies_about_sizes_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 10_000)
    path = pack_zip(tmp_path / "x.zip", below("course", {**COURSE, "html/lie.xml": "x" * 50_000}))
    packed = path.read_bytes().replace((50_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(packed)
    with pytest.raises(InvalidCourse):
        read_files(path)


def test_an_encrypted_zip_is_explained(tmp_path):
    path = pack_zip(tmp_path / "x.zip", below("course", COURSE))
    packed = bytearray(path.read_bytes())
    start = packed.index(b"PK\x01\x02")
    while start >= 0:
        packed[start + 8] |= 1
        start = packed.find(b"PK\x01\x02", start + 1)
    path.write_bytes(packed)
    with pytest.raises(InvalidCourse, match="encrypted; pack the course without a password"):
        read_files(path)


# Archives that are no archives


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an archive",
        b"PK\x03\x04 not a zip",
        b"\x1f\x8b not gzip",
        gzip.compress(b"not a tar"),
        b"\0" * 10_240,
    ],
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(InvalidCourse, match=r"x\.tar\.gz"):
        read_files(path)


def test_an_archive_cut_short_is_refused(tmp_path):
    whole = pack_tar(tmp_path / "x.tar.gz", below("course", {**COURSE, "html/x.xml": os.urandom(50_000).hex()}))
    path = tmp_path / "half.tar.gz"
    path.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(InvalidCourse, match="is damaged or incomplete"):
        read_files(path)


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_a_damaged_archive_is_refused_or_read_never_a_traceback(tmp_path, position):
    packed = bytearray(pack_tar(tmp_path / "x.tar.gz", below("course", COURSE)).read_bytes())
    packed[position % len(packed)] ^= 0xFF
    path = tmp_path / "damaged.tar.gz"
    path.write_bytes(packed)
    with contextlib.suppress(InvalidCourse):
        assert "course.xml" in read_files(path).contents


def test_a_zip_with_a_name_in_no_encoding_is_refused(tmp_path):
    path = pack_zip(tmp_path / "x.zip", {**below("course", COURSE), "course/html/é.xml": "<html/>"})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff"))
    with pytest.raises(InvalidCourse, match=r"x\.zip is damaged or incomplete: 'utf-8' codec"):
        read_files(path)


def test_a_zip_of_the_future_is_refused(tmp_path):
    path = pack_zip(tmp_path / "x.zip", below("course", COURSE))
    packed = bytearray(path.read_bytes())
    packed[packed.index(b"PK\x01\x02") + 6] = 250
    path.write_bytes(packed)
    with pytest.raises(InvalidCourse, match=r"x\.zip is packed in a way that is not supported: zip file version"):
        read_files(path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InvalidCourse, match=r"nowhere\.tar\.gz cannot be read: No such file or directory"):
        read_files(tmp_path / "nowhere.tar.gz")
