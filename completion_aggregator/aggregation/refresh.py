"""Bring stored tallies up to date: claim, read what changed, roll up, write what differs, resolve.

A batch is one transaction: everything it did stands together or not at all, and what it claimed is resolved with it.
Any process may die anywhere in here; the next run ends in the same state.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

from django.db import transaction
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import instruments
from completion_aggregator.aggregation import events, leaves, population, projection, seen, stale, state, thresholds
from completion_aggregator.aggregation.attempts import TRIES, again, isolating
from completion_aggregator.aggregation.batch import bring_up_to_date, gather, groups_of
from completion_aggregator.aggregation.courses import Course, batch_of, bounded, open_course
from completion_aggregator.aggregation.following import follow
from completion_aggregator.aggregation.models import AggregatedCourse
from completion_aggregator.aggregation.renewal import opened
from completion_aggregator.aggregation.stale import Claim
from completion_aggregator.aggregation.state import State
from completion_aggregator.conf import setting
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.ports import Sight, get_platform
from completion_aggregator.spans import span

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class _Visited:
    """What the platform showed learners on a visit as each, and what of theirs waited before."""

    claims: Mapping[int, Claim]
    sights: Mapping[int, Sight]


class _Republished(CompletionAggregatorError):
    """The course has other content than when it was opened."""


def refresh_batches(course_key: CourseKey, *, batch_size: int | None = None) -> Iterator[RefreshSummary]:
    """Refresh the learners of a course for whom something is stale, oldest first; yield after each bounded batch.

    Any number of workers may do this at once: each takes the learners that no other has. A learner whose refresh fails
    is counted and left for a later run, the others go on. Raises UnknownCourse or InvalidCourse, which also postpones
    the course.
    """
    course = again(lambda: opened(course_key))
    row = AggregatedCourse.objects.filter(pk=course.row.pk)
    size = batch_of(course, batch_size or setting("BATCH_SIZE"))
    without, after = again(lambda: state.set_aside(course.row.pk)), 0
    while True:
        found = again(partial(stale.peek, course_key, learners=size, after=after, without=without))
        if found.usernames:
            done = refresh_learners(course_key, found.usernames)
            if done.failed:
                # Once is enough for a run, however many rows of theirs are still to come.
                without += again(partial(state.failing, course.row.pk, found.usernames))
            yield done
        if found.after is None:
            break
        after = found.after
    again(lambda: row.update(refreshed_at=timezone.now()))


def refresh_course(course_key: CourseKey, *, limit: int | None = None, batch_size: int | None = None) -> RefreshSummary:
    """Refresh a course by ``refresh_batches``, until nothing waits or about *limit* learners are done."""
    total = RefreshSummary()
    with span("course", course=course_key) as recorded:
        for done in refresh_batches(course_key, batch_size=min(filter(None, (limit, batch_size)), default=None)):
            total += done
            if limit is not None and total.learners >= limit:
                break
        recorded.tell(learners=total.learners, written=total.written, failed=total.failed)
    return total


def refresh_learners(course_key: CourseKey, usernames: Sequence[str], *, wait: bool = False) -> RefreshSummary:
    """Refresh these learners, whoever of them fails. *wait*: until another worker is done with them, if one is.

    Raises UnknownCourse or InvalidCourse.
    """
    with span("batch", course=course_key) as recorded:
        done = _refresh_learners(course_key, usernames, wait=wait)
        recorded.tell(
            learners=done.learners, written=done.written, removed=done.removed, resolved=done.resolved,
            failed=done.failed,
        )  # fmt: skip
    log.info(
        "refreshed course=%s learners=%d written=%d removed=%d resolved=%d failed=%d unknown=%d seconds=%.3f",
        course_key, done.learners, done.written, done.removed, done.resolved, done.failed, done.unknown_users,
        done.seconds,
    )  # fmt: skip
    instruments.refreshed(done)
    return done


def _refresh_learners(course_key: CourseKey, usernames: Sequence[str], *, wait: bool) -> RefreshSummary:
    start = perf_counter()
    ids = again(lambda: stale.user_ids(usernames))
    nobody = [name for name in usernames if name not in ids]
    unknown = again(lambda: population.readdress(course_key, nobody, now=timezone.now()))
    # Nothing of a batch that fails is stored, and its rows stay unresolved.
    parts = isolating(
        lambda names: _persisting(course_key, {name: ids[name] for name in names}, wait=wait),
        list(ids),
        at_fault=lambda name, error: _set_back(course_key, ids[name], error),
    )
    summary = sum(parts, RefreshSummary(unknown_users=unknown))
    return replace(summary, seconds=perf_counter() - start)


def _set_back(course_key: CourseKey, user_id: int, error: Exception) -> RefreshSummary:
    log.error("refresh failed course=%s user=%s", course_key, user_id, exc_info=error)
    message = f"{type(error).__name__}: {error}"
    if again(lambda: state.record_failure(leaves.course_row(course_key).pk, user_id, message)):
        log.error("set aside course=%s user=%s", course_key, user_id)
        instruments.set_aside()
    return RefreshSummary(failed=1)


def _persisting(course_key: CourseKey, ids: Mapping[str, int], *, wait: bool) -> RefreshSummary:
    """Refresh a batch, again if the database breaks it off or the course is published meanwhile."""
    for _ in range(TRIES):
        try:
            return again(lambda: _once(course_key, ids, wait=wait))
        except _Republished:
            log.info("published meanwhile course=%s", course_key)
            instruments.retried("published")
    return RefreshSummary()


def _once(course_key: CourseKey, ids: Mapping[str, int], *, wait: bool) -> RefreshSummary:
    course = open_course(course_key)
    state.ensure(course.row.pk, list(ids.values()), leaves=len(course.leaves))
    visited = _visit(course, ids)
    with transaction.atomic():
        return _refresh(course, ids, visited, wait=wait)


def _visit(course: Course, ids: Mapping[str, int]) -> _Visited | None:
    """Ask the platform what it shows these learners, where our rules do not tell: slowly, and so without a lock."""
    if not get_platform().asks_one_by_one(course.key, course.graph):
        return None
    now, claims = timezone.now(), stale.claim(course.key, ids)
    sights = get_platform().visit(course.key, course.graph, sorted(claims), now=now)
    seen.keep(course.row.pk, sights.values(), course.graph, now=now)
    return _Visited(claims, sights)


def _refresh(course: Course, ids: Mapping[str, int], visited: _Visited | None, *, wait: bool) -> RefreshSummary:
    """Refresh those of the learners whose rows can be locked; the caller holds the transaction."""
    now = timezone.now()
    locked = {each.user_id: each for each in state.lock(course.row.pk, list(ids.values()), wait=wait)}
    claims = stale.claim(course.key, {name: user_id for name, user_id in ids.items() if user_id in locked})
    _tidy_up(course, ids, locked, claims)
    if visited is not None:
        # What came to wait after the visit began waits on: it may speak of what the visit did not see.
        claims = {user_id: visited.claims[user_id] for user_id in claims if user_id in visited.claims}
    if not claims:
        return RefreshSummary()
    # A publication marks its learners in its own transaction: rows claimed before this look may speak of newer content.
    if get_platform().course_version(course.key) != course.version:
        raise _Republished
    sights = visited.sights if visited else get_platform().sights(course.key, course.graph, sorted(claims), now=now)
    mine = {user_id: locked[user_id] for user_id in sorted(claims)}
    followed = follow(course, mine, claims, sights, now=now)
    written, summary = projection.write_rows(followed.tallies, keep_newer=True), RefreshSummary(learners=len(mine))
    state.store(course.row.pk, followed.states, now=now)
    thresholds.record(course, followed.percents, now=now)
    done = {each.user_id for each in followed.states}
    rest = [user_id for user_id in mine if user_id not in done]
    size = bounded(len(mine), len(course.leaves))
    for some in (rest[start : start + size] for start in range(0, len(rest), size)):
        batch = gather(course, {user_id: mine[user_id] for user_id in some}, claims, sights)
        groups = list(groups_of(batch))
        more, removed, states = bring_up_to_date(batch, groups, now=now)
        state.store(course.row.pk, states, now=now)
        thresholds.record(course, thresholds.percents_of(batch, groups), now=now)
        written += more
        summary += RefreshSummary(removed=removed, rebuilt=batch.rebuilt, mended=batch.mended)
    resolved = stale.resolve_claimed(list(claims.values()), now=now)
    events.emit_on_commit(course.key, written.told, now=now)
    return replace(summary, resolved=resolved, written=written.rows)


def _tidy_up(course: Course, ids: Mapping[str, int], locked: Mapping[int, State], claims: Mapping[int, Claim]) -> None:
    """Leave no empty row of whom nothing waits for, as of who was just retired; have rows of others wait for them."""
    idle = locked.keys() - claims.keys()
    state.remove_empty(course.row.pk, [locked[user_id] for user_id in idle])
    others = idle | {user_id for user_id, claim in claims.items() if claim.of_others}
    if others:
        names, now = [name for name, user_id in ids.items() if user_id in others], timezone.now()
        # Once this is committed: a request that renames somebody waits for no worker.
        transaction.on_commit(lambda: again(lambda: population.readdress(course.key, names, now=now)), robust=True)
