"""Rebuild a large table of MariaDB or MySQL while other processes read and write it, 4.x among them.

``ALTER TABLE`` of a type or a collation rebuilds the table with all writes blocked: minutes, at millions of rows.
Instead:

1. an empty copy of the table is altered;
2. rows are copied by primary key, some thousands at a time, each batch a transaction of its own;
3. both tables are compared by primary key, for rows that were written or deleted meanwhile;
4. what was written during the comparison is found by ``modified``, until that takes no time;
5. the tables change names;
6. what the last writers left in the old one is taken over, both are compared again, and the old one is dropped.

No triggers: with binary logs they need privileges that a site seldom has. Every step looks at what is there, so that a
run that was killed is continued by the next. A statement that needs the whole table waits a second for it, then lets
the others through and tries again: behind one that waits for long, the whole site would queue.
"""

import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from completion_aggregator.migrations._patience import patiently, say, setting

BATCH: Final = 5000
#: Wide enough for the clocks of servers that differ, and for transactions that last. What is older, the last
#: comparison finds: until then, a few seconds long, others may read a row as it was before.
SLACK: Final = timedelta(seconds=60)
#: What others may have inserted between our look at the next id and the change of names.
ID_GAP: Final = 1_000_000
LARGEST_INT: Final = 2**31 - 1
#: Catching up goes on until a round takes no longer than this, in seconds, but not for ever.
SHORT_ROUND: Final = 0.5
MOST_ROUNDS: Final = 20
ALONE_SECONDS: Final = 30
PROGRESS_SECONDS: Final = 5.0


class RebuildError(RuntimeError):
    """The table cannot be rebuilt now; the message says why. Nothing is lost, and ``migrate`` may be run again."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A constraint of the table, and the statement that makes it."""

    column: str
    parent: str
    parent_column: str
    statement: str


@dataclass(frozen=True, slots=True)
class Table:
    """The table to rebuild, and what tells one state of a row from another.

    ``target``: the migration that the new form belongs to; ``id_type``: the type of ``id`` in that form.
    ``key``: the unique columns besides ``id``. ``marks``: columns that only ever grow, one of which is ``modified``; a
    row whose marks are greater is the newer one.
    """

    connection: BaseDatabaseWrapper
    name: str
    target: str
    id_type: str
    key: tuple[str, ...]
    marks: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]

    @property
    def draft(self) -> str:
        """The copy while it is empty and its form not yet finished."""
        return f"{self.name}_{self.target}_draft"

    @property
    def copy(self) -> str:
        """The copy in its new form, until the names change."""
        return f"{self.name}_{self.target}_copy"

    @property
    def before(self) -> str:
        """The old table after the names changed."""
        return f"{self.name}_{self.target}_before"

    @property
    def index(self) -> str:
        """The index by ``modified``, which goes with the old table."""
        return f"modified_{self.target}"


def rebuild(table: Table, alter: Callable[[str], None]) -> None:
    """Give *table* the form that *alter* gives the empty table that it is told the name of."""
    with _alone(table):
        if not _exists(table, table.name) and _exists(table, table.before):
            # A server that died between the two renames of one statement.
            _patiently(table, f"RENAME TABLE {table.copy} TO {table.name}")
        if not _exists(table, table.before):
            if not _exists(table, table.copy):
                if _id_type(table, table.name) == table.id_type:
                    _ensure_foreign_keys(table)
                    return
                _refuse_what_hangs_on_it(table)
                _draft(table, alter)
            since = _fill(table)
            since = _change_names(table, since)
            _catch_up(table, table.before, table.name, since)
        _finish(table)


def refuse_large_ids(connection: BaseDatabaseWrapper, names: Sequence[str]) -> None:
    """Raise RebuildError where one of these tables has ids that 32 bits have no room for."""
    for name in names:
        if _next_id(connection, name) + ID_GAP > LARGEST_INT:
            raise RebuildError(f"{name} has ids that its old form, of 32 bits, has no room for.")


# --- steps ---------------------------------------------------------------------------------------------------------


def _refuse_what_hangs_on_it(table: Table) -> None:
    """Raise RebuildError where something of others would stay with the old table, or hinder its end."""
    referring = _rows(
        table,
        "SELECT CONCAT(table_schema, '.', table_name, '.', constraint_name) FROM information_schema.key_column_usage"
        " WHERE referenced_table_schema = DATABASE() AND referenced_table_name = %s ORDER BY 1",
        [table.name],
    )
    triggers = _rows(
        table,
        "SELECT CONCAT(trigger_schema, '.', trigger_name) FROM information_schema.triggers"
        " WHERE event_object_schema = DATABASE() AND event_object_table = %s ORDER BY 1",
        [table.name],
    )
    kinds = (("foreign keys that refer to it", referring), ("triggers", triggers))
    if found := [f"{kind}: {', '.join(name for (name,) in names)}" for kind, names in kinds if names]:
        raise RebuildError(
            f"{table.name} cannot be rebuilt, for it has {'; '.join(found)}. They are not of this package. Drop them,"
            f" migrate, and make them again (the id is then {table.id_type}). The table is as it was."
        )


def _draft(table: Table, alter: Callable[[str], None]) -> None:
    _execute(table, f"DROP TABLE IF EXISTS {table.draft}")
    # Without foreign keys: those of two tables cannot share a name, and the copy would lock the rows of users.
    _execute(table, f"CREATE TABLE {table.draft} LIKE {table.name}")
    if _row_format(table, table.draft) in {"compact", "redundant"}:
        # Of a server whose indexes had 767 bytes for a column, too few for a key of four bytes a letter.
        _execute(table, f"ALTER TABLE {table.draft} ROW_FORMAT=DYNAMIC")
    if _has_index(table, table.draft):
        _execute(table, f"ALTER TABLE {table.draft} DROP INDEX {table.index}")
    alter(table.draft)
    _execute(table, f"RENAME TABLE {table.draft} TO {table.copy}")


def _fill(table: Table) -> datetime:
    """Copy the rows; return the moment since which changes may be missing."""
    (copied,) = _rows(table, f"SELECT COALESCE(MAX(id), 0) FROM {table.copy}")[0]
    for first, last in _ranges(table, table.name, "copied", after=copied):
        _merge(table, table.name, table.copy, "o.id > %s AND o.id <= %s", [first, last])
    since = _now(table)
    _compare(table, table.name, table.copy)
    if not _has_index(table, table.name):
        _patiently(table, f"ALTER TABLE {table.name} ADD INDEX {table.index} (modified), ALGORITHM=INPLACE, LOCK=NONE")
    for _ in range(MOST_ROUNDS):
        began = time.monotonic()
        since = _catch_up(table, table.name, table.copy, since)
        if time.monotonic() - began < SHORT_ROUND:
            break
    return since


def _change_names(table: Table, since: datetime) -> datetime:
    """Put the copy in the place of the table; return the moment since which changes may be missing."""
    moment = since

    def catch_up() -> None:
        nonlocal moment
        moment = _catch_up(table, table.name, table.copy, moment)
        _execute(table, f"ALTER TABLE {table.copy} AUTO_INCREMENT = {_next_id(table.connection, table.name) + ID_GAP}")

    renames = f"{table.name} TO {table.before}, {table.copy} TO {table.name}"
    _patiently(table, f"RENAME TABLE {renames}", beforehand=catch_up)
    return moment


def _finish(table: Table) -> None:
    """Take over what is left in the old table, and drop it. It has no writers any more: the rename waited for them."""
    _drop_foreign_keys(table, table.before)
    _compare(table, table.before, table.name)
    # Nothing of the old table goes until all of it has been seen in the new one: this raises if a row is not there.
    _merge_differing(table, table.before, table.name)
    _remove_orphans(table)
    _ensure_foreign_keys(table)
    _patiently(table, f"DROP TABLE {table.before}")


def _catch_up(table: Table, old: str, new: str, since: datetime) -> datetime:
    """Take over rows modified since; return when this began."""
    began = _now(table)
    rows = _rows(
        table,
        f"SELECT o.id FROM {old} o FORCE INDEX ({table.index}) LEFT JOIN {new} n ON n.id = o.id"
        f" WHERE o.modified >= %s AND {_differs(table, old)}",
        [since - SLACK],
    )
    ids = sorted(row[0] for row in rows)
    for start in range(0, len(ids), BATCH):
        _merge_ids(table, old, new, ids[start : start + BATCH])
    return began


def _compare(table: Table, old: str, new: str) -> None:
    """Make *new* equal to *old*, whatever was missed, but for rows that are newer in *new*."""
    if old == table.name:
        # Nobody else writes the copy. Deleted first: what was inserted since may have the key of what was deleted.
        _remove_deleted(table, old, new, kept=set())
        _merge_differing(table, old, new)
    else:
        # Merged first: a row without its like in *old* may have been written by others, as one that *old* has.
        _remove_deleted(table, old, new, kept=_merge_differing(table, old, new))


def _merge_differing(table: Table, old: str, new: str) -> set[int]:
    """Take over rows that differ; return the ids in *new* of those that are there under another id."""
    elsewhere: set[int] = set()
    for first, last in _ranges(table, old, "compared"):
        differing = _rows(
            table,
            f"SELECT o.id FROM {old} o LEFT JOIN {new} n ON n.id = o.id"
            f" WHERE o.id > %s AND o.id <= %s AND {_differs(table, old)}",
            [first, last],
        )
        if differing:
            elsewhere |= _merge_ids(table, old, new, [row[0] for row in differing])
    return elsewhere


def _remove_deleted(table: Table, old: str, new: str, kept: Collection[int]) -> None:
    """Delete from *new* what was copied and is not in *old* any more, but for the ids *kept*."""
    # After the names changed, others insert into *new*, with ids that the old table never gave.
    until = sys.maxsize if old == table.name else _next_id(table.connection, old) - 1
    for first, last in _ranges(table, new, "searched for what was deleted", until=until):
        rows = _rows(
            table,
            f"SELECT n.id FROM {new} n LEFT JOIN {old} o ON o.id = n.id"
            " WHERE n.id > %s AND n.id <= %s AND o.id IS NULL",
            [first, last],
        )
        if deleted := [number for (number,) in rows if number not in kept]:
            _execute(table, f"DELETE FROM {new} WHERE id IN ({_marks(deleted)})", deleted)


def _merge_ids(table: Table, old: str, new: str, ids: Sequence[int]) -> set[int]:
    """Take over these rows; return the ids in *new* of those that are there under another id."""
    _merge(table, old, new, f"o.id IN ({_marks(ids)})", ids)
    key = table.key or ("id",)
    missing = _rows(
        table,
        f"SELECT {', '.join(f'o.{name}' for name in key)} FROM {old} o"
        f" LEFT JOIN {new} n ON n.id = o.id WHERE o.id IN ({_marks(ids)}) AND n.id IS NULL",
        ids,
    )
    elsewhere = set()
    for values in missing:
        # Under another id: written by others after the names changed, or one of two rows whose keys are now equal.
        found = _rows(table, f"SELECT id FROM {new} WHERE {' AND '.join(f'{name} = %s' for name in key)}", values)
        if not found:
            raise RebuildError(f"A row of {old} did not arrive in {new}: {values}. Both tables are kept.")
        elsewhere.add(found[0][0])
    return elsewhere


def _merge(table: Table, old: str, new: str, where: str, parameters: Sequence[Any]) -> None:
    names = _columns(table)
    newer = " OR ".join(f"o.{name} > {new}.{name}" for name in table.marks)
    if old == table.name:
        # Nobody else writes the copy. What the table has is right, even if a clock that is slow says it is older.
        newer = f"o.id = {new}.id OR {newer}"
    # Assigned from left to right: the marks last, for the others are decided by them. Id and key too: of rows that only
    # case told apart, and of one that was deleted and inserted again, the newer stays as it is.
    values = [name for name in names if name not in table.marks] + list(table.marks)
    updates = ", ".join(f"{_quoted(name)} = IF({newer}, o.{_quoted(name)}, {new}.{_quoted(name)})" for name in values)
    _execute(
        table,
        f"INSERT INTO {new} ({', '.join(map(_quoted, names))})"
        f" SELECT {', '.join(f'o.{_quoted(name)}' for name in names)} FROM {old} o"
        f" WHERE {where} ORDER BY o.id ON DUPLICATE KEY UPDATE {updates}",
        parameters,
    )


def _differs(table: Table, old: str) -> str:
    how = "<>" if old == table.name else ">"
    return "(n.id IS NULL OR " + " OR ".join(f"o.{name} {how} n.{name}" for name in table.marks) + ")"


# --- foreign keys --------------------------------------------------------------------------------------------------


def _drop_foreign_keys(table: Table, name: str) -> None:
    # Else nobody could delete a user of whom the old table still has rows.
    for constraint, _ in _foreign_keys(table, name):
        _patiently(table, f"ALTER TABLE {name} DROP FOREIGN KEY {_quoted(constraint)}")


def _remove_orphans(table: Table) -> None:
    """Delete the rows of users who were deleted between the two comparisons."""
    for key in table.foreign_keys:
        for first, last in _ranges(table, table.name, "looked up"):
            orphans = _rows(
                table,
                f"SELECT n.id FROM {table.name} n LEFT JOIN {key.parent} p ON p.{key.parent_column} = n.{key.column}"
                f" WHERE n.id > %s AND n.id <= %s AND p.{key.parent_column} IS NULL",
                [first, last],
            )
            if orphans:
                ids = [row[0] for row in orphans]
                _execute(table, f"DELETE FROM {table.name} WHERE id IN ({_marks(ids)})", ids)


def _ensure_foreign_keys(table: Table) -> None:
    present = {column for _, column in _foreign_keys(table, table.name)}
    missing = [key for key in table.foreign_keys if key.column not in present]
    if missing:
        # The rows have been looked at: without the server's own look, nobody has to wait for it.
        with setting(table.connection, "foreign_key_checks", 0):
            for key in missing:
                _patiently(table, f"{key.statement}, ALGORITHM=INPLACE, LOCK=NONE")


def _foreign_keys(table: Table, name: str) -> list[tuple[str, str]]:
    return [
        (constraint, column)
        for constraint, column in _rows(
            table,
            "SELECT constraint_name, column_name FROM information_schema.key_column_usage"
            " WHERE table_schema = DATABASE() AND table_name = %s AND referenced_table_name IS NOT NULL",
            [name],
        )
    ]


# --- what is there -------------------------------------------------------------------------------------------------


def _exists(table: Table, name: str) -> bool:
    sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s"
    return bool(_rows(table, sql, [name]))


def _columns(table: Table) -> list[str]:
    rows = _rows(
        table,
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
        [table.name],
    )
    return [row[0] for row in rows]


def _row_format(table: Table, name: str) -> str:
    sql = "SELECT row_format FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s"
    ((found,),) = _rows(table, sql, [name])
    return str(found).lower()


def _id_type(table: Table, name: str) -> str:
    ((found,),) = _rows(
        table,
        "SELECT data_type FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s AND column_name = 'id'",
        [name],
    )
    return str(found)


def _has_index(table: Table, name: str) -> bool:
    sql = (
        "SELECT 1 FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND table_name = %s AND index_name = %s"
    )
    return bool(_rows(table, sql, [name, table.index]))


def _next_id(connection: BaseDatabaseWrapper, name: str) -> int:
    # From here, for information_schema of MySQL 8 may be a day old. Ids are used up by writes that insert nothing.
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW CREATE TABLE {name}")
        found = re.search(r"\bAUTO_INCREMENT=(\d+)", cursor.fetchone()[1])
    return int(found[1]) if found else 1


def _now(table: Table) -> datetime:
    ((now,),) = _rows(table, "SELECT UTC_TIMESTAMP(6)")
    assert isinstance(now, datetime)  # noqa: S101 (what the driver makes of it)
    return now


def _ranges(
    table: Table, name: str, what: str, *, after: int = 0, until: int = sys.maxsize
) -> Iterator[tuple[int, int]]:
    """Yield bounds of ids, the first exclusive, with a batch of rows between them; print how far it is."""
    ((end,),) = _rows(table, f"SELECT COALESCE(MAX(id), 0) FROM {name} WHERE id <= %s", [until])
    shown, first = time.monotonic(), after
    while True:
        rows = _rows(
            table,
            f"SELECT MAX(id) FROM (SELECT id FROM {name} WHERE id > %s AND id <= %s ORDER BY id LIMIT {BATCH}) batch",
            [first, until],
        )
        if (last := rows[0][0]) is None:
            return
        yield first, last
        first = last
        if time.monotonic() - shown > PROGRESS_SECONDS:
            shown = time.monotonic()
            say(f"{name}: {what} up to id {first:,} of {max(end, first):,}")


# --- statements ----------------------------------------------------------------------------------------------------


def _patiently(table: Table, sql: str, *, beforehand: Callable[[], None] = lambda: None) -> None:
    def run() -> None:
        beforehand()
        _execute(table, sql)

    patiently(table.connection, table.name, run)


@contextmanager
def _alone(table: Table) -> Iterator[None]:
    """Keep a second ``migrate`` out, and read what is committed, without locks."""
    ((database,),) = _rows(table, "SELECT DATABASE()")
    name = f"{database}.{table.name}"[-64:]
    ((got,),) = _rows(table, "SELECT GET_LOCK(%s, %s)", [name, ALONE_SECONDS])
    if not got:
        raise RebuildError(f"Another process is rebuilding {table.name}; wait for it.")
    try:
        _execute(table, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield
    finally:
        _rows(table, "SELECT RELEASE_LOCK(%s)", [name])


def _rows(table: Table, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    with table.connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _execute(table: Table, sql: str, parameters: Sequence[Any] | None = None) -> None:
    with table.connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _marks(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _quoted(name: str) -> str:
    return f"`{name}`"
