"""Whatever the bytes of a file, its import ends with a result or a sentence that names it, and writes all or nothing.

Files are made from good ones, cut, turned and put together anew: bytes at random hardly ever get past the first check.
For a long search: ``HYPOTHESIS_EXAMPLES=20000 pytest tests/platforms/standalone/test_fuzz_imports.py``.
"""

import csv
import gzip
import io
import json
import os
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from completion.models import BlockCompletion
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from completion_aggregator.platforms.standalone.models import Course, CourseVersion, Enrollment
from tests.platforms.standalone.builders import KEY, course, learner, usage
from tests.platforms.standalone.olx_export import POINTER, START, key

pytestmark = pytest.mark.django_db

fuzzed = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "20")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)

FILES: dict[str, bytes] = {
    "course.xml": POINTER.encode(),
    "course/R.xml": f'<course {START} display_name="Ä"><chapter url_name="a"/><wiki slug="w"/></course>'.encode(),
    "chapter/a.xml": b'<chapter display_name="A"><sequential url_name="s"><vertical url_name="v">'
    b'<html url_name="h" start="2026-01-01"/><problem>1 &lt; 2<b/></problem></vertical></sequential>'
    b'<split_test url_name="t" user_partition_id="7" group_id_to_child=\'{"1": "i4x://O/C/vertical/v"}\'/></chapter>',
    "policies/R/policy.json": b'{"course/R": {"user_partitions": [{"id": 7, "groups": [{"id": 1}], "active": true}]},'
    b'"html/h": {"group_access": {"7": [1]}, "days_early_for_beta": 1e0, "visible_to_staff_only": "false"}}',
}
#: What has broken readers of XML, JSON, tables and archives before.
TROUBLE = st.sampled_from(
    [
        *(
            b"\x00",
            b"\xff",
            b"\xff\xfe",
            b"\xed\xa0\x80",
            b"\xe2\x80\xae",
            b"&#0;",
            b"&#xD800;",
            b"&a;",
            b"]]>",
            b"<![CDATA[",
        ),
        *(
            b"<!--",
            b"-->",
            b'<!DOCTYPE a [<!ENTITY a "b">]>',
            b'<!DOCTYPE a SYSTEM "file:///etc/passwd">',
            b"<a>" * 600,
        ),
        *(b'<?xml version="1.0" encoding="hex"?>', b'<?xml version="1.0" encoding="utf-16"?>', b'<x a="1" a="2"/>'),
        *(
            b"a" * 70_000,
            b"<sequential/>" * 50,
            b"NaN",
            b"Infinity",
            b"-1e999",
            b"9" * 5_000,
            b"[" * 2_000,
            b'{"a":' * 2_000,
        ),
        *(
            b"null",
            b"true",
            b"{}",
            b"[]",
            b'"\\ud800"',
            b'"\\u0000"',
            b'"',
            b"'",
            b",",
            b";",
            b"\t",
            b"\r",
            b"\n",
            b"\r\n",
            b"\\",
        ),
        *(
            b"=1+1",
            b"@SUM(A1)",
            b"../../x",
            b"/etc/passwd",
            b"C:\\x",
            b"%00",
            b"%s",
            b"0x10",
            b"1_0",
            b"course-v1:O+C+R",
        ),
        *(b"block-v1:O+C+R+type@html+block@h", b"i4x://O/C/html/h", b"9999-12-31T23:59:59-23:59"),
    ]
)
PIECES = TROUBLE | st.binary(max_size=12) | st.text(max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass"))


@st.composite
def damaged(draw: st.DrawFn, good: bytes, most: int = 4) -> bytes:
    """Cut pieces out of *good*, double some, and put others in."""
    data = good
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        put = draw(PIECES | st.just(data[start : end + 10] * 2))
        data = data[:start] + put + data[end:]
    return data


NAMES = st.sampled_from(
    [*FILES, "html/h.xml", "vertical/v.xml", "static/x.png", "../course.xml", "/course.xml", "a/../../b.xml",
     "\udcff.xml", "a" * 300 + ".xml", "course/R.xml/x.xml", "é.xml", "e\u0301.xml", "", ".", "chapter\\a.xml", "c:/x"]
)  # fmt: skip
KINDS = st.sampled_from(
    [tarfile.REGTYPE] * 6 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, b"S", b"x", b"L"]
)
MEMBERS = st.lists(st.tuples(NAMES, KINDS, PIECES), max_size=4)


@st.composite
def exports(draw: st.DrawFn) -> dict[str, bytes]:
    victim = draw(st.sampled_from(sorted(FILES)))
    return FILES | {victim: draw(damaged(FILES[victim]))}


def packed_tar(files: dict[str, bytes], more: list[tuple[str, bytes, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind, data in [*((f"c/{name}", tarfile.REGTYPE, data) for name, data in files.items()), *more]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, "course.xml", len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def packed_zip(files: dict[str, bytes], more: list[tuple[str, bytes, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*files.items(), *((name, data) for name, _, data in more)]:
            with (
                suppress(UnicodeEncodeError),
                warnings.catch_warnings(action="ignore"),
            ):  # of a name that is there twice
                archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


PACKINGS: dict[str, Callable[[dict[str, bytes], list[tuple[str, bytes, bytes]]], bytes]] = {
    "c.tar": packed_tar,
    "c.tar.gz": lambda files, more: gzip.compress(packed_tar(files, more), 1),
    "c.zip": packed_zip,
}


def ran(*command: str) -> tuple[str, int, str]:
    """Return why a command refused to go on, if it did, its status, and what it printed."""
    out = io.StringIO()
    try:
        call_command(*command, stdout=out, stderr=io.StringIO())
    except CommandError as refused:
        return str(refused), refused.returncode, out.getvalue()
    except SystemExit as ended:
        return "", int(str(ended.code)), out.getvalue()
    return "", 0, out.getvalue()


def import_course(path: Path, data: bytes) -> None:
    """Import *data*; it is stored whole, or refused in a sentence that names the file, and nothing is stored."""
    path.write_bytes(data)
    before = (Course.objects.count(), CourseVersion.objects.count())
    refused, _, answer = ran("import_course", str(path), "--json")
    said = json.loads(answer)
    assert said["path"] == str(path)
    if refused:
        assert refused == "1 of 1 could not be imported."
        assert said["error"]
        assert (Course.objects.count(), CourseVersion.objects.count()) == before
    else:
        version = Course.objects.get(course_key=said["course"]).current
        assert version is not None
        assert version.number == said["version"]
        assert "\x00" not in json.dumps(version.report, ensure_ascii=False)


@pytest.fixture
def undone():
    """Run work in a transaction that is undone: each example begins with the same tables."""

    def run(work: Callable[[], None]) -> None:
        with transaction.atomic():
            work()
            transaction.set_rollback(True)

    return run


@pytest.mark.parametrize("packing", PACKINGS)
@fuzzed
@given(content=st.tuples(exports(), MEMBERS), harm=st.lists(st.tuples(st.integers(0, 10_000), PIECES), max_size=2))
def test_any_archive(tmp_path, undone, packing, content, harm):
    data = PACKINGS[packing](*content)
    for place, put in harm:
        data = data[: place % len(data)] + put + data[place % len(data) + len(put) :]
    undone(lambda: import_course(tmp_path / packing, data))


BLOCKS = json.dumps(
    {
        "root": key("course", "course"),
        "blocks": {
            key("course", "course"): {"children": [key("chapter", "a")], "display_name": "C", "start": "2026-01-01"},
            key("chapter", "a"): {"id": key("chapter", "a"), "children": [key("html", "h"), key("itembank", "b")]},
            key("html", "h"): {"group_access": {"7": [1]}, "completion_mode": "completable", "optional_completion": 1},
            key("itembank", "b"): {"max_count": 1, "days_early_for_beta": 1.5, "visible_to_staff_only": False},
        },
        "user_partitions": [{"id": 7, "scheme": "cohort", "groups": [{"id": 1, "name": "x"}]}],
    }
).encode()  # fmt: skip


@fuzzed
@given(data=damaged(BLOCKS))
def test_any_blocks_file(tmp_path, undone, data):
    undone(lambda: import_course(tmp_path / "blocks.json", data))


# As texts: each place gets a list of its own.
OTHERS = st.sampled_from(
    [
        *("null", "true", "0", "-1", str(2**70), "1e308", "NaN", "Infinity", '""', '"\\ud800"'),
        *("[]", "{}", "[[]]", "[null]", '{"": {}}'),
    ]
)


@st.composite
def types_anywhere(draw: st.DrawFn) -> bytes:
    """Return the document with something of another type in some places."""
    document = json.loads(BLOCKS)
    for _ in range(draw(st.integers(1, 3))):
        at = document
        while True:
            place = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if not (isinstance(at[place], dict | list) and at[place]) or draw(st.booleans()):
                break
            at = at[place]
        at[place] = json.loads(draw(OTHERS))
    return json.dumps(document).encode()


@fuzzed
@given(data=types_anywhere())
def test_any_type_in_any_place_of_a_blocks_file(tmp_path, undone, data):
    undone(lambda: import_course(tmp_path / "blocks.json", data))


ONE = usage("html", "one")
COMPLETIONS = (
    f"username,course_id,block_id,completion,modified\nana,{KEY},{ONE},1.0,2026-10-01T10:00:00Z\nbob,{KEY},{ONE},0.5,\n"
)
COMPLETIONS_JSON = "".join(
    json.dumps({"username": name, "course_id": str(KEY), "block_id": ONE, "completion": share, "modified": None}) + "\n"
    for name, share in (("ana", 1), ("bob", 0.5))
)
ENROLLMENTS = f"username,course_id,mode,is_active,created\nana,{KEY},audit,true,2026-10-01\neve,{KEY},,,\n"
ROWS = {
    "completions.csv": ("import_completions", COMPLETIONS),
    "completions.ndjson": ("import_completions", COMPLETIONS_JSON),
    "completions.csv.gz": ("import_completions", COMPLETIONS),
    "enrollments.csv": ("import_enrollments", ENROLLMENTS),
}


def kept_in(rejects: Path) -> list[list[str]]:
    """Return the rows of a file of rejects, its header included."""
    if not rejects.exists():
        return [[]]
    with rejects.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def import_rows(command: str, path: Path, data: bytes) -> None:
    """Import *data*; each row is taken, or kept with its line and reason, or the whole is refused in a sentence."""
    path.write_bytes(data)
    rejects = path.with_name("rejects.csv")
    rejects.unlink(missing_ok=True)
    create = ["--create-users"] if command == "import_completions" else []
    refused, status, answer = ran(command, str(path), "--json", "--rejects", str(rejects), *create)
    if refused:
        assert status == 2
        assert str(path) in refused
        return
    summary = json.loads(answer)
    kept = kept_in(rejects)
    assert status == bool(summary["rejected"])
    assert len(kept) - 1 == summary["rejected"] == sum(summary["reasons"].values())
    assert all(line[0].isdecimal() and line[1] for line in kept[1:])
    assert all(0 <= share <= 1 for share in BlockCompletion.objects.values_list("completion", flat=True))
    texts = [text for row in Enrollment.objects.values_list("mode", "user__username") for text in row]
    assert "\x00" not in "".join(texts)


@pytest.mark.parametrize("name", ROWS)
@fuzzed
@given(data=st.data())
def test_any_rows(tmp_path, undone, name, data):
    if not Course.objects.exists():
        course()
        learner("ana")
    command, good = ROWS[name]
    harmed = data.draw(damaged(good.encode()))
    if name.endswith(".gz"):
        harmed = data.draw(damaged(gzip.compress(harmed, 1), most=1))
    undone(lambda: import_rows(command, tmp_path / name, harmed))


def test_the_files_are_good_before_they_are_damaged(tmp_path):
    """Or the rest would try how nothing at all is refused."""
    for name, pack in PACKINGS.items():
        import_course(tmp_path / name, pack(FILES, []))
    import_course(tmp_path / "blocks.json", BLOCKS)
    assert Course.objects.get().versions.count() == 2
    course()
    learner("ana")
    for name, (command, good) in ROWS.items():
        import_rows(command, tmp_path / name, gzip.compress(good.encode()) if name.endswith(".gz") else good.encode())
    assert set(BlockCompletion.objects.values_list("user__username", "completion")) == {("ana", 1.0), ("bob", 0.5)}
    assert Enrollment.objects.filter(user__username="eve", course__course_key=KEY).exists()
