from pathlib import Path

import pytest

from completion_aggregator.exceptions import InvalidSetting
from completion_aggregator.platforms.standalone import database as module
from completion_aggregator.platforms.standalone.database import database, default_database, drivable_database, shown


@pytest.mark.parametrize(
    ("url", "engine", "place"),
    [
        ("sqlite:////srv/a%20b.sqlite3", "sqlite3", ("/srv/a b.sqlite3", "", "")),
        ("mysql://u:p%40@db:3307/n", "mysql", ("n", "db", 3307)),
        ("mariadb://u@db/n", "mysql", ("n", "db", "")),
        ("postgres://u:p@db/n", "postgresql", ("n", "db", "")),
        ("postgresql://u:p@[::1]:5433/n", "postgresql", ("n", "::1", 5433)),
    ],
)
def test_urls_of_every_supported_database(url, engine, place):
    config = database(url)
    assert config["ENGINE"] == f"django.db.backends.{engine}"
    assert (config["NAME"], config["HOST"], config["PORT"]) == place


@pytest.mark.parametrize("url", ["", "db.sqlite3", "oracle://u@db/n", "mysql://u@db", "postgres://u@db/", "ftp://x/y"])
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match=r".*"):
        database(url)


@pytest.mark.parametrize(("scheme", "extra"), [("mysql", "mysql"), ("mariadb", "mysql"), ("postgres", "postgresql")])
def test_a_driver_that_is_missing_is_named_by_its_extra(monkeypatch, scheme, extra):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InvalidSetting, match=rf"pip install 'completion-aggregator\[standalone,{extra}\]'$") as error:
        drivable_database(f"{scheme}://u:hunter2@db/n")
    assert "hunter2" not in str(error.value)
    assert drivable_database("sqlite:////srv/x.sqlite3") == database("sqlite:////srv/x.sqlite3")


def test_the_older_driver_of_postgresql_does_not_do(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: object() if name == "psycopg2" else None)
    with pytest.raises(InvalidSetting, match="needs a driver that is not installed"):
        drivable_database("postgres://u@db/n")


def test_sqlite_serves_readers_beside_one_writer():
    options = database("sqlite:////srv/x.sqlite3")["OPTIONS"]
    assert (options["transaction_mode"], options["timeout"]) == ("IMMEDIATE", 20)
    assert "journal_mode=WAL" in options["init_command"]


def test_mysql_keeps_every_character_and_reads_what_is_committed():
    assert database("mysql://u@db/n?connect_timeout=3")["OPTIONS"] == {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "connect_timeout": 3,
    }


def test_the_default_is_a_file_in_the_home_folder():
    assert default_database(Path("/home/a na/?#"))["NAME"] == "/home/a na/?#/completion.sqlite3"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("mysql://u:secret@db:3306/n", "mysql://u:***@db:3306/n"),
        ("postgres://u@db/n", "postgres://u@db/n"),
        ("sqlite:////srv/x.sqlite3", "sqlite:////srv/x.sqlite3"),
    ],
)
def test_a_url_is_shown_without_its_password(url, text):
    assert shown(database(url)) == text
