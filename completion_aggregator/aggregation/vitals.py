"""How the queue is, for monitors that ask every few seconds: by looks at an index, however much waits.

``api.status`` tells more, and its cost grows with what waits.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from completion_aggregator.aggregation import renewal
from completion_aggregator.aggregation.models import (
    AggregatedCourse,
    CourseProgress,
    Crossing,
    Delivery,
    StaleCompletion,
)
from completion_aggregator.aggregation.thresholds import RECEIVERS, endpoint_of
from completion_aggregator.conf import webhooks

#: What is counted no further than this: more is much, and to know how much would cost a look at each.
MOST_ROWS: Final = 100_000
MOST_DELIVERIES: Final = 10_000
MOST_LEARNERS: Final = 10_000
#: Waiting courses that are looked at, each with a query.
MOST_COURSES: Final = 500


# From one course to the next by the index: to group by course, databases read every row that waits.
_NEXT_COURSE: Final = (
    f"SELECT course_key, id FROM {StaleCompletion._meta.db_table} WHERE resolved = %s AND course_key > %s"
    " ORDER BY course_key, id LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Outbox:
    """What one kind of endpoint still has to be told, counted up to ``MOST_DELIVERIES`` for each."""

    waiting: int = 0
    failing: int = 0
    given_up: int = 0
    oldest_age: float = 0.0

    def __add__(self, other: "Outbox") -> "Outbox":
        return Outbox(
            self.waiting + other.waiting,
            self.failing + other.failing,
            self.given_up + other.given_up,
            max(self.oldest_age, other.oldest_age),
        )


@dataclass(frozen=True, slots=True)
class Vitals:
    """The state of the queue. Ages are in seconds, 0 where nothing waits; counts end at the bounds above.

    ``oldest_age``: of the oldest stale row that a service would take, so of no learner who is set aside and no course
    that cannot be read: these are counted apart.
    """

    waiting: int
    waiting_courses: int
    oldest_age: float
    set_aside: int
    failing_courses: int
    changed_courses: int
    changed_age: float
    never_reconciled: int
    receivers: Outbox
    webhooks: Outbox


def vitals() -> Vitals:
    """Return how the queue is now."""
    now, first = timezone.now(), _first_rows()
    aside = CourseProgress.objects.filter(set_aside_at__isnull=False)
    counts: dict[str, Any] = AggregatedCourse.objects.aggregate(
        failing=Count("pk", filter=~Q(error="")),
        changed=Count("pk", filter=Q(changed_at__isnull=False)),
        since=Min("changed_at"),
        never=Count("pk", filter=Q(reconciled_at__isnull=True)),
    )
    return Vitals(
        waiting=_count(StaleCompletion.objects.filter(resolved=False).order_by("course_key", "id"), MOST_ROWS),
        waiting_courses=len(first),
        oldest_age=_age(_oldest(first), now),
        set_aside=_count(aside, MOST_LEARNERS),
        failing_courses=counts["failing"],
        changed_courses=counts["changed"],
        changed_age=_age(counts["since"], now),
        never_reconciled=counts["never"],
        receivers=_outbox([RECEIVERS], now),
        webhooks=_outbox([endpoint_of(each) for each in webhooks()], now),
    )


def _count(rows: QuerySet[Any, Any], most: int) -> int:
    return rows.values("pk")[:most].count()


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)


def _first_rows() -> dict[str, int]:
    """Return the first row that waits in each course."""
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_COURSE, [False, ""])
        while (row := cursor.fetchone()) is not None and len(found) < MOST_COURSES:
            found[row[0]] = row[1]
            cursor.execute(_NEXT_COURSE, [False, row[0]])
    return found


def _oldest(first: Mapping[str, int]) -> datetime | None:
    """Return since when the oldest row waits that a service would take."""
    troubled, aside = frozenset(renewal.unreadable()), _set_aside()
    oldest: int | None = None
    for key, row in sorted(first.items(), key=itemgetter(1)):
        if oldest is not None and row > oldest:
            break
        if key in troubled:
            continue
        taken = _first_but_of(key, aside[key]) if key in aside else row
        if taken is not None:
            oldest = taken if oldest is None else min(oldest, taken)
    rows = StaleCompletion.objects.filter(pk__in=[] if oldest is None else [oldest])
    return rows.values_list("created", flat=True).first()


def _set_aside() -> dict[str, list[str]]:
    """Return the usernames of those who are set aside, by course."""
    rows = CourseProgress.objects.filter(set_aside_at__isnull=False)
    found: dict[str, list[str]] = {}
    name = f"user__{get_user_model().USERNAME_FIELD}"
    for key, username in rows.values_list("course__course_key", name)[:MOST_LEARNERS]:
        found.setdefault(str(key), []).append(username)
    return found


def _first_but_of(course_key: str, usernames: Collection[str]) -> int | None:
    rows = StaleCompletion.objects.filter(resolved=False, course_key=course_key).exclude(username__in=list(usernames))
    return rows.order_by("id").values_list("id", flat=True).first()


def _outbox(endpoints: Collection[str], now: datetime) -> Outbox:
    return sum((_of_endpoint(each, now) for each in endpoints), Outbox())


def _of_endpoint(endpoint: str, now: datetime) -> Outbox:
    rows = Delivery.objects.filter(endpoint=endpoint)
    waiting = rows.filter(due_at__isnull=False).order_by("due_at").values("pk", "attempts")[:MOST_DELIVERIES]
    found = waiting.aggregate(waiting=Count("pk"), failing=Count("pk", filter=Q(attempts__gt=0)), first=Min("pk"))
    crossing = Crossing.objects.filter(deliveries__pk=found["first"]).values_list("reached_at", flat=True)
    return Outbox(
        waiting=found["waiting"],
        failing=found["failing"],
        given_up=_count(rows.filter(due_at__isnull=True, delivered_at__isnull=True), MOST_DELIVERIES),
        oldest_age=_age(crossing.first() if found["waiting"] else None, now),
    )
