"""Completions as facts: the rows of ``completion_blockcompletion``, as tuples."""

import json
from collections.abc import Collection, Mapping
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
    """One completion, as a file gives it. ``modified`` is None when the file has no time for it."""

    completion: float
    modified: datetime | None
    block_type: str

    def replaces(self, completion: float, modified: datetime) -> bool:
        """Say whether this is news to one who holds that value of that time."""
        if self.modified is None:
            return self.completion != completion
        return self.modified >= modified and (self.completion, self.modified) != (completion, modified)


def stored_facts(course_key: str, pairs: Collection[Pair]) -> dict[Pair, tuple[float, datetime]]:
    """Return the completion and time of those *pairs* that are stored, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(STORED[connection.vendor], [json.dumps(list(pairs)), course_key])
        return {
            (user, block): (completion, _aware(modified)) for user, block, completion, modified in cursor.fetchall()
        }


def store_facts(course_key: str, facts: Mapping[Pair, Fact], *, now: datetime) -> None:
    """Write *facts* over what is stored."""
    columns = ("course_key", "block_key", "user_id", "block_type", "completion", "created", "modified")
    rows = [
        (course_key, block, user, fact.block_type, fact.completion, moment, moment)
        for (user, block), fact in facts.items()
        for moment in (fact.modified or now,)
    ]
    upsert(TABLE, columns, UNIQUE, rows, update=("completion", "modified"))


def _aware(moment: str | datetime) -> datetime:
    # SQLite gives text, MySQL a time without zone; both are UTC, as Django wrote them.
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
