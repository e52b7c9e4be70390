"""Rows in ClickHouse that are to be taken away, or to lose what says whose they are.

What is to be done is noted in the ledger before the first row is touched, by ids and numbers of rows, without names.
Each step finds nothing left to do where it was done before; so whoever writes next after a crash does all of them.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

from completion_aggregator.tracking.clickhouse import schema
from completion_aggregator.tracking.clickhouse.target import Target
from completion_aggregator.tracking.ledger import Ledger
from completion_aggregator.tracking.tables import TABLES, Table

if TYPE_CHECKING:
    from completion_aggregator.tracking.clickhouse.connection import Connection

NOTE: Final = "erasures"
#: Keys in one statement: ClickHouse takes 256 KiB of text, and keeps what a replica has to do in a node of 1 MB.
KEYS_AT_ONCE: Final = 5000


class Change(StrEnum):
    """What becomes of rows."""

    DROP = "drop"
    BLANK = "blank"
    UNSCORE = "unscore"
    SILENCE = "silence"


class Key(StrEnum):
    """By what rows are told: ids, or load and number."""

    EVENT = "event_id"
    SCORER = "scorer"
    NUMBER = "(load, nth)"


@dataclass(frozen=True, slots=True)
class Erasure:
    """What becomes of the rows of a table and month that have one of these keys; *rows*: how many there were."""

    table: str
    month: int
    change: Change
    key: Key
    keys: Sequence[str]
    rows: int


def reached(point: str) -> None:
    """Do nothing. Tests of crashes let a process die at each of these points."""


def as_note(erasures: Sequence[Erasure]) -> str:
    """Return what the ledger is to keep until all is done."""
    return json.dumps([asdict(each) for each in erasures])


def noted(ledger: Ledger) -> list[Erasure]:
    """Return what was begun and is not known to be done."""
    text = ledger.note(NOTE)
    found = json.loads(text) if text else []
    return [Erasure(**each | {"change": Change(each["change"]), "key": Key(each["key"])}) for each in found]


def finish(ledger: Ledger, connection: "Connection", advance: Callable[[int], None] = lambda _: None) -> None:
    """Do what is noted; *advance* is told the rows of each step."""
    erasures = noted(ledger)
    if not erasures:
        return
    for each in erasures:
        for statement in statements(connection.target, each):
            connection.change(statement)
            reached("rows erased")
        advance(each.rows)
    ledger.set_note(NOTE, "")


def statements(target: Target, erasure: Erasure) -> Iterator[str]:
    """Yield what erases: the parts of one month are written anew, so that what was there is there no longer.

    A lightweight delete would only hide rows until the parts are merged, which may never be.
    """
    table = TABLES[erasure.table]
    begin = f"ALTER TABLE {schema.qualified(target, table)} {_action(table, erasure.change)}"
    for first in range(0, len(erasure.keys), KEYS_AT_ONCE):
        some = erasure.keys[first : first + KEYS_AT_ONCE]
        listed = ", ".join(_written(erasure.key, each) for each in some)
        yield f"{begin} IN PARTITION {erasure.month:d} WHERE {erasure.key} IN ({listed})"


def _written(key: Key, value: str) -> str:
    """Return a key as SQL takes it. Raises ValueError for what is none: a note is only as sound as its ledger."""
    if key is Key.NUMBER:
        load, nth = value.split(", ")
        return f"({int(load)}, {int(nth)})"
    return f"'{UUID(value)}'"


def _action(table: Table, change: Change) -> str:
    if change is Change.DROP:
        return "DELETE"
    names = {column.name for column in table.columns}
    changed = {
        Change.BLANK: {name: "NULL" for name in ("person", "session") if name in names},
        Change.UNSCORE: {"scorer": "NULL"},
        Change.SILENCE: {"raw": "NULL"} if "raw" in names else {"line": "''"},
    }[change]
    return "UPDATE " + ", ".join(f"{schema.quoted(name)} = {value}" for name, value in changed.items())
