"""What is ours of a learner: removed for good, or handed to another account; of a course that is gone: removed.

To do it again changes nothing.
"""

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import Model, QuerySet
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import stale
from completion_aggregator.aggregation.attempts import TRIES, again
from completion_aggregator.aggregation.models import (
    AggregatedCourse,
    Aggregator,
    CourseContent,
    CourseLeaf,
    CourseProgress,
    CourseTree,
    Crossing,
    Delivery,
)
from completion_aggregator.ports import get_platform

log = logging.getLogger(__name__)

_CHUNK: Final = 5000


@dataclass(frozen=True, slots=True)
class Holdings:
    """How many rows of ours are of one learner, by what they hold."""

    tallies: int = 0
    progress: int = 0
    crossings: int = 0
    deliveries: int = 0
    stale: int = 0

    def __add__(self, other: "Holdings") -> "Holdings":
        return Holdings(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def holdings(username: str) -> Holdings:
    """Count what is ours of the learner of this name; whoever has it no more may still have stale rows."""
    user_id = stale.user_ids([username]).get(username)
    queue = Holdings(stale=stale.count_of(username, user_id))
    if user_id is None:
        return queue
    return queue + Holdings(
        tallies=Aggregator.objects.filter(user_id=user_id).count(),
        progress=CourseProgress.objects.filter(user_id=user_id).count(),
        crossings=Crossing.objects.filter(user_id=user_id).count(),
        deliveries=Delivery.objects.filter(crossing__user_id=user_id).count(),
    )


def retire(user: AbstractBaseUser) -> Holdings:
    """Remove everything of ours of a learner, a course or a bounded number of rows at a time; return what went.

    Nothing comes back by itself, unless she is still enrolled or her completions change after this. Completions are
    not ours to remove.
    """
    username, user_id = user.get_username(), user.pk
    removed = _remove(username, user_id)
    if connection.in_atomic_block:
        # A transaction may go on seeing what it saw at first, and not what a worker has committed since.
        transaction.on_commit(lambda: _remove(username, user_id))
    return removed


def retire_name(username: str) -> Holdings:
    """Remove the stale rows of a name, whether or not somebody has it."""
    return Holdings(stale=again(lambda: stale.delete_of(username)))


def retire_course(course_key: CourseKey) -> Holdings:
    """Remove everything of ours of a course, a bounded number of rows at a time; return what went.

    For a course that the platform does not have any more. Should it come back, its learners are worked out anew from
    their completions, and of thresholds that they reached is told again.
    """
    of_it, of_its = {"course_key": course_key}, {"course__course_key": course_key}
    removed = Holdings(
        stale=stale.delete_of_course(course_key),
        tallies=_delete(Aggregator.objects.filter(**of_it)),
        deliveries=_delete(Delivery.objects.filter(crossing__course__course_key=course_key)),
        crossings=_delete(Crossing.objects.filter(**of_its)),
        progress=_delete(CourseProgress.objects.filter(**of_its)),
    )
    _delete(CourseTree.objects.filter(**of_its))
    _delete(CourseLeaf.objects.filter(**of_its))
    _delete(CourseContent.objects.filter(**of_it))
    _delete(AggregatedCourse.objects.filter(**of_it))
    log.info("retired course=%s rows=%s", course_key, removed)
    return removed


def reassign(username: str, to: AbstractBaseUser) -> tuple[Holdings, list[CourseKey]]:
    """Hand what waits for a name to another account, and remove the rest of what is ours of it.

    Both are worked out anew, from the completions that each has by then, in the courses that are returned: the account
    that had the name where it is still enrolled.
    """
    user = _user(username)
    courses = _courses_of(username, user)
    heir = {to.get_username(): to.pk}
    with transaction.atomic():
        for course_key in courses:
            stale.mark_many(course_key, dict.fromkeys(heir), user_ids=heir)
        stale.hand_over(username, None if user is None else user.pk, to=to.get_username(), to_id=to.pk)
    removed = retire_name(username) if user is None else retire(user)
    for course_key in courses:
        if user is not None and get_platform().is_enrolled(course_key, user.pk):
            name = user.get_username()
            stale.mark_learners(course_key, [name], user_ids={name: user.pk})
    return removed, courses


def _remove(username: str, user_id: int) -> Holdings:
    """Remove everything of a learner, again and again until nothing is found.

    Who had a row of hers locked may have marked her meanwhile. Rows of the queue go last, after the lock, as a worker
    takes them; one that has claimed some before they went, in a course that was new, is found in the next round.
    """
    removed = Holdings()
    for _ in range(TRIES):
        gone = Holdings()
        for course_id in _courses_with_state(user_id):
            gone += again(partial(_retire_from, course_id, user_id))
        gone += Holdings(tallies=again(lambda: _delete(Aggregator.objects.filter(user_id=user_id))))
        gone += Holdings(stale=again(lambda: stale.delete_of(username, user_id)))
        if gone == Holdings():
            break
        removed += gone
    log.info("retired user=%s rows=%s", user_id, removed)
    return removed


def _user(username: str) -> AbstractBaseUser | None:
    user_id = stale.user_ids([username]).get(username)
    return None if user_id is None else get_user_model()._default_manager.filter(pk=user_id).first()


def _courses_of(username: str, user: AbstractBaseUser | None) -> list[CourseKey]:
    found: set[CourseKey | None] = {*stale.courses_waiting_for(username, None if user is None else user.pk)}
    if user is not None:
        found.update(Aggregator.objects.filter(user_id=user.pk).values_list("course_key", flat=True).distinct())
        found.update(CourseProgress.objects.filter(user_id=user.pk).values_list("course__course_key", flat=True))
    return sorted((key for key in found if key is not None), key=str)


def _courses_with_state(user_id: int) -> list[int]:
    crossed = Crossing.objects.filter(user_id=user_id).values_list("course_id", flat=True)
    return sorted({*CourseProgress.objects.filter(user_id=user_id).values_list("course_id", flat=True), *crossed})


def _retire_from(course_id: int, user_id: int) -> Holdings:
    """Remove what is ours of a learner in one course, after the worker that is at it, if one is."""
    mine: dict[str, Any] = {"course_id": course_id, "user_id": user_id}
    course_key = AggregatedCourse.objects.values_list("course_key", flat=True).get(pk=course_id)
    with transaction.atomic():
        list(CourseProgress.objects.select_for_update().filter(**mine).values_list("pk"))
        return Holdings(
            tallies=_delete(Aggregator.objects.filter(user_id=user_id, course_key=course_key)),
            deliveries=_delete(Delivery.objects.filter(crossing__course_id=course_id, crossing__user_id=user_id)),
            crossings=_delete(Crossing.objects.filter(**mine)),
            progress=_delete(CourseProgress.objects.filter(**mine)),
        )


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows by id, as they are found, a bounded number with each statement."""
    model: type[Model] = rows.model
    deleted = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:_CHUNK]):
        deleted += model._default_manager.filter(pk__in=ids)._raw_delete(connection.alias)
    return deleted
