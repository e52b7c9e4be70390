"""Bring stored tallies up to date: claim, read what changed, roll up, write what differs, resolve.

A batch is one transaction: everything it did stands together or not at all, and what it claimed is resolved with it.
Any process may die anywhere in here; the next run ends in the same state.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from time import perf_counter, sleep
from typing import Final, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import events, leaves, stale, state, thresholds
from completion_aggregator.aggregation.batch import bring_up_to_date, gather, groups_of
from completion_aggregator.aggregation.courses import Course, bounded, open_course
from completion_aggregator.aggregation.models import AggregatedCourse
from completion_aggregator.conf import setting
from completion_aggregator.exceptions import CompletionAggregatorError, InvalidCourse, UnknownCourse, storable
from completion_aggregator.ports import get_platform

log = logging.getLogger(__name__)

#: Lost connections and deadlocks are the database's trouble, not the learners': the batch is tried again.
_TRANSIENT: Final = (OperationalError, InterfaceError)
_TRIES: Final = 4
_LONGEST_PAUSE: Final = timedelta(hours=1)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RefreshSummary:
    """What a refresh did: counts, and the seconds it took."""

    learners: int = 0
    resolved: int = 0
    written: int = 0
    removed: int = 0
    rebuilt: int = 0
    mended: int = 0
    failed: int = 0
    unknown_users: int = 0
    seconds: float = 0.0

    def __add__(self, other: "RefreshSummary") -> "RefreshSummary":
        return RefreshSummary(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


class _Republished(CompletionAggregatorError):
    """The course has other content than when it was opened."""


def refresh_batches(course_key: CourseKey, *, batch_size: int | None = None) -> Iterator[RefreshSummary]:
    """Refresh the learners of a course for whom something is stale, oldest first; yield after each bounded batch.

    Any number of workers may do this at once: each takes the learners that no other has. A learner whose refresh fails
    is counted and left for a later run, the others go on. Raises UnknownCourse or InvalidCourse, which also postpones
    the course.
    """
    course = _again(lambda: _open(course_key))
    row = AggregatedCourse.objects.filter(pk=course.row.pk)
    size = bounded(batch_size or setting("BATCH_SIZE"), len(course.leaves))
    without, after = _again(lambda: state.set_aside(course.row.pk)), 0
    while True:
        found = _again(partial(stale.peek, course_key, learners=size, after=after, without=without))
        if found.usernames:
            done = refresh_learners(course_key, found.usernames)
            if done.failed:
                # Once is enough for a run, however many rows of theirs are still to come.
                without += _again(partial(state.failing, course.row.pk, found.usernames))
            yield done
        if found.after is None:
            break
        after = found.after
    _again(lambda: row.update(refreshed_at=timezone.now()))


def refresh_course(course_key: CourseKey, *, limit: int | None = None, batch_size: int | None = None) -> RefreshSummary:
    """Refresh a course by ``refresh_batches``, until nothing waits or about *limit* learners are done."""
    total = RefreshSummary()
    for done in refresh_batches(course_key, batch_size=min(filter(None, (limit, batch_size)), default=None)):
        total += done
        if limit is not None and total.learners >= limit:
            break
    return total


def refresh_learners(course_key: CourseKey, usernames: Sequence[str], *, wait: bool = False) -> RefreshSummary:
    """Refresh these learners, whoever of them fails. *wait*: until another worker is done with them, if one is.

    Raises UnknownCourse or InvalidCourse.
    """
    start = perf_counter()
    ids = _again(lambda: stale.user_ids(usernames))
    nobody = [name for name in usernames if name not in ids]
    unknown = _again(lambda: stale.resolve_unknown(course_key, nobody, now=timezone.now()))
    summary = _isolating(course_key, ids, wait=wait)
    summary = replace(summary, unknown_users=unknown, seconds=perf_counter() - start)
    log.info(
        "refreshed course=%s learners=%d written=%d removed=%d resolved=%d failed=%d unknown=%d seconds=%.3f",
        course_key, summary.learners, summary.written, summary.removed, summary.resolved, summary.failed, unknown,
        summary.seconds,
    )  # fmt: skip
    return summary


def _open(course_key: CourseKey) -> Course:
    try:
        course = open_course(course_key)
    except CompletionAggregatorError as error:
        _postpone(course_key, str(error))
        raise
    if course.row.failures:
        AggregatedCourse.objects.filter(pk=course.row.pk).update(failures=0, error="", retry_at=None)
    return course


def _postpone(course_key: CourseKey, error: str) -> None:
    """Try a course that cannot be read less and less often, so that it does not hold up the others."""
    row, _ = AggregatedCourse.objects.get_or_create(course_key=course_key)
    pause = min(timedelta(seconds=30 * 2 ** min(row.failures, 10)), _LONGEST_PAUSE)
    AggregatedCourse.objects.filter(pk=row.pk).update(
        failures=row.failures + 1, error=storable(error), retry_at=timezone.now() + pause
    )


def _isolating(course_key: CourseKey, ids: Mapping[str, int], *, wait: bool) -> RefreshSummary:
    """Refresh a batch; if it fails, halve it until the learners at fault stand alone."""
    if not ids:
        return RefreshSummary()
    try:
        return _persisting(course_key, ids, wait=wait)
    except (*_TRANSIENT, UnknownCourse, InvalidCourse, ImproperlyConfigured):
        raise
    # The border of one unit of work: whatever is wrong with one learner must not stop the others. Nothing of the batch
    # is stored, its rows stay unresolved, and the learner's row keeps the error.
    except Exception as error:  # noqa: BLE001
        if len(ids) == 1:
            return _set_back(course_key, next(iter(ids.values())), error)
    names = list(ids)
    halves = names[: len(names) // 2], names[len(names) // 2 :]
    parts = [_isolating(course_key, {name: ids[name] for name in half}, wait=wait) for half in halves]
    return parts[0] + parts[1]


def _set_back(course_key: CourseKey, user_id: int, error: Exception) -> RefreshSummary:
    log.error("refresh failed course=%s user=%s", course_key, user_id, exc_info=error)
    message = f"{type(error).__name__}: {error}"
    if _again(lambda: state.record_failure(leaves.course_row(course_key).pk, user_id, message)):
        log.error("set aside course=%s user=%s", course_key, user_id)
    return RefreshSummary(failed=1)


def _persisting(course_key: CourseKey, ids: Mapping[str, int], *, wait: bool) -> RefreshSummary:
    """Refresh a batch, again if the database breaks it off or the course is published meanwhile."""
    for _ in range(_TRIES):
        try:
            return _again(lambda: _once(course_key, ids, wait=wait))
        except _Republished:
            log.info("published meanwhile course=%s", course_key)
    return RefreshSummary()


def _again(work: Callable[[], _T]) -> _T:
    """Do *work*, which can be repeated, and once more if the database breaks it off."""
    for attempt in range(1, _TRIES + 1):
        try:
            return work()
        except _TRANSIENT:
            # Inside somebody's transaction there is nothing left to try in.
            if attempt == _TRIES or connection.in_atomic_block:
                raise
            connection.close_if_unusable_or_obsolete()
            sleep(0.05 * 4**attempt)
    raise AssertionError("the last attempt returns or raises")


def _once(course_key: CourseKey, ids: Mapping[str, int], *, wait: bool) -> RefreshSummary:
    course = open_course(course_key)
    state.ensure(course.row.pk, list(ids.values()))
    with transaction.atomic():
        return _refresh(course, ids, wait=wait)


def _refresh(course: Course, ids: Mapping[str, int], *, wait: bool) -> RefreshSummary:
    """Refresh those of the learners whose rows can be locked; the caller holds the transaction."""
    now = timezone.now()
    locked = {each.user_id: each for each in state.lock(course.row.pk, list(ids.values()), wait=wait)}
    claims = stale.claim(course.key, {name: user_id for name, user_id in ids.items() if user_id in locked})
    if not claims:
        return RefreshSummary()
    # A publication marks its learners in its own transaction: rows claimed before this look may speak of newer content.
    if get_platform().course_version(course.key) != course.version:
        raise _Republished
    batch = gather(course, {user_id: locked[user_id] for user_id in sorted(claims)}, claims, now=now)
    groups = list(groups_of(batch))
    changes, removed, states = bring_up_to_date(batch, groups, now=now)
    state.store(course.row.pk, states, now=now)
    thresholds.record(batch, groups, now=now)
    resolved = [row for each in claims.values() for row in each.ids]
    stale.resolve(resolved, now=now)
    events.emit_on_commit(course.key, changes, now=now)
    return RefreshSummary(
        learners=len(states),
        resolved=len(resolved),
        written=len(changes),
        removed=removed,
        rebuilt=batch.rebuilt,
        mended=batch.mended,
    )
