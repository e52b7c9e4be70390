import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from completion_aggregator.tracking.dump import AbsentColumn, AbsentTable, AmbiguousTable
from completion_aggregator.tracking.refresh import DatabaseSource, DumpSource
from completion_aggregator.tracking.refresh.database import UnknownDatabase
from completion_aggregator.tracking.refresh.source import flag, integer, lenient, moment, number, text
from tests.tracking.dump.writing import HEADER
from tests.tracking.refresh.sources import T1, T2, dump_of, table

TABLES = {
    "noted": table(
        "id:int text:text share:number flag:flag moment:time",
        *[(key, f"row {key} ' \\", key / 2, key % 2, T1 + timedelta(seconds=key)) for key in (5, 3, 9, 12, 11)],
    ),
    "empty": table("id:int text:text"),
}


def test_rows_come_some_at_a_time(opened):
    with opened(TABLES) as source:
        some = list(source.rows("noted", ["flag", "text", "share", "moment"], optional=["absent", "id"], at_once=2))
    rows = sorted(
        (key, flag(is_on), written, number(share), moment(at), absent)
        for each in some
        for is_on, written, share, at, absent, key in each
    )
    assert [len(each) for each in some] == [2, 2, 1]
    assert rows == [
        (key, bool(key % 2), f"row {key} ' \\", key / 2, T1 + timedelta(seconds=key), None) for key in (3, 5, 9, 11, 12)
    ]


def test_a_full_last_batch_is_not_followed_by_an_empty_one(opened):
    with opened(TABLES) as source:
        assert [len(each) for each in source.rows("noted", ["id"], at_once=5)] == [5]
        assert list(source.rows("empty", ["text"])) == []


def test_what_is_absent_is_named(opened):
    with opened(TABLES) as source:
        assert {"noted", "empty"} <= set(source.tables())
        with pytest.raises(AbsentTable, match=r"has no table absent; it has .*noted"):
            list(source.rows("absent", ["id"]))
        with pytest.raises(AbsentColumn, match="table noted, has no column mode, name; it has id, text, share, flag"):
            list(source.rows("noted", ["id", "name", "mode"]))


def test_a_dump_is_read_once_and_leaves_nothing(tmp_path):
    dump, scratch = tmp_path / "lms.sql", tmp_path / "scratch"
    scratch.mkdir()
    dump.write_bytes(dump_of(TABLES))
    with DumpSource(dump, list(TABLES), scratch=scratch) as source:
        assert len(list(source.rows("noted", ["id"]))) == 1
        (folder,) = scratch.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
        dump.unlink()
        assert list(source.rows("empty", ["id"])) == []
    assert list(scratch.iterdir()) == []


def test_of_several_databases_one_is_named(tmp_path):
    dump = tmp_path / "all.sql"
    other = {"noted": table("id:int text:text", (1, "of shop"))}
    both = [b"USE `lms`;\n", dump_of(TABLES).removeprefix(HEADER), b"USE `shop`;\n", dump_of(other)]
    dump.write_bytes(HEADER + b"".join(both))
    with DumpSource(dump, ["noted", "empty"], database="shop") as source:
        assert list(source.rows("noted", ["text"])) == [[("of shop",)]]
        assert list(source.tables()) == ["noted"]
    with DumpSource(dump, ["noted"]) as source, pytest.raises(AmbiguousTable, match=r"lms\.noted, shop\.noted"):
        source.tables()


def test_an_unknown_database_of_the_site_is_named():
    with pytest.raises(UnknownDatabase, match="the site has no database 'replica'; it has default"):
        DatabaseSource("replica")


@pytest.mark.parametrize(
    ("convert", "value", "expected"),
    [
        (integer, "12", 12),
        (integer, Decimal(3), 3),
        (integer, "", None),
        (integer, 2**63, None),
        (integer, math.inf, None),
        (integer, None, None),
        (integer, [1], None),
        (number, "0.5", 0.5),
        (number, Decimal("0.25"), 0.25),
        (number, "", None),
        (number, "A+", None),
        (number, math.nan, None),
        (number, [1], None),
        (text, "", None),
        (text, b"caf\xc3\xa9", "café"),
        (text, "\ud800!", "?!"),
        (text, 5, "5"),
        (flag, 0, False),
        (flag, True, True),
        (flag, "1", True),
        (flag, b"0", False),
        (flag, "maybe", None),
        (flag, None, None),
        (moment, "2024-02-02 00:00:00", T2),
        (moment, "2024-02-02T00:00:00Z", T2),
        (moment, datetime(2024, 2, 2, 1, tzinfo=timezone(timedelta(hours=1))), T2),
        (moment, datetime(2024, 2, 2), T2),  # noqa: DTZ001 (as MySQL's driver gives it)
        (moment, "yesterday", None),
        (moment, datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), None),
        (moment, 5, None),
    ],
)
def test_a_value_is_what_it_means_or_nothing(convert, value, expected):
    assert convert(value) == expected


def test_nobody_has_no_pseudonym():
    known = lenient(lambda user_id: bytes([user_id]))
    assert [known(value) for value in (None, "", "7", 7, "x")] == [None, None, b"\7", b"\7", None]
    assert T2.tzinfo is UTC
