"""The queue: stale rows say that a learner's completion of a block changed.

A claim is not written down: it is the ids that a worker read while it held the lock of the learner's row
(``state.lock``). Stale rows themselves are never locked, so that no learner's request ever waits for a worker.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Min, QuerySet
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.upsert import among

#: More changed blocks than these of one learner are marked, and read, as "everything".
MANY_BLOCKS: Final = 16
_TABLE: Final = StaleCompletion._meta.db_table
#: Id, block if it is of one, force, when it was last written.
_Row: TypeAlias = tuple[int, str | None, bool, Any]
# "Everything" is written as null by us, and as an empty text by Django.
_WHOLE: Final = (
    f"SELECT MAX(id) FROM {_TABLE} WHERE course_key = %s AND resolved = %s AND {{among}}"
    " AND (block_key IS NULL OR block_key = '') GROUP BY username"
)
_RESOLVE_CHUNK: Final = 10_000
_BULK: Final = 2000


@dataclass(frozen=True, slots=True)
class Claim:
    """The stale rows of one learner and course that a worker has taken.

    ``blocks``: the keys that changed, None for everything. ``force``: compare with what is stored, whatever changed.
    ``written``: of rows that stand for everything, when they were last written, as the database says it.
    """

    ids: tuple[int, ...]
    blocks: frozenset[str] | None
    force: bool
    written: Mapping[int, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peek:
    """Who waits: usernames, oldest row first, and the row to look on from; None at the end of the queue."""

    usernames: tuple[str, ...]
    after: int | None


def mark(username: str, course_key: CourseKey, block_key: UsageKey | None = None, *, force: bool = False) -> None:
    """Mark one completion, or with no block all of the learner's: one insert."""
    StaleCompletion.objects.create(username=username, course_key=course_key, block_key=block_key, force=force)


def mark_learners(course_key: CourseKey, usernames: Collection[str]) -> None:
    """Mark everything of these learners, as one more change in the row that waits already, where one does.

    However often a learner changes before a worker comes, it is one row. A worker that has read the row resolves it
    only as it was then (``resolve_claimed``), so that it waits on for what changed since; neither ever waits for the
    other. Two queries where nothing waits, four at most for each 2,000 learners.
    """
    names = list(dict.fromkeys(usernames))
    for start in range(0, len(names), _BULK):
        chunk = names[start : start + _BULK]
        waiting = _waiting_again(course_key, chunk)
        mark_many(course_key, {name: None for name in chunk if name.casefold() not in waiting})


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


def waiting_among(course_key: CourseKey, usernames: Collection[str]) -> frozenset[str]:
    """Return of which of these learners something waits in the course, under the spelling asked for."""
    rows = StaleCompletion.objects.filter(username__in=usernames, course_key=course_key, resolved=False)
    found = {name.casefold() for name in rows.values_list("username", flat=True).distinct()}
    return frozenset(name for name in usernames if name.casefold() in found)


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
            f"SELECT id, username, block_key, {_quoted('force')}, modified FROM {_TABLE}"
            f" WHERE username IN ({marks}) AND course_key = %s AND resolved = %s",
            [*learners, str(course_key), False],
        )
        rows = cursor.fetchall()
    folded = {name.casefold(): pk for name, pk in learners.items()}
    taken: dict[int, list[_Row]] = {}
    for row, username, block, force, modified in rows:
        user_id = learners.get(username, folded.get(username.casefold()))
        if user_id is not None:
            taken.setdefault(user_id, []).append((row, block, bool(force), modified))
    return {user_id: _claim(found) for user_id, found in taken.items()}


def resolve(ids: Iterable[int], *, now: datetime) -> None:
    """Mark exactly these rows done."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _RESOLVE_CHUNK):
        StaleCompletion.objects.filter(id__in=ordered[start : start + _RESOLVE_CHUNK]).update(
            resolved=True, modified=now
        )


def resolve_claimed(claims: Collection[Claim], *, now: datetime) -> int:
    """Mark done what was claimed, but for rows that have taken in another change since, or just do. Return how many."""
    written = {row: modified for each in claims for row, modified in each.written.items()}
    kept = written.keys() - _unchanged(written)
    ids = [row for each in claims for row in each.ids if row not in kept]
    resolve(ids, now=now)
    return len(ids)


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


def courses_waiting_for(username: str) -> list[CourseKey]:
    """Return the courses in which something of a learner of this name waits."""
    rows = StaleCompletion.objects.filter(username=username, resolved=False)
    return [key for key in rows.values_list("course_key", flat=True).distinct() if key is not None]


def rename(before: str, after: str) -> int:
    """Let the rows of a name wait for another one. Return how many."""
    return StaleCompletion.objects.filter(username=before).update(username=after)


def delete_of(username: str, *, chunk: int = 5000) -> int:
    """Delete every row of a name, and of all that the database takes for equal. Return how many."""
    deleted = 0
    while ids := list(StaleCompletion.objects.filter(username=username).values_list("id", flat=True)[:chunk]):
        deleted += StaleCompletion.objects.filter(id__in=ids)._raw_delete(connection.alias)
    return deleted


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


def _claim(found: Sequence[_Row]) -> Claim:
    blocks = {block for _, block, _, _ in found if block}
    written = {row: modified for row, block, _, modified in found if not block}
    everything = len(blocks) > MANY_BLOCKS or bool(written)
    return Claim(
        ids=tuple(row for row, _, _, _ in found),
        blocks=None if everything else frozenset(blocks),
        force=any(force for _, _, force, _ in found) or (everything and bool(blocks)),
        written=written,
    )


def _waiting_again(course_key: CourseKey, usernames: Sequence[str]) -> Collection[str]:
    """Have rows that stand for everything of a learner wait for what this transaction changed; return whose, folded."""
    with connection.cursor() as cursor:
        cursor.execute(_WHOLE.format(among=among("username", len(usernames))), [str(course_key), False, *usernames])
        ids = [row for (row,) in cursor.fetchall()]
    if not ids:
        return ()
    try:
        with transaction.atomic():
            # By their ids, so that nothing else is locked; without those that a worker just resolves.
            rows = StaleCompletion.objects.select_for_update(skip_locked=True).filter(pk__in=ids, resolved=False)
            locked = list(rows.values_list("pk", "username", "modified"))
            if locked:
                # The clock of whoever wrote them may be ahead of ours: in any case it is another time.
                later = max(modified for _, _, modified in locked) + timedelta(microseconds=1)
                again = StaleCompletion.objects.filter(pk__in=[row for row, _, _ in locked])
                again.update(modified=max(timezone.now(), later))
    except OperationalError:  # a snapshot that is older than the row: only where transactions are repeatable reads
        return ()
    return {name.casefold() for _, name, _ in locked}


def _unchanged(written: Mapping[int, Any]) -> set[int]:
    """Return which of these rows are as they were read, and lock them; one that somebody has locked is changing."""
    if not written:
        return set()
    index = "FORCE INDEX (PRIMARY)" if connection.vendor == "mysql" else ""
    suffix = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, modified FROM {_TABLE} {index} WHERE {among('id', len(written))} {suffix}", sorted(written)
        )
        return {row for row, modified in cursor.fetchall() if modified == written[row]}


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
