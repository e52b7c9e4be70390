"""The queue: stale rows say that a learner's completion of a block changed.

A claim is not written down: it is the ids that a worker read while it held the lock of the learner's row
(``state.lock``). Stale rows themselves are never locked, so that no learner's request ever waits for a worker.

Rows name their learner, for others write them too; ours also have her id. A row is hers who has the name only if it has
no id, or hers: a request that began before its user was renamed marks under the name that she had.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.upsert import among

#: More changed blocks than these of one learner are marked, and read, as "everything".
MANY_BLOCKS: Final = 16
_TABLE: Final = StaleCompletion._meta.db_table
#: Username, folded, and user id: whose a row is.
_Whose: TypeAlias = tuple[str, int | None]
#: Id, block if it is of one, force, when it was last written.
_Row: TypeAlias = tuple[int, str | None, bool, Any]
# "Everything" is written as null by us, and as an empty text by Django.
_WHOLE: Final = (
    f"SELECT MAX(id) FROM {_TABLE} WHERE course_key = %s AND resolved = %s AND {{among}}"
    " AND (block_key IS NULL OR block_key = '') GROUP BY username, user_id"
)
_RESOLVE_CHUNK: Final = 10_000
_BULK: Final = 2000
_DELETE_CHUNK: Final = 5000


@dataclass(frozen=True, slots=True)
class Claim:
    """The stale rows of one learner and course that a worker has taken.

    ``blocks``: the keys that changed, None for everything. ``force``: compare with what is stored, whatever changed.
    ``written``: of rows that stand for everything, when they were last written, as the database says it.
    ``of_others``: rows of somebody else wait under the learner's name; they are not claimed.
    """

    ids: tuple[int, ...]
    blocks: frozenset[str] | None
    force: bool
    written: Mapping[int, Any] = field(default_factory=dict)
    of_others: bool = False


@dataclass(frozen=True, slots=True)
class Peek:
    """Who waits: usernames, oldest row first, and the row to look on from; None at the end of the queue."""

    usernames: tuple[str, ...]
    after: int | None


def mark(
    username: str,
    course_key: CourseKey,
    block_key: UsageKey | None = None,
    *,
    user_id: int | None = None,
    force: bool = False,
) -> None:
    """Mark one completion, or with no block all of the learner's: one insert. *user_id*: hers, if it is known."""
    # Within somebody's request: without a model, which takes longer than the insert.
    blocks = None if block_key is None else (str(block_key),)
    mark_many(course_key, {username: blocks}, user_ids=None if user_id is None else {username: user_id}, force=force)


def mark_learners(
    course_key: CourseKey, usernames: Collection[str], *, user_ids: Mapping[str, int] | None = None
) -> None:
    """Mark everything of these learners, as one more change in the row that waits already, where one does.

    *user_ids*: theirs by name, as far as they are known. A row of a learner who is not known by id is another one.

    However often a learner changes before a worker comes, it is one row. A worker that has read the row resolves it
    only as it was then (``resolve_claimed``), so that it waits on for what changed since; neither ever waits for the
    other. Two queries where nothing waits, four at most for each 2,000 learners.
    """
    names = list(dict.fromkeys(usernames))
    for start in range(0, len(names), _BULK):
        chunk = names[start : start + _BULK]
        whose = {name: (name.casefold(), (user_ids or {}).get(name)) for name in chunk}
        waiting = _waiting_again(course_key, whose)
        mark_many(course_key, {name: None for name in chunk if whose[name] not in waiting}, user_ids=user_ids)


def mark_many(
    course_key: CourseKey,
    changes: Mapping[str, Collection[str] | None],
    *,
    user_ids: Mapping[str, int] | None = None,
    force: bool = False,
    now: datetime | None = None,
) -> int:
    """Mark changed blocks by username; None means everything, as very many do. Return how many rows that took.

    *user_ids*: the learners' by name, as far as they are known.
    """
    now, user_ids = now or timezone.now(), user_ids or {}
    course = str(course_key)
    rows = [
        (now, now, username, user_ids.get(username), course, block, forced, False)
        for username, blocks in changes.items()
        for block, forced in _marks(blocks, force=force)
    ]
    marks = "(" + ", ".join(["%s"] * 8) + ")"
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        for start in range(0, len(rows), _BULK):
            chunk = rows[start : start + _BULK]
            cursor.execute(
                f"INSERT INTO {_TABLE}"
                f" (created, modified, username, user_id, course_key, block_key, {_quoted('force')}, resolved)"
                f" VALUES {', '.join([marks] * len(chunk))}",
                [adapt(v) if isinstance(v, datetime) else v for row in chunk for v in row],
            )
    return len(rows)


def waiting_courses() -> list[CourseKey]:
    """Return the courses with work to do, the one that has waited longest first."""
    waiting = StaleCompletion.objects.filter(resolved=False).values("course_key").annotate(first=Min("id"))
    return [row["course_key"] for row in waiting.order_by("first")]


def waiting_among(
    course_key: CourseKey, usernames: Collection[str], *, user_ids: Mapping[str, int] | None = None
) -> frozenset[str]:
    """Return of which of these learners something waits in the course, under the spelling asked for.

    *user_ids*: theirs by name, as far as they are known; then what waits for somebody else of the name does not count.
    """
    rows = StaleCompletion.objects.filter(username__in=usernames, course_key=course_key, resolved=False)
    found = {(name.casefold(), pk) for name, pk in rows.values_list("username", "user_id").distinct()}
    named, known = {name for name, _ in found}, user_ids or {}
    return frozenset(
        name
        for name in usernames
        if (not found.isdisjoint(_hers(name, known[name])) if name in known else name.casefold() in named)
    )


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
    """Return the unresolved rows of these learners (username to id), by user id: call it holding their locks.

    A row that has the id of somebody else is not theirs; see ``population.readdress``.
    """
    if not learners:
        return {}
    marks = ", ".join(["%s"] * len(learners))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, username, user_id, block_key, {_quoted('force')}, modified FROM {_TABLE}"
            f" WHERE username IN ({marks}) AND course_key = %s AND resolved = %s",
            [*learners, str(course_key), False],
        )
        rows = cursor.fetchall()
    folded = {name.casefold(): pk for name, pk in learners.items()}
    taken: dict[int, list[_Row]] = {}
    of_others = set[int]()
    for row, username, of, block, force, modified in rows:
        user_id = learners.get(username, folded.get(username.casefold()))
        if user_id is None:
            continue
        if of in (None, user_id):
            taken.setdefault(user_id, []).append((row, block, bool(force), modified))
        else:
            of_others.add(user_id)
    return {user_id: _claim(found, of_others=user_id in of_others) for user_id, found in taken.items()}


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


def astray(course_key: CourseKey, usernames: Collection[str]) -> dict[int, int | None]:
    """Return the user ids, as far as rows have them, of the unresolved rows that are not of who has their name now."""
    rows = StaleCompletion.objects.filter(username__in=list(usernames), course_key=course_key, resolved=False)
    found = [each for each in rows.values_list("id", "username", "user_id") if each[1] in usernames]
    # Somebody may have taken a name since. Asked after the rows were read, for rows follow their user.
    taken = user_ids(sorted({name for _, name, _ in found}))
    return {row: of for row, name, of in found if name not in taken or of not in (None, taken[name])}


def readdress(ids: Collection[int], user_id: int, username: str) -> int:
    """Let those of these unresolved rows that are of a learner wait for the name she has. Return how many."""
    return StaleCompletion.objects.filter(pk__in=ids, user_id=user_id, resolved=False).update(username=username)


def courses_waiting_for(username: str, user_id: int | None = None) -> set[CourseKey]:
    """Return the courses in which something of a learner of this name and id waits."""
    found = [rows.filter(resolved=False).values_list("course_key", flat=True) for rows in _of(username, user_id)]
    return {key for keys in found for key in keys.distinct() if key is not None}


def hand_over(username: str, user_id: int | None, *, to: str, to_id: int) -> None:
    """Let what waits for a learner, if nobody has the name for the name, wait for another one."""
    for rows in _of(username, user_id):
        rows.filter(resolved=False).update(username=to, user_id=to_id)


def rename(before: str, after: str, user_id: int | None = None) -> int:
    """Let the rows of a learner, or if her id is not given of a name, wait for another name. Return how many.

    Rows with her id that somebody has locked keep the old one, by which ``population.readdress`` finds them: to wait
    for a request that marks her, and may itself wait for whoever renames her, would be a deadlock.
    """
    if user_id is None:
        return _named(before, None).update(username=after)
    rows = StaleCompletion.objects.filter(username=before)
    skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        # By their ids, so that nothing else is locked.
        ids = list(rows.filter(user_id__isnull=True).values_list("pk", flat=True))
        ids += rows.filter(user_id=user_id).select_for_update(skip_locked=skip).values_list("pk", flat=True)
        ids.sort()
        return sum(
            StaleCompletion.objects.filter(pk__in=ids[start : start + _RESOLVE_CHUNK]).update(username=after)
            for start in range(0, len(ids), _RESOLVE_CHUNK)
        )


def count_of(username: str, user_id: int | None = None) -> int:
    """Count what ``delete_of`` deletes."""
    return sum(rows.count() for rows in _of(username, user_id))


def delete_of(username: str, user_id: int | None = None) -> int:
    """Delete every row of a learner, or if her id is not given of a name. Return how many.

    Names are those that the database takes for equal. Of her rows that wait under a name which she had, each unresolved
    row of the queue is looked at; resolved they are not, but under her name.
    """
    return sum(_delete(rows) for rows in _of(username, user_id))


def delete_named(username: str, user_id: int) -> int:
    """Delete the rows of a learner under her name. Return how many."""
    return _delete(_named(username, user_id))


def delete_of_course(course_key: CourseKey) -> int:
    """Delete the rows of every learner in a course. Return how many."""
    # The index that a course is found by begins with whether rows are resolved.
    return sum(_delete(StaleCompletion.objects.filter(resolved=each, course_key=course_key)) for each in (False, True))


def delete_resolved(*, chunk: int = 5000) -> Iterable[int]:
    """Delete resolved rows, oldest first, *chunk* of them a transaction; yield how many went each time."""
    while ids := list(
        StaleCompletion.objects.filter(resolved=True).order_by("id").values_list("id", flat=True)[:chunk]
    ):
        yield StaleCompletion.objects.filter(id__in=ids, resolved=True)._raw_delete(connection.alias)


def backlog() -> dict[CourseKey, tuple[int, datetime]]:
    """Return, for each course that waits, how many rows and since when the first of them does."""
    # By the index alone: to look for the least time, a database would read each row, which takes a minute of a million.
    waiting = (
        StaleCompletion.objects.filter(resolved=False).values("course_key").annotate(rows=Count("id"), first=Min("id"))
    )
    found = {row["course_key"]: (row["rows"], row["first"]) for row in waiting}
    first = StaleCompletion.objects.filter(pk__in=[pk for _, pk in found.values()])
    since = dict(first.values_list("pk", "created"))
    return {key: (rows, since[pk]) for key, (rows, pk) in found.items() if pk in since}


def _marks(blocks: Collection[str] | None, *, force: bool) -> Iterable[tuple[str | None, bool]]:
    if blocks is None:
        return [(None, force)]
    # Unlike a publication, many changed completions may move times and nothing else.
    return [(None, True)] if len(blocks) > MANY_BLOCKS else [(block, force) for block in sorted(blocks)]


def _claim(found: Sequence[_Row], *, of_others: bool) -> Claim:
    blocks = {block for _, block, _, _ in found if block}
    written = {row: modified for row, block, _, modified in found if not block}
    everything = len(blocks) > MANY_BLOCKS or bool(written)
    return Claim(
        ids=tuple(row for row, _, _, _ in found),
        blocks=None if everything else frozenset(blocks),
        force=any(force for _, _, force, _ in found) or (everything and bool(blocks)),
        written=written,
        of_others=of_others,
    )


def _hers(username: str, user_id: int) -> set[_Whose]:
    return {(username.casefold(), user_id), (username.casefold(), None)}


def _of(username: str, user_id: int | None) -> list[QuerySet[StaleCompletion, Any]]:
    """Return queries of the rows of a learner: under her name, and those that wait under another; none twice."""
    if user_id is None:
        return [_named(username, None)]
    return [
        _named(username, user_id),
        StaleCompletion.objects.filter(resolved=False, user_id=user_id).exclude(username=username),
    ]


def _named(username: str, user_id: int | None) -> QuerySet[StaleCompletion, Any]:
    rows = StaleCompletion.objects.filter(username=username)
    return rows if user_id is None else rows.filter(Q(user_id__isnull=True) | Q(user_id=user_id))


def _delete(rows: QuerySet[StaleCompletion, Any]) -> int:
    deleted = 0
    while ids := list(rows.values_list("id", flat=True)[:_DELETE_CHUNK]):
        deleted += StaleCompletion.objects.filter(id__in=ids)._raw_delete(connection.alias)
    return deleted


def _waiting_again(course_key: CourseKey, whose: Mapping[str, _Whose]) -> Collection[_Whose]:
    """Have rows that stand for everything of a learner wait for what this transaction changed; return whose."""
    with connection.cursor() as cursor:
        cursor.execute(_WHOLE.format(among=among("username", len(whose))), [str(course_key), False, *whose])
        ids = [row for (row,) in cursor.fetchall()]
    if not ids:
        return ()
    try:
        with transaction.atomic():
            # By their ids, so that nothing else is locked; without those that a worker just resolves.
            rows = StaleCompletion.objects.select_for_update(skip_locked=True).filter(pk__in=ids, resolved=False)
            known = frozenset(whose.values())
            found = rows.values_list("pk", "username", "user_id", "modified")
            locked = [each for each in found if (each[1].casefold(), each[2]) in known]
            if locked:
                # The clock of whoever wrote them may be ahead of ours: in any case it is another time.
                later = max(modified for *_, modified in locked) + timedelta(microseconds=1)
                again = StaleCompletion.objects.filter(pk__in=[row for row, *_ in locked])
                again.update(modified=max(timezone.now(), later))
    except OperationalError:  # a snapshot that is older than the row: only where transactions are repeatable reads
        return ()
    return {(name.casefold(), user_id) for _, name, user_id, _ in locked}


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
