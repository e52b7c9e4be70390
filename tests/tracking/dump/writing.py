"""Dumps as a writer that knows nothing but the rules of quotation makes them."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

ESCAPED = {0: b"\\0", 10: b"\\n", 13: b"\\r", 26: b"\\Z", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}


def literal(value: object) -> bytes:
    match value:
        case None:
            return b"NULL"
        case bool() | int() | Decimal():
            return str(int(value) if isinstance(value, bool) else value).encode()
        case float():
            return repr(value).encode()
        case bytes():
            return b"0x" + value.hex().upper().encode() if value else b"''"
        case datetime():
            return quoted(value.replace(tzinfo=None).isoformat(" ").encode())
        case date():
            return quoted(value.isoformat().encode())
        case _:
            return quoted(str(value).encode())


def quoted(text: bytes) -> bytes:
    return b"'" + b"".join(ESCAPED.get(byte, bytes([byte])) for byte in text) + b"'"


def insert(table: str, rows: Iterable[Sequence[object]], columns: Sequence[str] = ()) -> bytes:
    names = b" (" + b", ".join(f"`{name}`".encode() for name in columns) + b")" if columns else b""
    values = b",".join(b"(" + b",".join(map(literal, row)) + b")" for row in rows)
    return f"INSERT INTO `{table}`".encode() + names + b" VALUES " + values + b";\n"


def create(table: str, *columns: str) -> bytes:
    lines = ",\n".join(f"  {column}" for column in (*columns, "PRIMARY KEY (`id`)"))
    return f"DROP TABLE IF EXISTS `{table}`;\nCREATE TABLE `{table}` (\n{lines}\n) ENGINE=InnoDB;\n".encode()


HEADER = b"""/*M!999999\\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for a server's own name
--
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET TIME_ZONE='+00:00' */;

"""


def section(table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    return b"".join(
        [
            f"--\n-- Table structure for table `{table}`\n--\n\n".encode(),
            b"/*!40101 SET @saved_cs_client     = @@character_set_client */;\n",
            create(table, *columns),
            b"/*!40101 SET character_set_client = @saved_cs_client */;\n\n",
            f"LOCK TABLES `{table}` WRITE;\n/*!40000 ALTER TABLE `{table}` DISABLE KEYS */;\n".encode(),
            insert(table, rows) if rows else b"",
            f"/*!40000 ALTER TABLE `{table}` ENABLE KEYS */;\nUNLOCK TABLES;\n\n".encode(),
        ]
    )
