import gzip
import io
import lzma

import pytest

from completion_aggregator.tracking.dump import (
    AbsentTable,
    AmbiguousTable,
    DamagedDump,
    UnusableTarget,
    extract,
    extract_to,
    rows_of,
    split,
    tables_of,
)
from completion_aggregator.tracking.dump import window as windows
from tests.tracking.dump.writing import HEADER, section

COLUMNS = ("`id` int(11) NOT NULL", "`text` longtext")
USERS = section("auth_user", COLUMNS, [(1, "ana; DROP TABLE `auth_user`;\n-- 'no'"), (2, "INSERT INTO `grades`")])
GRADES = section("grades", COLUMNS, [(1, 'A "plus" /* not a comment'), (2, "\\")])
TRIGGER = b"""/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER t AFTER INSERT ON grades FOR EACH ROW BEGIN
  -- don't count; it's off
  INSERT INTO `auth_user` VALUES (9, 'from a trigger');
END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
"""
VIEW = b"/*!50001 CREATE TABLE `a_view` (\n  `id` tinyint NOT NULL\n) ENGINE=MyISAM */;\n"
DUMP = HEADER + USERS + TRIGGER + VIEW + GRADES + b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n-- Dump completed"


@pytest.fixture
def dump(tmp_path):
    path = tmp_path / "nightly.sql"
    path.write_bytes(DUMP)
    return path


def extracted(dump, *tables):
    out = io.BytesIO()
    extract(dump, tables, out)
    return out.getvalue().decode()


def test_a_section_is_a_dump_of_its_own(dump):
    assert extracted(dump, "grades").splitlines() == [
        "/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;",
        "/*!40101 SET NAMES utf8mb4 */;",
        "/*!40103 SET TIME_ZONE='+00:00' */;",
        "/*!40101 SET @saved_cs_client     = @@character_set_client */;",  # may be for all
        "/*!40101 SET @saved_cs_client     = @@character_set_client */;",
        "DROP TABLE IF EXISTS `grades`;",
        "CREATE TABLE `grades` (",
        "  `id` int(11) NOT NULL,",
        "  `text` longtext,",
        "  PRIMARY KEY (`id`)",
        ") ENGINE=InnoDB;",
        "/*!40101 SET character_set_client = @saved_cs_client */;",
        "LOCK TABLES `grades` WRITE;",
        "/*!40000 ALTER TABLE `grades` DISABLE KEYS */;",
        "INSERT INTO `grades` VALUES (1,'A \\\"plus\\\" /* not a comment'),(2,'\\\\');",
        "/*!40000 ALTER TABLE `grades` ENABLE KEYS */;",
        "UNLOCK TABLES;",
    ]


def test_settings_of_the_whole_server_are_left_out(tmp_path):
    dump = tmp_path / "mysql8.sql"
    header = (
        b"SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;\nSET @@SESSION.SQL_LOG_BIN= 0;\n"
        b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';\n"
        b"/*!50503 SET NAMES utf8 */;\n"
    )
    dump.write_bytes(header + GRADES)
    kept = [line for line in extracted(dump, "grades").splitlines() if "SET" in line]
    assert [line for line in kept if "_client" not in line] == ["/*!50503 SET NAMES utf8 */;"]


def test_text_and_triggers_that_look_like_other_tables_are_none(dump):
    assert tables_of(dump) == {"auth_user": {""}, "grades": {""}}
    assert "from a trigger" not in extracted(dump, "auth_user")
    assert list(rows_of(dump, "auth_user")) == [
        (1, "ana; DROP TABLE `auth_user`;\n-- 'no'"),
        (2, "INSERT INTO `grades`"),
    ]


@pytest.mark.parametrize("packed", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_a_packed_dump_gives_the_same(dump, tmp_path, packed):
    other = tmp_path / "nightly.dump"
    other.write_bytes(packed(DUMP))
    assert extracted(other, "grades", "auth_user") == extracted(dump, "grades", "auth_user")


@pytest.mark.parametrize("piece", range(1, 40))
def test_where_the_pieces_end_does_not_matter(dump, piece, monkeypatch):
    whole = extracted(dump, "grades", "auth_user")
    monkeypatch.setattr(windows, "PIECE", piece)
    monkeypatch.setattr("completion_aggregator.tracking.dump.statements.HEAD_BYTES", 300)
    assert extracted(dump, "grades", "auth_user") == whole


def test_an_absent_table_is_named_with_those_that_are_there(dump, tmp_path):
    with pytest.raises(AbsentTable) as caught:
        extract_to(tmp_path / "out.sql", dump, ["grades", "certificates"])
    assert str(caught.value) == f"{dump} has no table certificates; it has auth_user, grades"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nightly.sql"]


def test_a_file_that_is_there_is_not_written_over(dump, tmp_path):
    target = tmp_path / "out.sql"
    extract_to(target, dump, ["grades"])
    with pytest.raises(UnusableTarget, match=r"out\.sql is there already"):
        extract_to(target, dump, ["grades"])
    assert target.read_text() == extracted(dump, "grades")


def test_a_name_that_ends_in_gz_is_packed(dump, tmp_path):
    extract_to(tmp_path / "out.sql.gz", dump, ["grades"])
    assert gzip.decompress((tmp_path / "out.sql.gz").read_bytes()).decode() == extracted(dump, "grades")


def test_one_pass_parts_many_tables_and_leaves_out_those_that_are_not_there(dump, tmp_path):
    found = split(dump, ["auth_user", "grades", "certificates"], tmp_path)
    assert {name: len(list(rows_of(path, name))) for name, path in found.items()} == {"auth_user": 2, "grades": 2}


def test_a_table_in_two_databases_is_to_be_named_with_one(tmp_path):
    dump = tmp_path / "all.sql"
    both = [b"CREATE DATABASE `a`;\nUSE `a`;\n", GRADES, b"USE `b`;\n", section("grades", COLUMNS, [(7, "b")])]
    dump.write_bytes(HEADER + b"".join(both))
    with pytest.raises(AmbiguousTable, match=r"name it as one of a\.grades, b\.grades"):
        extracted(dump, "grades")
    with pytest.raises(AmbiguousTable):
        list(rows_of(dump, "grades"))
    assert list(rows_of(dump, "b.grades")) == [(7, "b")]


@pytest.mark.parametrize("end", [len(DUMP) - 250, DUMP.index(b"plus"), DUMP.index(b"don't")])
def test_a_dump_that_was_cut_is_not_taken_for_a_whole_one(tmp_path, end):
    dump = tmp_path / "cut.sql"
    dump.write_bytes(DUMP[:end])
    with pytest.raises(DamagedDump, match=r"cut\.sql, byte [\d,]+: it ends in the middle of"):
        extracted(dump, "grades")


def test_a_gzip_file_that_was_cut_says_so(tmp_path):
    dump = tmp_path / "cut.sql.gz"
    dump.write_bytes(gzip.compress(DUMP)[:-30])
    with pytest.raises(DamagedDump, match="was it copied whole"):
        extracted(dump, "grades")


def test_what_is_no_dump_has_no_tables(tmp_path):
    dump = tmp_path / "notes.txt"
    dump.write_text("nothing of that kind;\n")
    with pytest.raises(AbsentTable, match="it has none at all: is it what mysqldump"):
        extracted(dump, "grades")


def test_another_way_of_packing_is_named(tmp_path):
    dump = tmp_path / "dump.sql.zst"
    dump.write_bytes(b"\x28\xb5\x2f\xfd rest")
    with pytest.raises(DamagedDump, match="packed by zstd: unpack it first"):
        extracted(dump, "grades")
    with pytest.raises(DamagedDump, match=r"absent\.sql cannot be read: No such file"):
        extracted(tmp_path / "absent.sql", "grades")
