"""Migration 0008 and those after it: what they end in, and what they do when a run was interrupted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.migrations.operations import SeparateDatabaseAndState

from completion_aggregator.migrations._online import RebuildError
from completion_aggregator.migrations._operations import Rebuild
from tests.migrations.schema import LABEL, described, migrate

OLD = "0007"
AGGREGATOR, STALE = f"{LABEL}_aggregator", f"{LABEL}_stalecompletion"
COURSE, MOMENT = "course-v1:A+b+C", "2026-01-02 03:04:05.000006"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("latest")]


@pytest.fixture
def mysql(vendor: str) -> None:
    if vendor != "mysql":
        pytest.skip("elsewhere a migration is one transaction")


def execute(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def stale(name: str, block: str | None, table: str = STALE) -> None:
    execute(
        f"INSERT INTO {table} (created, modified, username, course_key, block_key, `force`, resolved)"
        " VALUES (%s, %s, %s, %s, %s, 0, 0)",
        MOMENT, MOMENT, name, COURSE, block,
    )  # fmt: skip


class Killed(BaseException):
    """What no code of ours catches."""


@contextmanager
def killed_before(words: str) -> Iterator[None]:
    def wrapper(run: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if words in sql.replace("`", ""):
            raise Killed
        return run(sql, parameters, many, context)

    with pytest.raises(Killed), connection.execute_wrapper(wrapper):
        yield


def test_the_tables_are_what_plain_alterations_would_have_made(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = []
    for plain in (True, False):
        with monkeypatch.context() as patch:
            if plain:
                for name in ("database_forwards", "database_backwards"):
                    patch.setattr(Rebuild, name, getattr(SeparateDatabaseAndState, name))
            migrate(OLD)
            back = described(LABEL)
            migrate()
            ways.append((back, described(LABEL)))
    assert ways[0] == ways[1]
    assert {AGGREGATOR, STALE} < set(ways[0][0]) < set(ways[0][1])


@pytest.mark.usefixtures("mysql")
@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (OLD, "", f"CREATE TABLE {LABEL}_courseprogress"),
        (OLD, "", f"ALTER TABLE {LABEL}_courseprogress ADD COLUMN course_id"),
        (OLD, "", f"CREATE TABLE {LABEL}_delivery"),
        (OLD, "", f"UPDATE {LABEL}_courseprogress"),
        (OLD, "", f"ALTER TABLE {LABEL}_aggregatedcourse ADD COLUMN reconcile_after"),
        ("", OLD, f"ALTER TABLE {LABEL}_aggregatedcourse DROP COLUMN reconcile_after"),
        ("", OLD, f"DROP TABLE {LABEL}_crossing"),
        ("", OLD, f"DROP TABLE {LABEL}_aggregatedcourse"),
        ("", OLD, f"CREATE TABLE {AGGREGATOR}_0007_draft"),
    ],
)
def test_a_migration_that_was_killed_is_continued(start: str, end: str, words: str) -> None:
    migrate(OLD)
    stale("ana", "block")
    migrate(end)
    wanted = described(LABEL)
    migrate(start)
    with killed_before(words):
        migrate(end)
    connection.close()
    migrate(end)
    assert described(LABEL) == wanted
    assert rows(f"SELECT username, block_key FROM {STALE}") == [("ana", "block")]


@pytest.mark.usefixtures("mysql")
def test_a_table_with_rows_is_never_taken_for_a_leftover() -> None:
    migrate(OLD)
    execute(f"CREATE TABLE {LABEL}_aggregatedcourse (id int)")
    execute(f"INSERT INTO {LABEL}_aggregatedcourse VALUES (1)")
    with pytest.raises(RuntimeError, match="has rows, though 0008_completion_vectors was not applied"):
        migrate("0008")
    execute(f"DROP TABLE {LABEL}_aggregatedcourse")


@pytest.mark.usefixtures("mysql")
def test_ids_of_more_than_32_bits_do_not_go_back_and_nothing_of_0008_is_gone() -> None:
    user = get_user_model()._default_manager.create(username="ana")
    execute(
        f"INSERT INTO {AGGREGATOR} (id, user_id, course_key, aggregation_name, block_key, earned, possible, percent,"
        " optional_earned, optional_possible, optional_percent, last_modified, created, modified)"
        " VALUES (%s, %s, %s, 'vertical', 'block', 1, 2, 0.5, 0, 0, 1, %s, %s, %s)",
        2**31, user.pk, COURSE, MOMENT, MOMENT, MOMENT,
    )  # fmt: skip
    before = described(LABEL)
    try:
        with pytest.raises(RebuildError, match="ids that its old form, of 32 bits, has no room for"):
            migrate(OLD)
        migrate()
        assert described(LABEL) == before
        assert rows(f"SELECT id FROM {AGGREGATOR}") == [(2**31,)]
    finally:
        execute(f"DELETE FROM {AGGREGATOR}")
        execute(f"ALTER TABLE {AGGREGATOR} AUTO_INCREMENT = 1")


@pytest.mark.usefixtures("mysql")
def test_tables_of_three_bytes_a_letter_are_taken_over() -> None:
    migrate(OLD)
    stale("ana", "block")
    execute(f"ALTER TABLE {STALE} CONVERT TO CHARACTER SET utf8mb3")
    migrate("0008")
    assert rows(f"SELECT username, block_key FROM {STALE}") == [("ana", "block")]
    assert rows(
        "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = DATABASE()"
        f" AND table_name = '{STALE}' AND column_name LIKE '%_key'"
    ) == [("utf8mb4_bin",)]


@pytest.mark.usefixtures("mysql")
@pytest.mark.parametrize("row_format", ["COMPACT", "REDUNDANT", "DYNAMIC", "COMPRESSED"])
def test_tables_of_servers_whose_indexes_were_shorter_are_taken_over(row_format: str) -> None:
    migrate(OLD)
    stale("ana", "block")
    for name in (AGGREGATOR, STALE):
        # In the other order: keys of four bytes a letter are too long for such a table, those of three are not.
        execute(f"ALTER TABLE {name} CONVERT TO CHARACTER SET utf8mb3")
        execute(f"ALTER TABLE {name} ROW_FORMAT={row_format}")
    migrate()
    assert rows(f"SELECT username, block_key FROM {STALE}") == [("ana", "block")]
    wanted = "Compressed" if row_format == "COMPRESSED" else "Dynamic"
    assert rows(
        "SELECT table_name, row_format FROM information_schema.tables WHERE table_schema = DATABASE()"
        f" AND table_name IN ('{AGGREGATOR}', '{STALE}') ORDER BY 1"
    ) == [(AGGREGATOR, wanted), (STALE, wanted)]
    migrate(OLD)
    for name in (AGGREGATOR, STALE):
        execute(f"ALTER TABLE {name} ROW_FORMAT=DEFAULT")
        execute(f"ALTER TABLE {name} CONVERT TO CHARACTER SET utf8mb4")


@pytest.mark.usefixtures("mysql")
@pytest.mark.parametrize(("block", "copied"), [("block", True), ("block", False), (None, True), (None, False)])
def test_the_row_that_0004_of_4x_forgot_is_taken_over_and_its_table_dropped(block: str | None, copied: bool) -> None:
    migrate(OLD)
    execute(f"CREATE TABLE {STALE}old LIKE {STALE}")
    stale("long ago", "block", table=f"{STALE}old")
    stale("bob", block, table=f"{STALE}old")
    if copied:
        stale("bob", block)
    migrate("0008")
    assert rows(f"SELECT username, block_key FROM {STALE}") == [("bob", block)]
    assert f"{STALE}old" not in connection.introspection.table_names()
