"""The queue: stale rows say that a learner's completion of a block changed.

A claim is not written down: it is the ids that a worker read while it held the lock of the learner's row
(``state.lock``). Stale rows themselves are never locked, so that no learner's request ever waits for a worker.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Count, Min, QuerySet
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.aggregation.models import StaleCompletion

#: More changed blocks than these of one learner are marked, and read, as "everything".
MANY_BLOCKS: Final = 16
_TABLE: Final = StaleCompletion._meta.db_table
_RESOLVE_CHUNK: Final = 10_000
_BULK: Final = 2000


@dataclass(frozen=True, slots=True)
class Claim:
    """The stale rows of one learner and course that a worker has taken.

    ``blocks``: the keys that changed, None for everything. ``force``: compare with what is stored, whatever changed.
    """

    ids: tuple[int, ...]
    blocks: frozenset[str] | None
    force: bool


@dataclass(frozen=True, slots=True)
class Peek:
    """Who waits: usernames, oldest row first, and the row to look on from; None at the end of the queue."""

    usernames: tuple[str, ...]
    after: int | None


def mark(username: str, course_key: CourseKey, block_key: UsageKey | None = None, *, force: bool = False) -> None:
    """Mark one completion, or with no block all of the learner's: one insert."""
    StaleCompletion.objects.create(username=username, course_key=course_key, block_key=block_key, force=force)


def mark_many(
    course_key: CourseKey,
    changes: Mapping[str, Collection[str] | None],
    *,
    force: bool = False,
    now: datetime | None = None,
) -> int:
    """Mark changed blocks by username; None means everything, as very many do. Return how many rows that took."""
    now = now or timezone.now()
    course = str(course_key)
    rows = [
        (now, now, username, course, block, forced, False)
        for username, blocks in changes.items()
        for block, forced in _marks(blocks, force=force)
    ]
    marks = "(" + ", ".join(["%s"] * 7) + ")"
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        for start in range(0, len(rows), _BULK):
            chunk = rows[start : start + _BULK]
            cursor.execute(
                f"INSERT INTO {_TABLE}"
                f" (created, modified, username, course_key, block_key, {_quoted('force')}, resolved)"
                f" VALUES {', '.join([marks] * len(chunk))}",
                [adapt(v) if isinstance(v, datetime) else v for row in chunk for v in row],
            )
    return len(rows)


def waiting_courses() -> list[CourseKey]:
    """Return the courses with work to do, the one that has waited longest first."""
    waiting = StaleCompletion.objects.filter(resolved=False).values("course_key").annotate(first=Min("id"))
    return [row["course_key"] for row in waiting.order_by("first")]


def courses_of(username: str, course_keys: Collection[CourseKey]) -> QuerySet[StaleCompletion, Any]:
    """Return a query of those of these courses in which something of the learner waits."""
    rows = StaleCompletion.objects.filter(username=username, course_key__in=course_keys, resolved=False)
    return rows.values_list("course_key", flat=True)


def peek(course_key: CourseKey, *, learners: int, after: int = 0, without: Collection[str] = ()) -> Peek:
    """Return who waits in this course, from the row *after* on: at most *learners* names, one query, no lock."""
    rows = StaleCompletion.objects.filter(resolved=False, course_key=course_key, id__gt=after).order_by("id")
    if without:
        rows = rows.exclude(username__in=without)
    found = list(rows.values_list("id", "username")[: learners * 4])
    names: dict[str, None] = {}
    last = after
    for row, username in found:
        if len(names) == learners and username not in names:
            break
        names[username] = None
        last = row
    more = last != found[-1][0] or len(found) == learners * 4 if found else False
    return Peek(tuple(names), last if more else None)


def user_ids(usernames: Sequence[str]) -> dict[str, int]:
    """Return the id of each username that somebody has, under the spelling asked for."""
    model = get_user_model()
    field = model.USERNAME_FIELD
    stored = dict(model._default_manager.filter(**{f"{field}__in": usernames}).values_list(field, "pk"))
    # Where the database compares names without case, a stale row may spell one in its own way.
    folded = {name.casefold(): pk for name, pk in stored.items()}
    found = {name: stored.get(name, folded.get(name.casefold())) for name in usernames}
    return {name: pk for name, pk in found.items() if pk is not None}


def claim(course_key: CourseKey, learners: Mapping[str, int]) -> dict[int, Claim]:
    """Return the unresolved rows of these learners (username to id), by user id: call it holding their locks."""
    if not learners:
        return {}
    marks = ", ".join(["%s"] * len(learners))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, username, block_key, {_quoted('force')} FROM {_TABLE}"
            f" WHERE username IN ({marks}) AND course_key = %s AND resolved = %s",
            [*learners, str(course_key), False],
        )
        rows = cursor.fetchall()
    folded = {name.casefold(): pk for name, pk in learners.items()}
    taken: dict[int, list[tuple[int, str | None, bool]]] = {}
    for row, username, block, force in rows:
        user_id = learners.get(username, folded.get(username.casefold()))
        if user_id is not None:
            taken.setdefault(user_id, []).append((row, block, bool(force)))
    return {user_id: _claim(found) for user_id, found in taken.items()}


def resolve(ids: Iterable[int], *, now: datetime) -> None:
    """Mark exactly these rows done."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _RESOLVE_CHUNK):
        StaleCompletion.objects.filter(id__in=ordered[start : start + _RESOLVE_CHUNK]).update(
            resolved=True, modified=now
        )


def resolve_unknown(course_key: CourseKey, usernames: Collection[str], *, now: datetime) -> int:
    """Resolve the rows of names that nobody has: their completions went with the user. Return how many."""
    if not usernames:
        return 0
    rows = StaleCompletion.objects.filter(username__in=list(usernames), course_key=course_key, resolved=False)
    found = [(row, name) for row, name in rows.values_list("id", "username") if name in usernames]
    # Somebody may have taken such a name since. Asked after the rows were read, for rows follow their user.
    taken = user_ids(sorted({name for _, name in found}))
    ids = [row for row, name in found if name not in taken]
    resolve(ids, now=now)
    return len(ids)


def delete_resolved(*, chunk: int = 5000) -> Iterable[int]:
    """Delete resolved rows, oldest first, *chunk* of them a transaction; yield how many went each time."""
    while ids := list(
        StaleCompletion.objects.filter(resolved=True).order_by("id").values_list("id", flat=True)[:chunk]
    ):
        yield StaleCompletion.objects.filter(id__in=ids, resolved=True)._raw_delete(connection.alias)


def backlog() -> dict[CourseKey, tuple[int, datetime]]:
    """Return, for each course that waits, how many rows and since when."""
    waiting = (
        StaleCompletion.objects.filter(resolved=False)
        .values("course_key")
        .annotate(rows=Count("id"), since=Min("created"))
    )
    return {row["course_key"]: (row["rows"], row["since"]) for row in waiting}


def _marks(blocks: Collection[str] | None, *, force: bool) -> Iterable[tuple[str | None, bool]]:
    if blocks is None:
        return [(None, force)]
    # Unlike a publication, many changed completions may move times and nothing else.
    return [(None, True)] if len(blocks) > MANY_BLOCKS else [(block, force) for block in sorted(blocks)]


def _claim(found: Sequence[tuple[int, str | None, bool]]) -> Claim:
    blocks = {block for _, block, _ in found if block}
    everything = len(blocks) > MANY_BLOCKS or any(not block for _, block, _ in found)
    return Claim(
        ids=tuple(row for row, _, _ in found),
        blocks=None if everything else frozenset(blocks),
        force=any(force for _, _, force in found) or (everything and bool(blocks)),
    )


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
