"""Our state: a row per learner and course, with the completion vector. Its lock makes a worker the only writer."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, Self

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import stale
from completion_aggregator.aggregation.attempts import again
from completion_aggregator.aggregation.models import AggregatedCourse, CourseProgress
from completion_aggregator.conf import setting
from completion_aggregator.course_graph.coverage import bytes_for
from completion_aggregator.exceptions import storable
from completion_aggregator.upsert import upsert

TABLE: Final = CourseProgress._meta.db_table
_KEY: Final = ("course_id", "user_id")
_FIRST: Final = (
    "vector", "earned", "possible", "percent", "optional_earned", "optional_possible", "graph_version", "profile",
    "view", "unnumbered", "begun", "leaf_count", "attempts", "error",
)  # fmt: skip
_FIRST_VALUES: Final = (0.0, 0.0, 0.0, 0.0, 0.0, "", "", "", False, False, 0, 0, "")
#: Bytes that a row grows by when it is first stored, its bitmap apart.
_GROWTH: Final = 100


@dataclass(frozen=True, slots=True)
class State:
    """A learner's row as stored."""

    user_id: int
    vector: bytes
    tally: tuple[float, float, float, float, float]
    last_modified: datetime | None
    last_activity: datetime | None
    graph_version: str
    profile: str
    view: str
    valid_until: datetime | None
    unnumbered: bool
    begun: bool
    leaf_count: int
    attempts: int

    @classmethod
    def new(cls, user_id: int) -> Self:
        """Return the row of a learner who has none."""
        return cls(user_id, b"", (0.0, 0.0, 0.0, 0.0, 0.0), None, None, "", "", "", None, False, False, 0, 0)  # noqa: FBT003

    @property
    def built(self) -> bool:
        """Whether a refresh has ever stored this row."""
        return bool(self.graph_version)


class Packed(NamedTuple):
    """What tallies are made from, of a learner's row; without a vector until it is ``built``."""

    vector: bytes
    begun: bool
    built: bool


COLUMNS: Final = (
    "user_id", "vector", "earned", "possible", "percent", "optional_earned", "optional_possible", "last_modified",
    "last_activity", "graph_version", "profile", "view", "valid_until", "unnumbered", "begun", "leaf_count",
    "attempts",
)  # fmt: skip
_PACKED: Final = ("user_id", "vector", "begun", "graph_version")
_MOMENTS: Final = [COLUMNS.index(name) for name in ("last_modified", "last_activity", "valid_until")]
_FLAGS: Final = [COLUMNS.index(name) for name in ("unnumbered", "begun")]

# Left to itself the optimiser may read, and so lock, every learner of a small course. Joined in this order it looks up
# the rows asked for and no others, one by one, by user id.
_LOCK_MYSQL: Final = (
    f"SELECT STRAIGHT_JOIN {', '.join(f'p.{name}' for name in COLUMNS)}"
    f" FROM JSON_TABLE(%s, '$[*]' COLUMNS (user_id BIGINT PATH '$')) j"
    f" JOIN {TABLE} p ON p.course_id = %s AND p.user_id = j.user_id"
    " WHERE (p.set_aside_at IS NULL OR %s) FOR UPDATE"
)


def ensure(course_id: int, user_ids: Collection[int], *, leaves: int = 0) -> None:
    """Make sure that these learners, in a course of so many *leaves*, have a row to lock.

    Rows that exist are only read: to write them, even as they are, would wait for the worker that holds them. New ones
    are as long as they are going to be: pages of a table split where rows grow, and stay half empty.
    """
    rows = CourseProgress.objects.filter(course_id=course_id, user_id__in=user_ids)
    present = set(rows.values_list("user_id", flat=True))
    room = bytes(bytes_for(leaves) + _GROWTH)
    new = [(course_id, user_id, room, *_FIRST_VALUES) for user_id in user_ids if user_id not in present]
    upsert(TABLE, (*_KEY, *_FIRST), _KEY, new, update=())


def lock(course_id: int, user_ids: Collection[int], *, wait: bool = False, aside: bool = False) -> list[State]:
    """Lock and return the rows of these learners; without *wait*, of those that no other worker has.

    Learners who are set aside are left out without *aside*. The lock lasts until the transaction ends, however it ends.
    """
    skip = not wait and connection.features.has_select_for_update_skip_locked
    if connection.vendor == "mysql":
        return _lock_mysql(course_id, user_ids, skip=skip, aside=aside)
    rows = CourseProgress.objects.filter(course_id=course_id, user_id__in=user_ids)
    if not aside:
        rows = rows.filter(set_aside_at__isnull=True)
    rows = rows.select_for_update(skip_locked=skip).order_by("user_id")
    return [_state(row) for row in rows.values_list(*COLUMNS)]


def of_learners(course_id: int, user_ids: Collection[int]) -> dict[int, State]:
    """Return the rows of these learners, by user id, as they are."""
    rows = CourseProgress.objects.filter(course_id=course_id, user_id__in=user_ids)
    return {state.user_id: state for state in map(_state, rows.values_list(*COLUMNS))}


def packed(course_id: int, user_ids: Collection[int]) -> dict[int, Packed]:
    """Return so much of the rows of these learners, by user id, as tallies are made from."""
    rows = CourseProgress.objects.filter(course_id=course_id, user_id__in=user_ids)
    return _packed(rows.values_list(*_PACKED))


def packed_of_class(course_key: CourseKey, user_ids: Collection[int]) -> tuple[AggregatedCourse, dict[int, Packed]]:
    """Return the same, and so much of the course's own row as leaf numbers need: one query.

    The course's row is not saved where no learner has one.
    """
    rows = CourseProgress.objects.filter(course__course_key=course_key, user_id__in=user_ids)
    found = list(rows.values_list(*_PACKED, "course_id", "course__leaf_count"))
    if not found:
        return AggregatedCourse(course_key=course_key), {}
    *_, course_id, leaf_count = found[0]
    course = AggregatedCourse(pk=course_id, course_key=course_key, leaf_count=leaf_count)
    return course, _packed(row[:-2] for row in found)


def touched_courses(user_id: int, username: str, course_keys: Collection[CourseKey]) -> set[CourseKey]:
    """Return in which of these courses the learner has begun, or something of hers waits: one query."""
    begun = CourseProgress.objects.filter(user_id=user_id, course__course_key__in=course_keys, begun=True)
    courses = begun.values_list("course__course_key", flat=True)
    return {key for key in courses.union(stale.courses_of(username, course_keys)) if key is not None}


def stored_among(course_key: CourseKey, user_ids: Collection[int]) -> set[int]:
    """Return which of these learners have a row in this course."""
    rows = CourseProgress.objects.filter(course__course_key=course_key, user_id__in=user_ids)
    return set(rows.values_list("user_id", flat=True))


def store(course_id: int, states: Sequence[State], *, now: datetime) -> None:
    """Write rows that ``lock`` returned; they are whole again, whatever failed before."""
    columns = (*_KEY, *COLUMNS[1:], "as_of", "error")
    rows = [
        (
            course_id, s.user_id, s.vector, *s.tally, s.last_modified, s.last_activity, s.graph_version, s.profile,
            s.view, s.valid_until, s.unnumbered, s.begun, s.leaf_count, 0, now, "",
        )
        for s in states
    ]  # fmt: skip
    upsert(TABLE, columns, _KEY, rows)


def remove_empty(course_id: int, states: Collection[State]) -> None:
    """Remove those of these locked rows that are as ``ensure`` made them: they hold nothing."""
    empty = [each.user_id for each in states if each == State.new(each.user_id)]
    if empty:
        CourseProgress.objects.filter(course_id=course_id, user_id__in=empty)._raw_delete(connection.alias)


def record_failure(course_id: int, user_id: int, error: str) -> bool:
    """Count a failed refresh; set the learner aside after ``MAX_ATTEMPTS``. Return whether that happened."""
    row = CourseProgress.objects.filter(course_id=course_id, user_id=user_id)
    row.update(attempts=F("attempts") + 1, error=storable(error))
    worn_out = row.filter(attempts__gte=setting("MAX_ATTEMPTS"), set_aside_at__isnull=True)
    return bool(worn_out.update(set_aside_at=timezone.now()))


def set_aside(course_id: int) -> tuple[str, ...]:
    """Return the usernames of the learners set aside in this course."""
    ids = CourseProgress.objects.filter(course_id=course_id, set_aside_at__isnull=False).values("user_id")
    model = get_user_model()
    return tuple(model._default_manager.filter(pk__in=ids).values_list(model.USERNAME_FIELD, flat=True))


def failing(course_id: int, usernames: Collection[str]) -> tuple[str, ...]:
    """Return which of these learners failed in their last refresh in this course."""
    ids = CourseProgress.objects.filter(course_id=course_id, attempts__gt=0).values("user_id")
    model = get_user_model()
    named = model._default_manager.filter(**{f"{model.USERNAME_FIELD}__in": usernames}, pk__in=ids)
    return tuple(named.values_list(model.USERNAME_FIELD, flat=True))


def set_valid_until(course_id: int, user_ids: Collection[int], moment: datetime | None) -> None:
    """Note when the trees of these learners, whose rows are locked, change by themselves."""
    CourseProgress.objects.filter(course_id=course_id, user_id__in=user_ids).update(valid_until=moment)


def take_back(course_id: int | None = None) -> int:
    """Let the learners who were set aside, in this course or in all, try again. Return how many."""
    rows = CourseProgress.objects.filter(set_aside_at__isnull=False)
    if course_id is not None:
        rows = rows.filter(course_id=course_id)
    return rows.update(set_aside_at=None, attempts=0)


def mark_expired(*, now: datetime) -> int:
    """Mark the learners for whom a release date has passed since their refresh. Return how many."""
    due = CourseProgress.objects.filter(valid_until__lt=now).values("course_id").distinct()
    return sum(_mark_expired(course, now=now) for course in AggregatedCourse.objects.filter(pk__in=due))


def _mark_expired(course: AggregatedCourse, *, now: datetime) -> int:
    return sum(again(partial(_mark_some, course, user_ids, now=now)) for user_ids in _due(course.pk, now=now))


def _mark_some(course: AggregatedCourse, user_ids: Collection[int], *, now: datetime) -> int:
    model = get_user_model()
    with transaction.atomic():
        # Whoever was retired since has no row any more; who is retired now waits, and then removes the mark.
        there = [each.user_id for each in lock(course.pk, user_ids, wait=True, aside=True)]
        ids = dict(model._default_manager.filter(pk__in=there).values_list(model.USERNAME_FIELD, "pk"))
        marked = stale.mark_many(course.course_key, dict.fromkeys(ids), user_ids=ids, now=now)
        # Marked once is enough: the refresh works out the next date.
        CourseProgress.objects.filter(course_id=course.pk, user_id__in=user_ids).update(valid_until=None)
    return marked


def _due(course_id: int, *, now: datetime) -> Iterator[list[int]]:
    due = CourseProgress.objects.filter(course_id=course_id, valid_until__lt=now).order_by("user_id")
    while user_ids := list(due.values_list("user_id", flat=True)[: setting("BATCH_SIZE")]):
        yield user_ids


def _lock_mysql(course_id: int, user_ids: Collection[int], *, skip: bool, aside: bool) -> list[State]:
    with connection.cursor() as cursor:
        statement = _LOCK_MYSQL + (" SKIP LOCKED" if skip else "")
        cursor.execute(statement, [json.dumps(sorted(user_ids)), course_id, aside])
        rows = list(map(list, cursor.fetchall()))
    # What Django's fields make of the values that the driver returns.
    zone = connection.timezone
    for row in rows:
        for at in _MOMENTS:
            row[at] = row[at] and row[at].replace(tzinfo=zone)
        for at in _FLAGS:
            row[at] = bool(row[at])
    return list(map(_state, rows))


def _packed(rows: Iterable[Sequence[Any]]) -> dict[int, Packed]:
    return {
        user_id: Packed(bytes(vector) if version else b"", begun, bool(version))
        for user_id, vector, begun, version in rows
    }


def _state(row: Sequence[Any]) -> State:
    user_id, vector, *rest = row
    state = State(user_id, bytes(vector), tuple(rest[:5]), *rest[5:])
    # Until then there is room for a vector, and none.
    return state if state.built else replace(state, vector=b"")
