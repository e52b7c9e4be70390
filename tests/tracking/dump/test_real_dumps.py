"""What a real server's own tool writes is read as what the server holds."""

import gzip
import os
import shutil
import subprocess
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection

from completion_aggregator.tracking.dump import extract_to, rows_of

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

CREATE = """
CREATE TABLE dumped (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, text longtext, raw longblob, bits bit(10),
  amount decimal(12,3), share double, small float, moment datetime(6), stamp timestamp NULL, day date, flag tinyint(1),
  choice enum('a''b','c,)'), twice bigint GENERATED ALWAYS AS (id * 2) VIRTUAL, `od``d` json
) DEFAULT CHARSET=utf8mb4
"""
COLUMNS = "text, raw, bits, amount, share, small, moment, stamp, day, flag, choice, `od``d`"
EVERY_BYTE = bytes(range(256)) * 3
MOMENT = datetime(2024, 2, 29, 23, 59, 59, 123456)  # noqa: DTZ001 (as the server takes it)
ROWS = [
    (
        "it's \\ \"quoted\"\n\r\t\0\x1a `x` -- # /* ); 😀", EVERY_BYTE, 513, Decimal("-12.340"), 0.1, 1.5, MOMENT,
        MOMENT.replace(microsecond=0), MOMENT.date(), 1, "a'b", '{"a": "\\"é"}',
    ),
    (None,) * 12,
    ("", b"", 0, Decimal(0), -1e-300, 0.0, None, None, None, 0, "c,)", "[]"),
]  # fmt: skip
WAYS = {
    "as it is": [],
    "complete": ["--complete-insert", "--hex-blob"],
    "one row each": ["--skip-extended-insert", "--skip-opt", "--create-options", "--quick"],
    "all databases' way": ["--databases"],
    "without comments": ["--compact", "--skip-tz-utc", "--no-tablespaces"],
}


@pytest.fixture
def dumped(vendor):
    if vendor != "mysql":
        pytest.skip("dumps are those of MariaDB and MySQL")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS dumped")
        cursor.execute(CREATE)
        marks = ", ".join(["%s"] * 12)
        cursor.executemany(f"INSERT INTO dumped ({COLUMNS}) VALUES ({marks})", ROWS * 200)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE dumped")


def expected():
    for number, row in enumerate(ROWS * 200, 1):
        text, raw, bits, amount, share, small, moment, stamp, day, flag, choice, odd = row
        moments = [each and each.replace(tzinfo=UTC) for each in (moment, stamp)]
        yield (number, text, raw, bits, amount, share, small, *moments, day, flag, choice, odd)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_dump_gives_the_rows_of_the_server_and_sections_that_load(dumped, tmp_path, way):
    tool = shutil.which("mariadb-dump") or shutil.which("mysqldump")
    if not tool:
        pytest.skip("needs mariadb-dump or mysqldump")
    path = tmp_path / "dump.sql"
    server = connection.settings_dict
    login = [f"--host={server['HOST']}", f"--port={server['PORT'] or 3306}", f"--user={server['USER']}"]
    client = [tool.replace("-dump", "").replace("mysqldump", "mysql"), *login]
    # Without comments a dump lacks the settings that it relies on.
    client += ["--default-character-set=utf8mb4", "--init-command=SET sql_mode=''"]
    environment = os.environ | {"MYSQL_PWD": server["PASSWORD"] or ""}
    with path.open("wb") as out:
        subprocess.run(
            [tool, *login, "--default-character-set=utf8mb4", *WAYS[way], str(server["NAME"])],
            stdout=out, check=True, env=environment,
        )  # fmt: skip
    extract_to(tmp_path / "one.sql.gz", path, ["dumped"])
    with connection.cursor() as cursor, gzip.open(tmp_path / "one.sql.gz") as section:
        cursor.execute("DROP TABLE dumped")
        loaded = section.read()
        subprocess.run([*client, str(server["NAME"])], input=loaded, check=True, env=environment)
        cursor.execute("SELECT count(*), sum(id), sum(twice), max(length(raw)) FROM dumped")
        assert cursor.fetchone() == (600, 180_300, 360_600, 768)
    names = [name.strip("`").replace("``", "`") for name in ("id", *COLUMNS.split(", "))]
    for dump in (path, tmp_path / "one.sql.gz"):
        assert list(rows_of(dump, "dumped", names)) == list(expected())
