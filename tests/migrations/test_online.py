"""A table that is rebuilt while others write to it: a small one, with batches that are smaller still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection

from completion_aggregator.migrations import _online, _patience
from completion_aggregator.migrations._online import ForeignKey, RebuildError, Table, rebuild

NAME, COPY, BEFORE = "online_rows", "online_rows_2_copy", "online_rows_2_before"
OWNERS = "CREATE TABLE online_owners (id int PRIMARY KEY)"
ROWS = """
    CREATE TABLE online_rows (
        id int NOT NULL AUTO_INCREMENT PRIMARY KEY, owner_id int NOT NULL,
        name varchar(50) COLLATE utf8mb4_unicode_ci NOT NULL, `value` double NOT NULL, resolved bool NOT NULL,
        modified datetime(6) NOT NULL, UNIQUE KEY online_unique (owner_id, name),
        CONSTRAINT online_owner FOREIGN KEY (owner_id) REFERENCES online_owners (id)
    )"""
FORMS = {"1": ("int", "utf8mb4_unicode_ci"), "2": ("bigint", "utf8mb4_bin")}
#: Seconds from the beginning of a test.
EARLIER, NOW, LATER, LATEST = -5, 0, 1, 2
SLOW_CLOCK = -6
begun = datetime.now(UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tables(vendor: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if vendor != "mysql":
        pytest.skip("speaks of MariaDB and MySQL")
    for name, value in (("BATCH", 3), ("ALONE_SECONDS", 0)):
        monkeypatch.setattr(_online, name, value)
    monkeypatch.setattr(_patience, "PAUSE_SECONDS", 0.1)
    monkeypatch.setitem(globals(), "begun", datetime.now(UTC))
    drop()
    execute(OWNERS)
    execute(ROWS)
    execute("INSERT INTO online_owners VALUES (1), (2)")
    for number in range(1, 11):
        write(f"row {number}", number / 10, number=number * number)
    yield
    drop()


def drop() -> None:
    names = [name for name in connection.introspection.table_names() if name.startswith("online_")]
    for name in sorted(names, reverse=True):
        execute(f"DROP TABLE {name}")


def execute(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)


def rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall())


def at(seconds: int) -> datetime:
    return begun.replace(tzinfo=None) + timedelta(seconds=seconds)


def write(name: str, value: float, modified: int = EARLIER, owner: int = 1, number: int | None = None) -> None:
    execute(
        f"INSERT INTO {NAME} (id, owner_id, name, `value`, resolved, modified) VALUES (%s, %s, %s, %s, 0, %s)"
        " ON DUPLICATE KEY UPDATE `value` = VALUES(`value`), modified = VALUES(modified)",
        number, owner, name, value, at(modified),
    )  # fmt: skip


def content() -> list[tuple[Any, ...]]:
    return rows(f"SELECT id, name, `value`, resolved FROM {NAME} ORDER BY id")


WRITTEN = [(number * number, f"row {number}", number / 10, 0) for number in range(1, 11)]


def run(target: str = "2") -> None:
    id_type, collation = FORMS[target]

    def alter(name: str) -> None:
        execute(f"ALTER TABLE {name} MODIFY id {id_type} NOT NULL AUTO_INCREMENT")
        execute(f"ALTER TABLE {name} MODIFY name varchar(50) COLLATE {collation} NOT NULL")

    statement = f"ALTER TABLE {NAME} ADD CONSTRAINT online_owner FOREIGN KEY (owner_id) REFERENCES online_owners (id)"
    table = Table(
        connection=connection, name=NAME, target=target, id_type=id_type, key=("owner_id", "name"),
        marks=("modified", "resolved"), foreign_keys=(ForeignKey("owner_id", "online_owners", "id", statement),),
    )  # fmt: skip
    rebuild(table, alter)


def form() -> tuple[str, str, list[str]]:
    """Return what the rebuilt table is, and which tables there are beside it."""
    ((_, definition),) = rows(f"SHOW CREATE TABLE {NAME}")
    names = sorted(name for name in connection.introspection.table_names() if name.startswith("online_"))
    id_type = "bigint" if "`id` bigint" in definition else "int"
    wanted = [
        part
        for part in ("CONSTRAINT `online_owner` FOREIGN KEY", "UNIQUE KEY `online_unique`")
        if part not in definition
    ]
    assert (wanted, "modified_" in definition) == ([], False)
    return id_type, "utf8mb4_bin" if "utf8mb4_bin" in definition else "utf8mb4_unicode_ci", names


def is_done() -> bool:
    return form() == ("bigint", "utf8mb4_bin", ["online_owners", NAME])


class Killed(BaseException):
    """What no code of ours catches."""


Act = Callable[[int, str], None]


@contextmanager
def meanwhile(act: Act) -> Iterator[list[str]]:
    """Do something before each statement that is no question, told its number; yield the statements."""
    seen: list[str] = []
    acting = False

    def wrapper(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        nonlocal acting
        if not acting and not sql.startswith(("SELECT", "SHOW", "SET")):
            seen.append(sql)
            acting = True
            try:
                act(len(seen), sql)
            finally:
                acting = False
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(wrapper):
        yield seen


def once(beginning: str, act: Callable[[], None]) -> Act:
    done: list[str] = []

    def acted(_: int, sql: str) -> None:
        if sql.startswith(beginning) and not done:
            done.append(sql)
            act()

    return acted


def killing(at: int) -> Act:
    def kill(number: int, _: str) -> None:
        if number == at:
            raise Killed

    return kill


STEPS = [
    f"RENAME TABLE {NAME}_2_draft",
    f"INSERT INTO {COPY}",
    f"ALTER TABLE {NAME} ADD INDEX",
    f"ALTER TABLE {COPY} AUTO_INCREMENT",
    f"RENAME TABLE {NAME} TO",
    f"ALTER TABLE {BEFORE} DROP FOREIGN KEY",
    f"ALTER TABLE {NAME} ADD CONSTRAINT",
    f"DROP TABLE {BEFORE}",
]


def test_rows_keep_their_ids_and_values_there_and_back() -> None:
    for target in ("2", "1", "2"):
        run(target)
        assert content() == WRITTEN
        assert form() == (*FORMS[target], ["online_owners", NAME])


def test_what_was_killed_before_any_of_its_statements_is_continued() -> None:
    with meanwhile(lambda number, sql: None) as statements:
        run()
    assert [step for step in STEPS if not any(sql.startswith(step) for sql in statements)] == []
    for number in range(1, len(statements) + 1):
        run("1")
        with pytest.raises(Killed), meanwhile(killing(number)):
            run()
        connection.close()
        run()
        assert (content(), is_done()) == (WRITTEN, True), statements[number - 1]


def test_a_server_that_died_between_the_two_renames_is_understood() -> None:
    with pytest.raises(Killed), meanwhile(once(f"RENAME TABLE {NAME} TO", lambda: killing(1)(1, ""))):
        run()
    execute(f"RENAME TABLE {NAME} TO {BEFORE}")
    run()
    assert (content(), is_done()) == (WRITTEN, True)


@pytest.mark.parametrize("step", STEPS)
def test_what_others_write_in_between_is_there_at_the_end(step: str) -> None:
    def others() -> None:
        write("row 1", 7.1, LATER)
        write("new", 7.2, NOW)

    with meanwhile(once(step, others)):
        run()

    found = {name: (number, value) for number, name, value, _ in content()}
    assert found.pop("new")[1] == 7.2
    assert found == {name: (number, value) for number, name, value, _ in WRITTEN} | {"row 1": (1, 7.1)}


@pytest.mark.parametrize("step", STEPS[:3])
def test_what_is_copied_is_what_was_written_last_even_by_a_slow_clock(step: str) -> None:
    with meanwhile(once(step, lambda: write("row 1", 7.1, SLOW_CLOCK))):
        run()
    assert content()[0][2] == 7.1


@pytest.mark.parametrize("step", STEPS[1:5])
def test_a_row_that_is_resolved_in_between_is_so_at_the_end(step: str) -> None:
    with meanwhile(once(step, lambda: execute(f"UPDATE {NAME} SET resolved = 1 WHERE id <= 4"))):
        run()
    assert [number for number, _, _, resolved in content() if resolved] == [1, 4]


@pytest.mark.parametrize("step", STEPS[1:])
def test_who_is_deleted_in_between_leaves_nothing(step: str) -> None:
    write("other", 1.0, owner=2, number=50)

    def delete() -> None:
        execute(f"DELETE FROM {NAME} WHERE owner_id = 2")
        if "DROP FOREIGN KEY" not in step:  # the one moment at which a user who has rows cannot be deleted
            execute("DELETE FROM online_owners WHERE id = 2")

    with meanwhile(once(step, delete)):
        run()
    if "DROP FOREIGN KEY" not in step:
        assert content() == WRITTEN


def test_what_is_written_after_the_names_changed_is_newer() -> None:
    def last_of_the_old() -> None:
        write("row 2", 7.1, LATER)
        write("new", 7.1, LATER)

    def first_of_the_new() -> None:
        write("row 2", 7.2, LATEST)
        write("new", 7.2, LATEST)

    before, after = once(f"RENAME TABLE {NAME} TO", last_of_the_old), once(f"INSERT INTO {NAME} ", first_of_the_new)

    def both(number: int, sql: str) -> None:
        before(number, sql)
        after(number, sql)

    with meanwhile(both):
        run()

    assert {name: value for _, name, value, _ in content() if name in {"row 2", "new"}} == {"row 2": 7.2, "new": 7.2}


def test_new_ids_are_above_all_that_the_old_table_may_have_given() -> None:
    run()
    write("new", 1.0)
    assert content()[-1][0] > _online.ID_GAP


def test_of_rows_that_only_case_tells_apart_the_newest_goes_back_as_it_is() -> None:
    run()
    for name, value, modified in (("A", 0.1, LATER), ("a", 0.2, NOW), ("b", 0.3, NOW), ("B", 0.4, LATER)):
        write(name, value, modified)
    there = content()
    run("1")
    assert content() == [row for row in there if row[1] not in {"a", "b"}]


@pytest.mark.parametrize(
    ("step", "modified"),
    # Of a clock that is slow only until the comparison: then the time alone tells which row of a key is newer.
    [(STEPS[1], SLOW_CLOCK), *((step, LATER) for step in STEPS[1:5])],
)
def test_a_row_that_is_deleted_and_inserted_again_is_there(step: str, modified: int) -> None:
    def replace() -> None:
        execute(f"DELETE FROM {NAME} WHERE name IN ('row 1', 'row 9')")
        write("row 9", 7.9, modified)
        write("row 1", 7.1, modified)

    with meanwhile(once(step, replace)):
        run()

    values = {name: value for _, name, value, _ in WRITTEN} | {"row 1": 7.1, "row 9": 7.9}
    assert {name: value for _, name, value, _ in content()} == values


def test_a_row_that_is_inserted_again_and_then_written_in_the_new_table_keeps_what_is_newest() -> None:
    def last_of_the_old() -> None:
        execute(f"DELETE FROM {NAME} WHERE name = 'row 5'")
        write("row 5", 7.1, LATER)

    before = once(f"RENAME TABLE {NAME} TO", last_of_the_old)
    after = once(f"INSERT INTO {NAME} ", lambda: write("row 5", 7.2, LATEST))

    def both(number: int, sql: str) -> None:
        before(number, sql)
        after(number, sql)

    with meanwhile(both):
        run()

    values = {name: value for _, name, value, _ in WRITTEN} | {"row 5": 7.2}
    assert {name: value for _, name, value, _ in content()} == values


@pytest.mark.parametrize("step", STEPS[1:5])
@pytest.mark.parametrize("least", [0, 60])
def test_the_last_rows_are_gone_when_they_are_deleted_in_between(step: str, least: int) -> None:
    with meanwhile(once(step, lambda: execute(f"DELETE FROM {NAME} WHERE id > %s", least))):
        run()
    assert content() == [row for row in WRITTEN if row[0] <= least]


def test_what_is_new_after_the_names_changed_is_not_taken_for_deleted() -> None:
    def others() -> None:
        execute(f"DELETE FROM {BEFORE} WHERE id > 60")
        write("new", 7.2, LATEST)

    with meanwhile(once(f"ALTER TABLE {BEFORE} DROP FOREIGN KEY", others)):
        run()
    assert [name for _, name, _, _ in content()] == [row[1] for row in WRITTEN if row[0] <= 60] + ["new"]


def test_old_rows_are_looked_for_once_more_before_their_table_goes() -> None:
    # A row that is gone after it was merged stands for whatever nobody thought of.
    lose = once(f"DELETE FROM {NAME} ", lambda: execute(f"DELETE FROM {NAME} WHERE id = 1"))
    forget = once(f"RENAME TABLE {NAME} TO", lambda: execute(f"DELETE FROM {NAME} WHERE id = 100"))

    def both(number: int, sql: str) -> None:
        forget(number, sql)
        lose(number, sql)

    with meanwhile(both):
        run()
    assert content() == WRITTEN[:-1]


@pytest.mark.parametrize(
    ("made", "dropped", "message"),
    [
        (
            f"CREATE TABLE online_users (id int, CONSTRAINT online_of_others FOREIGN KEY (id) REFERENCES {NAME} (id))",
            "DROP TABLE online_users",
            r"foreign keys that refer to it: \w+\.online_users\.online_of_others\. ",
        ),
        (
            f"CREATE TRIGGER online_trigger BEFORE INSERT ON {NAME} FOR EACH ROW SET @online = 1",
            "DROP TRIGGER online_trigger",
            r"triggers: \w+\.online_trigger\. ",
        ),
    ],
)
def test_what_others_made_upon_the_table_is_named_before_anything_changes(
    made: str, dropped: str, message: str
) -> None:
    execute(made)
    wanted = f"online_rows cannot be rebuilt, for it has {message}.*Drop them"
    with pytest.raises(RebuildError, match=wanted), meanwhile(lambda number, sql: None) as statements:
        run()
    assert statements == []
    execute(dropped)
    run()
    assert (content(), is_done()) == (WRITTEN, True)


def test_a_transaction_that_lasts_holds_up_the_rebuild_and_nobody_else(capsys: pytest.CaptureFixture[str]) -> None:
    other = connection.copy()
    other.inc_thread_sharing()
    locked, release = Event(), Event()

    def hold() -> None:
        try:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                cursor.execute(f"UPDATE {NAME} SET `value` = 7, modified = %s WHERE id = 1", [at(LATER)])
            locked.set()
            release.wait(60)
            other.commit()
        finally:
            other.close()

    holder, tries = Thread(target=hold), []

    def act(_: int, sql: str) -> None:
        if sql.startswith(f"RENAME TABLE {NAME} TO"):
            tries.append(sql)
            if len(tries) == 1:
                holder.start()
                locked.wait(60)
            if len(tries) == 2:
                write("row 2", 8.0, LATER)  # by another connection than the one that lasts
            if len(tries) == 3:
                release.set()
                holder.join(60)

    with meanwhile(act):
        run()

    assert len(tries) == 3
    assert "in use by a transaction that lasts; trying again (1 of" in capsys.readouterr().out
    assert [value for _, name, value, _ in content() if name in {"row 1", "row 2"}] == [7.0, 8.0]


def test_two_rebuilds_do_not_meet() -> None:
    other = connection.copy()
    ((database,),) = rows("SELECT DATABASE()")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, 0)", [f"{database}.{NAME}"])
        with pytest.raises(RebuildError, match="Another process is rebuilding online_rows"):
            run()
    finally:
        other.close()
    run()
    assert is_done()


def test_a_row_that_does_not_arrive_stops_everything_and_both_tables_stay() -> None:
    # A row that nothing can be made of here stands for whatever nobody thought of.
    with pytest.raises(Killed), meanwhile(once(f"ALTER TABLE {BEFORE} DROP", lambda: killing(1)(1, ""))):
        run()
    execute(f"DELETE FROM {NAME} WHERE id = 1")
    execute(
        f"CREATE TRIGGER online_lost BEFORE INSERT ON {NAME} FOR EACH ROW"
        " SET NEW.name = CONCAT(NEW.name, ' changed'), NEW.id = NEW.id + 1000"
    )
    with pytest.raises(RebuildError, match=r"did not arrive in online_rows: .*'row 1'.*Both tables are kept"):
        run()
    assert rows(f"SELECT COUNT(*) FROM {BEFORE}") == [(10,)]


def test_progress_is_told_when_it_takes_long(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(_online, "PROGRESS_SECONDS", 0.0)
    run()
    said = capsys.readouterr().out
    assert "online_rows: copied up to id 81 of 100" in said
    assert "online_rows_2_before: compared up to id 100 of 100" in said
