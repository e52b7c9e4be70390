"""What the tests of families need: an event goes in, rows and what is left come out."""

import copy
from dataclasses import dataclass
from typing import Any

from completion_aggregator.tracking import scrub, tables
from completion_aggregator.tracking.batch import Batch
from completion_aggregator.tracking.catalogue import entry

COURSE = "course-v1:DemoU+C001+2024_T1"
OLD_COURSE = "MITx/6.00x/2012_Fall"
HEX = "0b9e39477cf34507a7a48f74be381fdd"


def key(kind: str, name: str = HEX) -> str:
    return f"block-v1:DemoU+C001+2024_T1+type@{kind}+block@{name}"


@dataclass(frozen=True, slots=True)
class Taken:
    """What an event came to: rows by table, each without what is NULL."""

    block: str
    rows: dict[str, list[dict[str, Any]]]
    left: dict[str, Any]


def taken(
    name: str,
    payload: dict[str, Any],
    *,
    source: str = "server",
    course: str = COURSE,
    module: Any = None,
    keeps_text: bool = False,
    username: str = "alice",
) -> Taken:
    """Take an event apart as the loop does."""
    batch = Batch(
        keyed=lambda domain, value: f"{domain}|{value}".encode(),
        clean=lambda text: text.replace(username, "[name]"),
        place=lambda place: scrub.address(place, username),
        keeps_text=keeps_text,
    )
    batch.row, batch.name, batch.course, batch.source, batch.module = 7, name, course, source, module
    known = entry(name, source)
    left = copy.deepcopy(payload)
    block = known.transform(known.action, left, batch) if known.transform else ""
    return Taken(block, rows_of(batch), left)


def rows_of(batch: Batch) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in (*tables.TYPED, tables.ACCOUNT, tables.TEXT):
        rows = [as_dict(table, row) for row in getattr(batch, table.name)]
        if rows:
            found[table.name] = rows
    return found


def as_dict(table: tables.Table, row: tuple[Any, ...]) -> dict[str, Any]:
    assert row[0] == 7
    values = dict(zip(table.own, row[1:], strict=True))
    return {column: value for column, value in values.items() if value is not None}
