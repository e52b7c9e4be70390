import gzip
import io
import sys

import pytest

from completion_aggregator.platforms.standalone.imports.rejects import Rejects
from completion_aggregator.platforms.standalone.imports.rows import (
    LONGEST_LINE,
    Columns,
    UnusableFile,
    opened,
    read_rows,
)

COLUMNS = Columns(required=("a", "b"), optional=("c",))


@pytest.fixture
def read(tmp_path):
    def read_it(data: bytes, name: str = "file"):
        path = tmp_path / name
        path.write_bytes(data)
        with Rejects(tmp_path / "rejects.csv", COLUMNS.names) as rejects, opened(str(path)) as source:
            return list(read_rows(source, COLUMNS, rejects)), dict(rejects.reasons)

    return read_it


CSV = b"a,b,c\n1,2,3\n4,5,\n"
ROWS = [(2, ["1", "2", "3"]), (3, ["4", "5", ""])]


@pytest.mark.parametrize(
    "data",
    [
        CSV,
        CSV.rstrip(b"\n"),
        CSV.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + CSV,
        CSV.replace(b",", b";"),
        CSV.replace(b",", b"\t"),
        b' A ,"b",C\n1,"2", 3\n4,5,\n',
        b"x,c,b,a\n9,3,2,1\n9,,5,4\n",
        gzip.compress(CSV),
    ],
    ids=["plain", "no last newline", "crlf", "bom", "semicolon", "tab", "spaces", "other order", "gzip"],
)
def test_csv_in_the_ways_of_its_writers(read, data):
    assert read(data) == (ROWS, {})


def test_an_absent_optional_column_is_empty(read):
    assert read(b"b,a\n2,1\n") == ([(2, ["1", "2", ""])], {})


def test_empty_lines_are_no_rows(read):
    assert read(b"a,b\n\n1,2\n\n") == ([(3, ["1", "2", ""])], {})


def test_ndjson_gives_what_csv_gives(read):
    data = b'{"a": "x", "b": 0.1, "c": null}\n\n{"b": true, "a": 3, "other": [1]}\n'
    assert read(data) == ([(1, ["x", "0.1", ""]), (3, ["3", "true", ""])], {})


def test_ndjson_that_is_none(read):
    data = b'{"a": 1, "b": 2}\n[1]\n{"a": 1}\n{"a": \n' + b'{"a":' * 10_000 + b"\n"
    assert read(data) == ([(1, ["1", "2", ""])], {"not a JSON object": 3, "no b": 1})


def test_a_bad_line_takes_no_other_with_it(read):
    data = b'a,b\n1,2\n3\n\xff,4\n"5,6\n7,8\n9,\x00\n10,"1""1"\n'
    rows, reasons = read(data)
    assert rows == [(2, ["1", "2", ""]), (6, ["7", "8", ""]), (8, ["10", '1"1', ""])]
    assert reasons == {
        "1 columns instead of at least 2": 1,
        "not UTF-8": 1,
        "a quote is never closed": 1,
        "holds a NUL character": 1,
    }


def test_a_line_without_an_end_is_not_held_in_memory(read):
    data = b"a,b\n1," + b"x" * (5 * LONGEST_LINE) + b"\n3,4\n"
    assert read(data) == ([(3, ["3", "4", ""])], {f"the line is longer than {LONGEST_LINE} bytes": 1})


def test_rejects_are_kept_with_line_and_reason(read, tmp_path):
    read(b"a,b\n1,2\n3\n\xff,4\n")
    kept = (tmp_path / "rejects.csv").read_text()
    assert kept == 'line,reason,a,b,c\n3,1 columns instead of at least 2,3\n4,not UTF-8,"\\xff,4"\n'
    assert (tmp_path / "rejects.csv").stat().st_mode & 0o777 == 0o600


def test_a_run_without_rejects_touches_no_file(read, tmp_path):
    read(b"a,b\n3\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "file"}
    assert len(before) == 1
    read(b"a,b\n3,4\n")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "file"} == before


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": "1", "b": "2\\u0000"}\n', "holds a NUL character"),
        (b'{"a": "1", "b": "\\ud800"}\n', "holds half a character"),
        (b'{"a": "1", "b": "' + b"2" * 1001 + b'"}\n', "a value is longer than 1000 characters"),
        (b"a,b\n1," + b"2" * 1001 + b"\n", "a value is longer than 1000 characters"),
    ],
)
def test_a_value_that_no_database_takes_is_rejected(read, data, reason):
    assert read(data) == ([], {reason: 1})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16"),
        (b"a,b\r1,2\r", "lines end in LF or CRLF"),
        (b"a,b,a\n1,2,3\n", "has the column a twice"),
        (b"a,d\n1,2\n", "has no column b"),
        (b"1,2\n3,4\n", "has no column a and b"),
        (gzip.compress(CSV)[:-9], "cannot be read after line"),
        (b"\x1f\x8bnot gzip", "cannot be read after line"),
    ],
)
def test_a_file_that_is_of_no_use(read, data, message):
    with pytest.raises(UnusableFile, match=message):
        read(data)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UnusableFile, match="No such file"), opened(str(tmp_path / "none")):
        pass


def test_standard_input(read, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(gzip.compress(CSV)))))
    with Rejects(tmp_path / "rejects.csv", COLUMNS.names) as rejects, opened("-") as source:
        assert list(read_rows(source, COLUMNS, rejects)) == ROWS
    assert not sys.stdin.closed
