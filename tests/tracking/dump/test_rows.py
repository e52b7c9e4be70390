import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking.dump import (
    AbsentColumn,
    AbsentTable,
    DamagedDump,
    columns_of,
    rows_of,
    window,
)
from tests.tracking.dump.writing import HEADER, create, insert, section

COLUMNS = (
    "`id` bigint(20) NOT NULL AUTO_INCREMENT",
    "`name` varchar(255) CHARACTER SET utf8mb4 DEFAULT 'it''s, (a) \"default\"'",
    "`grade` decimal(10,2) DEFAULT NULL COMMENT 'of 100, or so'",
    "`share` double DEFAULT NULL",
    "`created` datetime(6) NOT NULL",
    "`raw` longblob DEFAULT NULL",
    "`day` date DEFAULT NULL",
    "`flag` tinyint(1) NOT NULL CHECK (`flag` in (0,1))",
)
NAMES = ("id", "name", "grade", "share", "created", "raw", "day", "flag")
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ROW = st.tuples(
    st.integers(-(2**63), 2**63 - 1),
    st.none() | TEXT | st.sampled_from(["'", "''", "\\", "\\'", "),(", "NULL", ");\n", "%_\\%", "\x1a\0"]),
    st.none() | st.decimals(-(10**8), 10**8, places=2),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 (hypothesis adds the zone)
    st.none() | st.binary(),
    st.none() | st.dates(min_value=date(1000, 1, 1)),
    st.integers(0, 1),
)


def written(folder, data, name="dump.sql"):
    path = folder / name
    path.write_bytes(data)
    return path


@given(rows=st.lists(ROW, max_size=5), piece=st.integers(1, 200), others=st.lists(st.tuples(st.integers(), TEXT)))
def test_rows_come_back_as_they_were_written(tmp_path_factory, rows, piece, others):
    folder = tmp_path_factory.mktemp("dumps")
    other = section("other", ("`id` int", "`text` text"), others)
    dump = written(folder, HEADER + other + section("t", COLUMNS, rows) + other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "PIECE", piece)
        assert list(rows_of(dump, "t")) == rows


@given(data=st.binary(max_size=300) | st.text("(),'`;\\/*-# \nINSERT VALUES t1").map(str.encode))
def test_any_bytes_are_a_dump_or_a_damaged_one(tmp_path_factory, data):
    dump = written(tmp_path_factory.mktemp("dumps"), create("t", *COLUMNS) + b"INSERT INTO `t` VALUES " + data)
    try:
        rows = list(rows_of(dump, "t"))
    except DamagedDump:
        return
    assert all(len(row) == len(NAMES) for row in rows)


def test_columns_are_chosen_by_name_and_in_the_order_asked_for(tmp_path):
    row = (1, "ana", Decimal("9.50"), 0.5, datetime(2024, 1, 2, 3, 4, 5, 678, UTC), b"\0", date(2024, 1, 2), 1)
    dump = written(tmp_path, section("t", COLUMNS, [row]))
    assert columns_of(dump, "t") == NAMES
    assert list(rows_of(dump, "t", ["flag", "name"])) == [(1, "ana")]


def test_an_absent_column_is_named_with_those_that_are_there(tmp_path):
    dump = written(tmp_path, section("t", COLUMNS, []))
    with pytest.raises(AbsentColumn, match="table t, has no column mode; it has id, name, grade, share"):
        list(rows_of(dump, "t", ["id", "mode"]))
    with pytest.raises(AbsentTable, match="has no table u; it has t"):
        list(rows_of(dump, "u", ["id"]))
    with pytest.raises(AbsentTable):
        columns_of(dump, "u")


def test_a_complete_insert_names_its_columns_in_any_order(tmp_path):
    rows = create("t", "`id` int", "`made` int GENERATED ALWAYS AS (`id` + 1) VIRTUAL", "`text` text") + insert(
        "t", [("x", 1)], columns=["text", "id"]
    )
    dump = written(tmp_path, rows)
    assert list(rows_of(dump, "t")) == [(1, None, "x")]


def test_without_the_types_a_value_is_what_it_looks_like(tmp_path):
    data = b"INSERT INTO t (a,b,c,d,e,f) VALUES (1,-2.5e3,'x',0xFF,_binary 'y',NULL), (TRUE,.5,'','','',x'00') ;"
    dump = written(tmp_path, data)
    assert list(rows_of(dump, "t")) == [(1, -2500.0, "x", b"\xff", b"y", None), (True, 0.5, "", "", "", b"\0")]


def test_rows_without_names_are_refused_with_the_remedy(tmp_path):
    with pytest.raises(DamagedDump, match="dump with --complete-insert"):
        list(rows_of(written(tmp_path, b"INSERT INTO `t` VALUES (1);"), "t"))


@pytest.mark.parametrize(
    ("literal", "column", "value"),
    [
        (b"b'101'", "bit(3)", 5),
        (b"'\\0'", "bit(1)", 0),
        (b"_binary 'a\\0b'", "varbinary(16)", b"a\0b"),
        (b"0x616263", "char(3)", "abc"),
        (b"X'00ff'", "blob", b"\0\xff"),
        (b"'0000-00-00 00:00:00'", "datetime", None),
        (b"'2024-00-00'", "date", None),
        (b"'2024-02-03 04:05:06.000007'", "timestamp(6) NULL", datetime(2024, 2, 3, 4, 5, 6, 7, UTC)),
        (b"'12:30:00'", "time", "12:30:00"),
        (b"2024", "year(4)", 2024),
        (b"'a\\%b\\_c\\d'", "text", "a\\%b\\_cd"),
        (b"'it''s'", "text", "it's"),
        (b"'\xff\xe9'", "text", "\\xff\\xe9"),
        (b"'{\\\"a\\\": 1}'", "json", '{"a": 1}'),
        (b"'x'", "enum('x','y,)')", "x"),
        (b"18446744073709551615", "bigint unsigned", 2**64 - 1),
        (b"-0.1", "decimal(5,4)", Decimal("-0.1")),
        (b"1e-05", "float", 1e-05),
    ],
)
def test_a_literal_is_read_by_the_type_of_its_column(tmp_path, literal, column, value):
    data = b"CREATE TABLE `t` (`v` " + column.encode() + b");\nINSERT IGNORE INTO `t` VALUES\n(" + literal + b")\n;\n"
    assert list(rows_of(written(tmp_path, data), "t")) == [(value,)]


def test_text_is_read_in_the_encoding_that_the_dump_names(tmp_path):
    data = b"/*!40101 SET NAMES latin1 */;\nCREATE TABLE `t` (`v` text);\nINSERT INTO `t` VALUES ('\xe9\x80');\n"
    assert list(rows_of(written(tmp_path, data), "t")) == [("é€",)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b"(1,'x'),(2);", "a row of t that is not 2 values"),
        (b"('one','x');", "column id of t has a value that is no int: ValueError"),
        (b"(1,'x'),(2,'y'", "it ends in the middle of a row of t"),
        (b"(1,NOW());", "it ends in the middle of a row of t"),
    ],
)
def test_a_bad_row_is_named_by_its_place(tmp_path, rows, message):
    data = b"CREATE TABLE `t` (`id` int, `v` text);\nINSERT INTO `t` VALUES " + rows
    with pytest.raises(DamagedDump, match=f"byte [0-9,]+: {message}"):
        list(rows_of(written(tmp_path, data), "t"))


def test_infinite_floats_are_what_they_are(tmp_path):
    data = b"CREATE TABLE `t` (`v` double);\nINSERT INTO `t` VALUES (1e400);\n"
    assert list(rows_of(written(tmp_path, data), "t")) == [(math.inf,)]
