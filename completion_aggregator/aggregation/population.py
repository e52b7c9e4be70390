"""Whose progress there is, or should be, in a course: walked by user id, a bounded number at a time.

Whoever walks has read of a learner who may be retired meanwhile. She is marked in a transaction in which she is still
of the population: who retires her waits for it, and then removes the mark.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import stale, state
from completion_aggregator.aggregation.models import Aggregator, CourseProgress
from completion_aggregator.ports import get_platform
from completion_aggregator.upsert import among

# By the unique key, whose first columns these are.
_WITH_TALLIES: Final = (
    f"SELECT DISTINCT user_id FROM {Aggregator._meta.db_table}"
    " WHERE course_key = %s AND block_key = %s AND user_id > %s ORDER BY user_id LIMIT %s"
)
_BY_ID: Final = f"SELECT user_id FROM {Aggregator._meta.db_table} {{index}}"


class Stretch(NamedTuple):
    """Usernames by user id, ascending; ``last``: the id to look on from, None when there is nobody left.

    A user who was deleted by SQL is passed over, whatever there is of her.
    """

    names: dict[int, str]
    last: int | None


class Population:
    """The learners with an active enrollment, with a vector, or with a tally of the course as a whole.

    The last are those from before an upgrade, too. Who has none of these is not found, whatever she completed: no
    index of the completions leads to the learners of a course. Ids of the enrolled are read once, eight bytes each.
    """

    def __init__(self, course_key: CourseKey, root_key: str) -> None:
        self._course, self._root = str(course_key), root_key
        self._progress = CourseProgress.objects.filter(course__course_key=course_key).exclude(graph_version="")
        self._enrolled = np.fromiter(get_platform().enrolled_user_ids(course_key), dtype=np.int64)

    def after(self, user_id: int, limit: int) -> Stretch:
        """Return the next users, at most *limit*, with three queries."""
        start = int(np.searchsorted(self._enrolled, user_id, side="right"))
        built = self._progress.filter(user_id__gt=user_id).order_by("user_id").values_list("user_id", flat=True)
        with connection.cursor() as cursor:
            cursor.execute(_WITH_TALLIES, [self._course, self._root, user_id, limit])
            tallied = [pk for (pk,) in cursor.fetchall()]
        found = (self._enrolled[start : start + limit], _ids(list(built[:limit])), _ids(tallied))
        ids: list[int] = np.unique(np.concatenate(found))[:limit].tolist()
        model = get_user_model()
        named = model._default_manager.filter(pk__in=ids).order_by("pk").values_list("pk", model.USERNAME_FIELD)
        return Stretch(dict(named), ids[-1] if ids else None)


def mark(course_key: CourseKey, names: Mapping[int, str], *, forced: Collection[int] = ()) -> int:
    """Mark everything of those of these learners who are still of the population; *forced*: by force. Return how many.

    At most five queries, and one for the rows of each kind.
    """
    with transaction.atomic():
        marked, there = 0, keep(course_key, names)
        for force in (False, True):
            chosen = {name: pk for pk, name in names.items() if pk in there and (pk in forced) is force}
            marked += stale.mark_many(course_key, dict.fromkeys(chosen), user_ids=chosen, force=force)
    return marked


def keep(course_key: CourseKey, user_ids: Collection[int]) -> set[int]:
    """Return who of these learners is of the population, by what is stored until this transaction ends.

    Of whoever is enrolled nothing is locked: she is worked out anew anyway, retired or not.
    """
    stored = CourseProgress.objects.filter(course__course_key=course_key, user_id__in=user_ids)
    courses = dict(stored.values_list("user_id", "course_id"))
    there = set[int]()
    if courses:
        (course_id,) = set(courses.values())
        there = {each.user_id for each in state.lock(course_id, list(courses), wait=True, aside=True)}
    for others in (_enrolled, _tallied):
        if rest := [user_id for user_id in user_ids if user_id not in there]:
            there |= others(course_key, rest)
    return there


def readdress(course_key: CourseKey, usernames: Collection[str], *, now: datetime) -> int:
    """Let the stale rows of these names that are of somebody else wait for the name that she has now.

    Rows of nobody are resolved, for their completions went with the user; so are those of users who are not of the
    population, as who was retired. Return how many were resolved.
    """
    found = stale.astray(course_key, usernames) if usernames else {}
    if not found:
        return 0
    model = get_user_model()
    with transaction.atomic():
        there = keep(course_key, {user_id for user_id in found.values() if user_id is not None})
        named = model._default_manager.filter(pk__in=there).values_list("pk", model.USERNAME_FIELD)
        names: dict[int, str] = dict(named)
        for user_id, username in names.items():
            stale.readdress([row for row, of in found.items() if of == user_id], user_id, username)
        nobodys = [row for row, of in found.items() if of not in names]
        stale.resolve(nobodys, now=now)
    return len(nobodys)


def _enrolled(course_key: CourseKey, user_ids: Collection[int]) -> set[int]:
    users = get_user_model()._default_manager.filter(pk__in=user_ids)
    return set(users.filter(pk__in=get_platform().enrollments(course_key)).values_list("pk", flat=True))


def _tallied(course_key: CourseKey, user_ids: Collection[int]) -> set[int]:
    """Return who of these has a tally of the course, and lock it."""
    rows = Aggregator.objects.filter(user_id__in=user_ids, aggregation_name="course", course_key=course_key)
    ids = sorted(rows.values_list("pk", flat=True))
    if not ids:
        return set()
    index = "FORCE INDEX (PRIMARY)" if connection.vendor == "mysql" else ""
    suffix = "FOR UPDATE" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        # By their ids, so that nothing else is locked, and in that order.
        cursor.execute(f"{_BY_ID.format(index=index)} WHERE {among('id', len(ids))} ORDER BY id {suffix}", ids)
        return {user_id for (user_id,) in cursor.fetchall()}


def _ids(found: list[int]) -> NDArray[np.int64]:
    return np.array(found, dtype=np.int64)
