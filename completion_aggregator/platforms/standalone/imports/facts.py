"""Completions as facts: the rows of ``completion_blockcompletion``, as tuples."""

import json
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import connection

from completion_aggregator.upsert import upsert

TABLE: Final = "completion_blockcompletion"
UNIQUE: Final = ("course_key", "block_key", "user_id")

# The stored rows of one course, joined to the (user, block) pairs asked for, which travel as one JSON parameter: a list
# of 10,000 pairs is more single parameters than a statement may have. Model instances would take 50 times as long.
_STORED: Final = """
SELECT stored.user_id, stored.block_key, stored.completion, stored.modified
FROM {wanted} {join} completion_blockcompletion AS stored
ON stored.block_key = {block_key} AND stored.user_id = {user_id}
WHERE stored.course_key = %s
"""
STORED: Final = {
    "sqlite": _STORED.format(
        wanted="json_each(%s) AS wanted",
        join="CROSS JOIN",  # in this order: each pair is looked up in the index
        user_id="json_extract(wanted.value, '$[0]')",
        block_key="json_extract(wanted.value, '$[1]')",
    ),
    "mysql": _STORED.format(
        wanted="JSON_TABLE(%s, '$[*]' COLUMNS (user_id BIGINT PATH '$[0]', block_key VARCHAR(255) CHARACTER SET utf8mb4"
        " COLLATE utf8mb4_unicode_ci PATH '$[1]')) AS wanted",
        join="STRAIGHT_JOIN",
        user_id="wanted.user_id",
        block_key="wanted.block_key",
    ),
    "postgresql": _STORED.format(
        wanted="json_array_elements(%s::json) AS wanted",
        join="JOIN",
        user_id="(wanted->>0)::integer",
        block_key="wanted->>1",
    ),
}

Pair = tuple[int, str]  # user id, block key


@dataclass(frozen=True, slots=True)
class Fact:
    """One completion, as a file gives it. ``modified`` is None when the file has no time for it.

    ``created``: when it was first made, where that is known.
    """

    completion: float
    modified: datetime | None
    block_type: str
    created: datetime | None = None

    def replaces(self, completion: float, modified: datetime, *, now: datetime) -> bool:
        """Say whether this is news to one who holds that value of that time."""
        if self.modified is None:
            return self.completion != completion and now >= modified
        return self.modified >= modified and (self.completion, self.modified) != (completion, modified)

    def is_behind(self, completion: float, modified: datetime, *, now: datetime) -> bool:
        """Say whether that value of that time is newer."""
        if self.modified is None:
            return self.completion != completion and now < modified
        return self.modified < modified


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some facts: ``written``, or ``superseded`` by newer ones; the others were stored already."""

    written: AbstractSet[Pair]
    superseded: AbstractSet[Pair]


def store_newest(course_key: str, facts: Mapping[Pair, Fact], *, now: datetime) -> Outcome:
    """Write those *facts* that replace what is stored, in the caller's transaction.

    The newest stands whoever else writes meanwhile: rows are compared only once they are locked. A pair that has no row
    yet cannot be locked, and so gets one first; it may be another's by then, which is compared like any other.
    """
    facts = dict(sorted(facts.items(), key=lambda each: (each[0][1], each[0][0])))  # all lock in the order of the index
    held = locked_facts(course_key, facts.keys())
    new = {pair: fact for pair, fact in facts.items() if pair not in held}
    _write(course_key, new, now=now, update=())
    held |= locked_facts(course_key, new.keys())
    news = {pair: fact for pair, fact in facts.items() if pair not in held or fact.replaces(*held[pair], now=now)}
    _write(course_key, news, now=now, update=("completion", "modified"))
    inserted = {pair for pair, fact in new.items() if held.get(pair) == (fact.completion, fact.modified or now)}
    behind = {pair for pair, fact in facts.items() if pair in held and fact.is_behind(*held[pair], now=now)}
    return Outcome(written=news.keys() | inserted, superseded=behind)


def locked_facts(course_key: str, pairs: Collection[Pair]) -> dict[Pair, tuple[float, datetime]]:
    """Return the completion and time of those *pairs* that are stored, in one query, and lock them.

    SQLite needs no lock: a transaction there has the whole database to itself.
    """
    if not pairs:
        return {}
    lock = " FOR UPDATE" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(STORED[connection.vendor] + lock, [json.dumps(list(pairs)), course_key])
        return {
            (user, block): (completion, _aware(modified)) for user, block, completion, modified in cursor.fetchall()
        }


def _write(course_key: str, facts: Mapping[Pair, Fact], *, now: datetime, update: Sequence[str]) -> None:
    columns = ("course_key", "block_key", "user_id", "block_type", "completion", "created", "modified")
    rows = [
        (course_key, block, user, fact.block_type, fact.completion, fact.created or moment, moment)
        for (user, block), fact in facts.items()
        for moment in (fact.modified or now,)
    ]
    upsert(TABLE, columns, UNIQUE, rows, update=update)


def _aware(moment: str | datetime) -> datetime:
    # SQLite gives text, MySQL a time without zone; both are UTC, as Django wrote them.
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
