"""The door of aggregation: what everybody else, our own REST API included, may ask of it.

Keys come as ``CourseKey`` and ``UsageKey``, answers as frozen records. Whoever changes completions other than through
edx-completion's own model must say so here, in the same transaction.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from operator import itemgetter

from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.aggregation import (
    changes,
    contents,
    deliveries,
    population,
    progress,
    reconcile,
    renewal,
    retirement,
    roster,
    seen,
    settlement,
    stale,
    standings,
    state,
    statistics,
    summary,
)
from completion_aggregator.aggregation.attempts import again, is_passing
from completion_aggregator.aggregation.contents import ContentVersion
from completion_aggregator.aggregation.courses import forget, graph_of
from completion_aggregator.aggregation.deliveries import DeliveryStatus
from completion_aggregator.aggregation.models import AggregatedCourse, CourseProgress
from completion_aggregator.aggregation.progress import (
    ALL_LEVELS,
    BlockProgress,
    LearnerProgress,
    ProgressRecord,
)
from completion_aggregator.aggregation.reconcile import Findings, Reconciled
from completion_aggregator.aggregation.refresh import (
    RefreshSummary,
    refresh_batches,
    refresh_course,
    refresh_learners,
)
from completion_aggregator.aggregation.retirement import Holdings
from completion_aggregator.aggregation.roster import Order, Place, Roster, RosterEntry, RosterQuery
from completion_aggregator.aggregation.settlement import Quiet, Settled
from completion_aggregator.aggregation.standings import Blocks, Standing
from completion_aggregator.aggregation.statistics import CourseFigures
from completion_aggregator.aggregation.summary import BlockSummary, CourseSummary
from completion_aggregator.aggregation.thresholds import ThresholdReached, threshold_reached
from completion_aggregator.aggregation.vitals import Outbox, Vitals, vitals
from completion_aggregator.conf import setting
from completion_aggregator.course_graph.blocks import CompletionMode
from completion_aggregator.exceptions import InvalidCourse, UnknownCourse
from completion_aggregator.ports import get_platform

__all__ = [
    "ALL_LEVELS",
    "BlockProgress",
    "BlockSummary",
    "Blocks",
    "ContentVersion",
    "CourseFigures",
    "CourseStatus",
    "CourseSummary",
    "DeliveryStatus",
    "Findings",
    "Holdings",
    "LearnerProgress",
    "Order",
    "Outbox",
    "Place",
    "ProgressRecord",
    "Quiet",
    "ReconcileStatus",
    "Reconciled",
    "RefreshSummary",
    "Roster",
    "RosterEntry",
    "RosterQuery",
    "SetAside",
    "Settled",
    "Standing",
    "Status",
    "ThresholdReached",
    "Vitals",
    "completion_changed",
    "completion_mode",
    "content_graphs",
    "content_versions",
    "course_changed",
    "course_figures",
    "course_means",
    "course_summary",
    "courses_changed",
    "delete_delivered",
    "delete_forsaken",
    "delete_resolved",
    "delete_unseen",
    "deliver",
    "delivery_status",
    "forget",
    "holdings",
    "is_passing",
    "iter_progress",
    "keep_content",
    "learner_changed",
    "learner_deleted",
    "learner_renamed",
    "learners_changed",
    "levels_ask",
    "live_courses",
    "live_standing",
    "mark_content_changed",
    "mark_course_stale",
    "mark_expired",
    "mark_stale",
    "mark_stale_many",
    "pending_courses",
    "progress_of",
    "progress_of_course",
    "reassign",
    "reconcile_course",
    "reconcile_due",
    "reconcile_position",
    "refresh_batches",
    "refresh_course",
    "refresh_learner",
    "renew_course",
    "retire",
    "retire_course",
    "retire_name",
    "roster_page",
    "settle_changes",
    "sights_changed",
    "standings_of_class",
    "standings_of_learner",
    "status",
    "take_back",
    "take_back_deliveries",
    "take_in_courses",
    "threshold_reached",
    "vitals",
    "whole_roster",
]

log = logging.getLogger(__name__)

#: How many of the courses refreshed last ``status`` tells of.
LAST_RUNS = 5

progress_of = progress.of_learner
progress_of_course = progress.of_course
iter_progress = progress.records_of
standings_of_learner = standings.standings_of_learner
standings_of_class = standings.standings_of_class
live_standing = standings.live_standing
live_courses = standings.live_courses
levels_ask = progress.asked
roster_page = roster.page_of
whole_roster = roster.whole_of
course_summary = summary.summary_of
course_figures = statistics.figures_of
course_means = statistics.means_of
mark_stale = stale.mark
mark_stale_many = stale.mark_many
course_changed = changes.note
courses_changed = changes.note_all
content_versions = contents.versions_of
content_graphs = contents.graphs_of
keep_content = contents.keep
settle_changes = settlement.settle_changes
learner_renamed = stale.rename
learner_deleted = stale.delete_named
holdings = retirement.holdings
retire = retirement.retire
retire_course = retirement.retire_course
retire_name = retirement.retire_name
reassign = retirement.reassign
reconcile_course = reconcile.reconcile
reconcile_due = reconcile.reconcile_due
reconcile_position = reconcile.position_of
renew_course = renewal.renew
take_in_courses = reconcile.take_in_courses
mark_expired = state.mark_expired
deliver = deliveries.deliver
delivery_status = deliveries.status
delete_delivered = deliveries.delete_delivered
delete_forsaken = deliveries.delete_forsaken
take_back_deliveries = deliveries.take_back
delete_resolved = stale.delete_resolved
delete_unseen = seen.delete_unseen


@dataclass(frozen=True, slots=True)
class CourseStatus:
    """What waits in one course.

    ``error`` says why its content cannot be read, and ``retry_at`` when that is tried again.
    """

    course_key: CourseKey
    waiting: int
    oldest: datetime | None
    refreshed_at: datetime | None
    error: str
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class SetAside:
    """A learner whose refresh failed too often, with the last error."""

    course_key: CourseKey
    user_id: int
    attempts: int
    since: datetime
    error: str


@dataclass(frozen=True, slots=True)
class ReconcileStatus:
    """How far comparing everybody with their completions is.

    ``never``: courses that no round has been through. ``oldest``: when a round ended, of the course that was compared
    longest ago. ``under_way``: the courses in the middle of a round, each with the user id up to which it has come.
    """

    courses: int
    never: int
    oldest: datetime | None
    under_way: Mapping[CourseKey, int]


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the queue. ``last_runs``: the courses refreshed last, newest first.

    ``changed``: the courses whose learners are to be looked at, the one that waits longest first, each with its last
    change.
    """

    waiting: int
    oldest: datetime | None
    courses: tuple[CourseStatus, ...]
    set_aside: tuple[SetAside, ...]
    last_runs: tuple[CourseStatus, ...]
    changed: Mapping[CourseKey, datetime]
    reconcile: ReconcileStatus


def completion_changed(user: AbstractBaseUser, course_key: CourseKey, block_key: UsageKey) -> None:
    """Mark a completion stale; in synchronous mode also refresh that learner and course once it is committed."""
    stale.mark(user.get_username(), course_key, block_key, user_id=user.pk)
    if not setting("ASYNC_AGGREGATION"):
        _refresh_on_commit(_LearnerRefresh(user.get_username(), course_key))


def learner_changed(username: str, course_key: CourseKey) -> None:
    """Mark a learner of whom the platform has changed what she sees of the course, or whether she learns in it.

    Many changes before the next refresh are one row. In synchronous mode also refresh her once it is committed.
    """
    learners_changed(course_key, [username])


def learners_changed(course_key: CourseKey, usernames: Collection[str]) -> None:
    """Do the same for many learners of a course, with four queries for each 2,000, and the refreshes."""
    stale.mark_learners(course_key, usernames)
    if not setting("ASYNC_AGGREGATION"):
        for username in usernames:
            _refresh_on_commit(_LearnerRefresh(username, course_key))


def sights_changed(course_key: CourseKey, user_ids: Collection[int], *, learning: Collection[int]) -> None:
    """Mark those of these learners who are *learning* in the course, or of whom progress is stored.

    Many changes are one row. Of others nothing is known that could have changed, as of who was retired.
    """
    stored = state.stored_among(course_key, user_ids)
    names = standings.usernames([user_id for user_id in user_ids if user_id in learning or user_id in stored])
    stale.mark_learners(course_key, list(names.values()), user_ids={name: pk for pk, name in names.items()})


def completion_mode(course_key: CourseKey, block_key: UsageKey) -> CompletionMode | None:
    """Return how a block of the course takes part in completion; None: the course has no such block.

    Raises UnknownCourse or InvalidCourse.
    """
    graph = graph_of(course_key)
    return dict(zip(graph.keys, graph.modes, strict=True)).get(str(block_key))


def refresh_learner(username: str, course_key: CourseKey) -> RefreshSummary:
    """Refresh one learner in one course now, by its newest content, after whoever else is at it.

    Call it outside of transactions: one that has read before sees completions as they were then. Raises UnknownCourse
    or InvalidCourse.
    """
    renewal.renew_if_possible(course_key)
    return refresh_learners(course_key, [username], wait=True)


def mark_course_stale(
    course_key: CourseKey, *, user_ids: Collection[int] | None = None, force: bool = False, batch_size: int = 2000
) -> int:
    """Mark everything of these learners, or of all with an active enrollment, stale. Return how many.

    None means all; an empty collection means nobody.
    """
    ids = iter(user_ids) if user_ids is not None else get_platform().enrolled_user_ids(course_key)
    marked = 0
    while batch := list(islice(ids, batch_size)):
        names = standings.usernames(batch)
        if user_ids is None:
            marked += again(partial(population.mark, course_key, names, forced=names if force else ()))
        else:
            named = {name: user_id for user_id, name in names.items()}
            marked += stale.mark_many(course_key, dict.fromkeys(named), user_ids=named, force=force)
    return marked


def mark_content_changed(course_key: CourseKey) -> int:
    """Mark the learners who see another tree by the content as it is now. Return how many.

    Call it outside of transactions, after the change is committed: ``course_changed`` is for the transaction itself.
    """
    return sum(done.marked for done in settlement.settle(course_key))


def pending_courses() -> list[CourseKey]:
    """Return the courses with work to do, the one that waits longest first; none whose content cannot be read now."""
    postponed = renewal.postponed()
    return [key for key in stale.waiting_courses() if str(key) not in postponed]


def take_back() -> int:
    """Let the learners who were set aside try again, and the courses that were postponed. Return how many learners."""
    AggregatedCourse.objects.filter(retry_at__isnull=False).update(retry_at=None)
    return state.take_back()


def status() -> Status:
    """Return what waits, where and since when, and who was set aside."""
    waiting = stale.backlog()
    rows = {row.course_key: row for row in AggregatedCourse.objects.all()}
    troubled = [key for key, row in rows.items() if row.error and key not in waiting]
    courses = [_course_status(key, waiting.get(key), rows.get(key)) for key in [*waiting, *troubled]]
    aside = CourseProgress.objects.filter(set_aside_at__isnull=False).order_by("set_aside_at", "pk")
    return Status(
        waiting=sum(count for count, _ in waiting.values()),
        oldest=min((since for _, since in waiting.values()), default=None),
        courses=tuple(sorted(courses, key=lambda each: (each.oldest is None, each.oldest, str(each.course_key)))),
        set_aside=tuple(_set_aside(row) for row in aside.select_related("course").defer("vector")),
        last_runs=tuple(
            _course_status(row.course_key, waiting.get(row.course_key), row) for row in _last_run(rows.values())
        ),
        changed=_changed(rows.values()),
        reconcile=_reconcile_status(rows.values()),
    )


def _set_aside(row: CourseProgress) -> SetAside:
    since = row.set_aside_at or timezone.now()
    return SetAside(row.course.course_key, row.user_id, row.attempts, since, row.error)


def _last_run(rows: Iterable[AggregatedCourse]) -> list[AggregatedCourse]:
    run = [(row.refreshed_at, row) for row in rows if row.refreshed_at is not None]
    return [row for _, row in sorted(run, key=lambda pair: pair[0], reverse=True)[:LAST_RUNS]]


def _changed(rows: Iterable[AggregatedCourse]) -> dict[CourseKey, datetime]:
    changed = [(row.changed_at, row.course_key) for row in rows if row.changed_at is not None]
    return {key: moment for moment, key in sorted(changed, key=itemgetter(0))}


def _reconcile_status(rows: Collection[AggregatedCourse]) -> ReconcileStatus:
    rounds = [row.reconciled_at for row in rows if row.reconciled_at is not None]
    return ReconcileStatus(
        courses=len(rows),
        never=len(rows) - len(rounds),
        oldest=min(rounds, default=None),
        under_way={row.course_key: row.reconcile_after for row in rows if row.reconcile_after},
    )


def _course_status(
    course_key: CourseKey, waiting: tuple[int, datetime] | None, row: AggregatedCourse | None
) -> CourseStatus:
    count, oldest = waiting or (0, None)
    if row is None:
        return CourseStatus(course_key, count, oldest, None, "", None)
    return CourseStatus(course_key, count, oldest, row.refreshed_at, row.error, row.retry_at)


@dataclass(frozen=True, slots=True)
class _LearnerRefresh:
    """Refresh one learner; if that is not possible now, the stale row waits for the service. The request goes on."""

    username: str
    course_key: CourseKey

    def run(self) -> None:
        try:
            refresh_learner(self.username, self.course_key)
        except (UnknownCourse, InvalidCourse) as error:
            log.warning("not refreshed course=%s: %s", self.course_key, error)
        except DatabaseError:
            log.exception("not refreshed course=%s", self.course_key)


def _refresh_on_commit(refresh: _LearnerRefresh) -> None:
    """Refresh once the transaction is committed, and only once, however many completions it changes."""
    # Django forgets what was promised in a savepoint that is undone: whatever is still there will be kept if we are.
    if all(getattr(action, "__self__", None) != refresh for _, action, *_ in connection.run_on_commit):
        # A method, not the object: of what fails, Django logs the qualified name.
        transaction.on_commit(refresh.run, robust=True)
