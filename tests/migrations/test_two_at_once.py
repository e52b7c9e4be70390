"""Two ``migrate`` at once, as where each server of a site runs one: the first does it, the other says why not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from threading import Thread
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from completion_aggregator.migrations import _lock
from tests.migrations.schema import described

LABEL = "completion_aggregator"
BUSY = "Another process migrates completion_aggregator. Wait for it, and run migrate again."

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def latest(vendor: str) -> Iterator[None]:
    """Leave the tables as they were, whatever becomes of the test."""
    if vendor != "mysql":
        pytest.skip("elsewhere a migration is one transaction")
    yield
    connection.close()
    migrate("")


def migrate(name: str) -> None:
    call_command("migrate", LABEL, *filter(None, [name]), verbosity=0)


class Killed(BaseException):
    """What no code of ours catches."""


class Other(Thread):
    """Another process, or what it has of one: a connection of its own. ``error``: what it ended in."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.state, self.error = name, ""

    def run(self) -> None:
        try:
            migrate(self.state)
        except Exception as error:  # noqa: BLE001 (whatever it is, the test compares it)
            self.error = f"{type(error).__name__}: {error}"
        finally:
            connection.close()


@contextmanager
def before(words: str, act: Callable[[], None]) -> Iterator[list[str]]:
    """Do something before the first statement that begins so; yield that statement."""
    found: list[str] = []

    def wrapper(run: Any, sql: str, *arguments: Any) -> Any:
        if not found and sql.replace("`", "").startswith(words):
            found.append(sql)
            act()
        return run(sql, *arguments)

    with connection.execute_wrapper(wrapper):
        yield found


def kill() -> None:
    raise Killed


def recorded() -> list[str]:
    rows = MigrationRecorder(connection).migration_qs.filter(app=LABEL)
    return sorted(rows.values_list("name", flat=True))


THERE = [
    f"RENAME TABLE {LABEL}_aggregator_0008_draft",
    f"DROP TABLE {LABEL}_aggregator_0008_before",
    f"CREATE TABLE {LABEL}_courseprogress",
    f"ALTER TABLE {LABEL}_courseprogress ADD CONSTRAINT",
    "INSERT INTO django_migrations",
    f"UPDATE {LABEL}_courseprogress",
]
BACK = [
    f"DROP TABLE {LABEL}_coursetree",
    "DELETE FROM django_migrations",
    f"CREATE TABLE {LABEL}_aggregator_0007_draft",
]
STEPS = [*(("0007", "", words) for words in THERE), *(("", "0007", words) for words in BACK)]


@pytest.mark.parametrize(("start", "end", "step"), STEPS)
def test_who_comes_in_between_is_kept_out_and_told_so(
    start: str, end: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lock, "WAIT_SECONDS", 0)
    migrate(end)
    wanted, names = described(LABEL), recorded()
    migrate(start)
    if step == f"DROP TABLE {LABEL}_aggregator_0008_before":
        # As an interrupted one is resumed, on every server at once.
        with pytest.raises(Killed), before(step, kill):
            migrate(end)
        connection.close()
    other = Other(end)

    def meet() -> None:
        other.start()
        other.join(60)

    with before(step, meet) as met:
        migrate(end)

    assert (len(met), other.error) == (1, f"NotAlone: {BUSY}")
    assert (described(LABEL), recorded()) == (wanted, names)


@pytest.mark.parametrize(
    ("start", "end", "step", "told"),
    [
        ("0007", "", THERE[0], "applied 0008_completion_vectors"),
        ("0012", "", f"CREATE TABLE {LABEL}_coursetree", "applied 0013_coursetree"),
        ("", "0012", f"DROP TABLE {LABEL}_coursetree", "undone 0013_coursetree"),
        ("0010", "0007", f"DROP TABLE {LABEL}_crossing", "undone 0009_crossings"),
    ],
)
def test_who_waited_for_another_to_end_is_told_that_it_is_done(start: str, end: str, step: str, told: str) -> None:
    migrate(end)
    wanted, names = described(LABEL), recorded()
    migrate(start)
    other = Other(end)

    def meet() -> None:
        other.start()
        _until_somebody_waits()

    with before(step, meet) as met:
        migrate(end)
    other.join(60)

    assert (len(met), other.error) == (1, f"NotAlone: Another process has just {told}. Run migrate again.")
    assert (described(LABEL), recorded()) == (wanted, names)


def _until_somebody_waits() -> None:
    for _ in range(600):
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT GET_LOCK%%'")
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.05)
    raise AssertionError("nobody waits")


def test_the_lock_is_given_back_at_the_end_and_goes_with_who_died() -> None:
    migrate("0010")
    with pytest.raises(Killed), before(f"CREATE TABLE {LABEL}_coursecontent", kill):
        migrate("0011")
    migrate("0011")  # by the same process again
    assert ended_in(Other("0010")) == ""
    with pytest.raises(Killed), before(f"CREATE TABLE {LABEL}_coursecontent", kill):
        migrate("0011")
    connection.close()
    assert ended_in(Other("0011")) == ""


def ended_in(other: Other) -> str:
    other.start()
    other.join(60)
    return other.error


@pytest.mark.parametrize(("state", "arguments"), [("0007", ()), ("", ("--backwards",))])
@pytest.mark.parametrize("name", ["0008", "0011"])
def test_to_show_the_statements_of_a_migration_does_none_of_it(state: str, arguments: Any, name: str) -> None:
    migrate(state)
    wanted = described(LABEL)
    with StringIO() as shown:
        call_command("sqlmigrate", LABEL, name, *arguments, stdout=shown)
        assert "TABLE `completion_aggregator_" in shown.getvalue()
    assert described(LABEL) == wanted


class Nowhere:
    """Keep our tables out of every database, as an LMS does of that for the history of problems."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        return False if app_label == LABEL else None


def test_a_database_that_is_not_for_our_tables_is_left_alone(settings: Any) -> None:
    migrate("zero")
    try:
        settings.DATABASE_ROUTERS = [Nowhere()]
        migrate("")
        assert not {f"{LABEL}_aggregator", f"{LABEL}_courseprogress"} & set(connection.introspection.table_names())
        migrate("zero")
    finally:
        settings.DATABASE_ROUTERS = []
