"""Migration 0014: a column that costs no row of the queue anything, on the way there and back."""

from typing import Any

import pytest
from django.db import connection

from completion_aggregator.migrations import _patience
from completion_aggregator.models import StaleCompletion
from tests.migrations.schema import LABEL, migrate

TABLE = f"{LABEL}_stalecompletion"
COURSE, MOMENT = "course-v1:A+b+C", "2026-01-02 03:04:05.000006"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("latest")]


def insert(name: str) -> None:
    """Insert a row as 4.x does, which does not know the column."""
    force = connection.ops.quote_name("force")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (created, modified, username, course_key, block_key, {force}, resolved)"
            " VALUES (%s, %s, %s, %s, NULL, %s, %s)",
            [MOMENT, MOMENT, name, COURSE, False, False],
        )


def test_the_column_is_added_at_once_and_old_software_goes_on(vendor: str) -> None:
    migrate("0013")
    insert("before")
    seen = []

    def at_once(run: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if TABLE in sql and sql.startswith(("ALTER", "CREATE", "UPDATE", "INSERT")):
            seen.append(sql)
            if vendor == "mysql":
                # Whatever cannot be done at once is refused.
                sql += ", ALGORITHM=INSTANT"
        return run(sql, parameters, many, context)

    with connection.execute_wrapper(at_once):
        migrate("0014")
    insert("after")

    quoted = connection.ops.quote_name
    assert seen == [f"ALTER TABLE {quoted(TABLE)} ADD COLUMN {quoted('user_id')} bigint NULL"]
    assert list(StaleCompletion.objects.order_by("id").values_list("username", "user_id")) == [
        ("before", None), ("after", None),
    ]  # fmt: skip


def test_the_way_back_keeps_every_row() -> None:
    StaleCompletion.objects.create(username="ana", user_id=7, course_key=COURSE)
    migrate("0013")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT username, course_key FROM {TABLE}")
        assert list(cursor.fetchall()) == [("ana", COURSE)]
        columns = connection.introspection.get_table_description(cursor, TABLE)
    assert "user_id" not in {column.name for column in columns}


def test_a_transaction_that_lasts_holds_up_the_migration_and_nobody_else(
    vendor: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if vendor != "mysql":
        pytest.skip("speaks of MariaDB and MySQL")
    migrate("0013")
    insert("before")
    other, pauses = connection.copy(), []
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(f"SELECT username FROM {TABLE}")

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        insert(f"meanwhile {len(pauses)}")
        if len(pauses) == 2:
            other.close()

    monkeypatch.setattr(_patience, "sleep", pause)
    migrate("0014")

    assert pauses == [_patience.PAUSE_SECONDS] * 2
    assert f"TABLE `{TABLE}` is in use by a transaction that lasts; trying again (2 of" in capsys.readouterr().out
    assert list(StaleCompletion.objects.order_by("id").values_list("username", "user_id")) == [
        ("before", None), ("meanwhile 1", None), ("meanwhile 2", None),
    ]  # fmt: skip
