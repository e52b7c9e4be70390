"""Who reached a threshold: recorded in the transaction that finds it, once for each time it is reached.

What a learner does not see, or where nothing counts, says nothing: it is neither reached nor fallen below. So a chapter
that is hidden for a while, or emptied, is not reached again when it comes back; one that gets new content may be.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import numpy as np
from django.db import connection
from django.dispatch import Signal
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.aggregation.batch import Batch, Group
from completion_aggregator.aggregation.courses import Course
from completion_aggregator.aggregation.following import Percents
from completion_aggregator.aggregation.models import Crossing, Delivery
from completion_aggregator.conf import Webhook, thresholds, webhooks
from completion_aggregator.upsert import among, upsert

#: Sent with the argument ``reached``, a ThresholdReached. Receivers run in the transaction that marks it delivered.
threshold_reached: Final = Signal()

#: A delivery is due at once for every machine, however far the clock of the one that records it is ahead of the others.
CLOCKS_DIFFER: Final = timedelta(days=1)
#: The endpoint that stands for the receivers of the signal.
RECEIVERS: Final = "receivers"
_TABLE: Final = Crossing._meta.db_table
_PLACE: Final = ("course_id", "user_id", "block_key", "threshold", "number")
_CHUNK: Final = 5000


@dataclass(frozen=True, slots=True)
class ThresholdReached:
    """That a learner reached a threshold in a block.

    ``event_id`` is the same for ever, in whatever way and however often this is told. ``percent`` is what was reached,
    from 0 to 1, and at least ``threshold``. ``crossing``: 1 for the first time, 2 for the first time after she fell
    below it again, as when content is added, and so on.
    """

    event_id: UUID
    user_id: int
    username: str
    course_key: CourseKey
    block_key: UsageKey
    block_type: str
    threshold: float
    percent: float
    reached_at: datetime
    crossing: int


class _Known(NamedTuple):
    """The latest crossing of a learner, block and threshold: ``above`` until she falls below it."""

    id: int
    number: int
    above: bool


@dataclass(slots=True)
class _Found:
    """What a refresh finds: rows to be, ids of those that are left."""

    new: list[tuple[Any, ...]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)


def payload(reached: ThresholdReached) -> dict[str, Any]:
    """Return what is posted to webhooks, as JSON makes it."""
    return {
        "type": "threshold_reached",
        "event_id": str(reached.event_id),
        "user_id": reached.user_id,
        "username": reached.username,
        "course_key": str(reached.course_key),
        "block_key": str(reached.block_key),
        "block_type": reached.block_type,
        "threshold": reached.threshold,
        "percent": reached.percent,
        "reached_at": reached.reached_at.isoformat(),
        "crossing": reached.crossing,
    }


def endpoint_of(webhook: Webhook) -> str:
    """Return the name of a webhook in our tables: its address may hold a key, and case counts in it."""
    return sha256(webhook.url.encode()).hexdigest()[:32]


def record(course: Course, found: Sequence[Percents], *, now: datetime) -> int:
    """Record which thresholds learners reached, and fell below, and whom to tell; return how many were reached.

    *found* are the percents of a learner below all blocks of the types that have thresholds. The caller holds the
    transaction and the locks of the learners: nobody else looks at their crossings meanwhile. Without percents there is
    no query. Raises ImproperlyConfigured.
    """
    user_ids = [user_id for each in found for user_id in each.user_ids]
    if not user_ids:
        return 0
    known, changes = _known(course.row.pk, user_ids), _Found()
    for each in found:
        for place in _places(course, each, thresholds()):
            _compare(place, known.get((place.key, place.threshold), {}), changes)
    _write(course.row.pk, changes, now=now)
    return len(changes.new)


def percents_of(batch: Batch, groups: Iterable[Group]) -> list[Percents]:
    """Return the percents of a batch that ``record`` looks at; none where there are no thresholds."""
    wanted = thresholds()
    return [_percents(batch, group, wanted) for group in groups] if wanted else []


def _percents(batch: Batch, group: Group, types: Collection[str]) -> Percents:
    tallies, blocks = group.tallies, group.tallies.view.aggregators
    rows = np.flatnonzero(batch.course.graph.of_types(types)[blocks])
    return Percents(
        blocks=blocks[rows].tolist(),
        user_ids=[batch.states[row].user_id for row in group.learners.tolist()],
        percent=tallies.percent[rows],
        counts=tallies.possible[rows] > 0,
    )


@dataclass(frozen=True, eq=False)
class _Place:
    """A block, a threshold, and some learners: ``counts`` where anything is possible for the learner."""

    key: str
    type: str
    threshold: float
    user_ids: Sequence[int]
    percent: NDArray[np.float64]
    counts: NDArray[np.bool_]


def _places(course: Course, found: Percents, wanted: Mapping[str, Sequence[float]]) -> Iterator[_Place]:
    for row, block in enumerate(found.blocks):
        key, kind = course.keys[block], course.types[block]
        for threshold in wanted.get(kind, ()):
            yield _Place(key, kind, threshold, found.user_ids, found.percent[row], found.counts[row])


def _compare(place: _Place, known: Mapping[int, _Known], found: _Found) -> None:
    reached = place.percent >= place.threshold
    for learner in np.flatnonzero(reached & place.counts).tolist():
        user_id = place.user_ids[learner]
        before = known.get(user_id)
        if before is None or not before.above:
            number = before.number + 1 if before else 1
            percent = float(place.percent[learner])
            found.new.append((user_id, place.key, place.threshold, number, place.type, percent, str(uuid4())))
    if known:
        below = [place.user_ids[learner] for learner in np.flatnonzero(~reached & place.counts).tolist()]
        found.left += [known[user_id].id for user_id in below if user_id in known and known[user_id].above]


def _known(course_id: int, user_ids: Collection[int]) -> dict[tuple[str, float], dict[int, _Known]]:
    """Return the latest crossings of these learners, by block and threshold, with one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, block_key, threshold, id, number, CASE WHEN left_at IS NULL THEN 1 ELSE 0 END"
            f" FROM {_TABLE} WHERE course_id = %s AND {among('user_id', len(user_ids))} ORDER BY number",
            [course_id, *user_ids],
        )
        rows = cursor.fetchall()
    known: dict[tuple[str, float], dict[int, _Known]] = {}
    for user_id, key, threshold, pk, number, above in rows:
        known.setdefault((key, threshold), {})[user_id] = _Known(pk, number, bool(above))
    return known


def _write(course_id: int, found: _Found, *, now: datetime) -> None:
    for start in range(0, len(found.left), _CHUNK):
        Crossing.objects.filter(pk__in=found.left[start : start + _CHUNK]).update(left_at=now)
    upsert(
        _TABLE, (*_PLACE, "block_type", "percent", "event_id", "reached_at"), _PLACE,
        [(course_id, *row, now) for row in found.new], update=(),
    )  # fmt: skip
    endpoints = _endpoints() if found.new else []
    upsert(
        Delivery._meta.db_table, ("event_id", "endpoint", "due_at", "attempts", "error"), ("event_id", "endpoint"),
        [(event_id, endpoint, now - CLOCKS_DIFFER, 0, "") for *_, event_id in found.new for endpoint in endpoints],
        update=(),
    )  # fmt: skip


def _endpoints() -> list[str]:
    """Return who is to be told."""
    receivers = [RECEIVERS] if threshold_reached.has_listeners() else []
    return receivers + [endpoint_of(each) for each in webhooks()]
