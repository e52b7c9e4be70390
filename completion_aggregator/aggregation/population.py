"""Whose progress there is, or should be, in a course: walked by user id, a bounded number at a time."""

from typing import Final, NamedTuple

import numpy as np
from django.contrib.auth import get_user_model
from django.db import connection
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.models import Aggregator, CourseProgress
from completion_aggregator.ports import get_platform

# By the unique key, whose first columns these are.
_WITH_TALLIES: Final = (
    f"SELECT DISTINCT user_id FROM {Aggregator._meta.db_table}"
    " WHERE course_key = %s AND block_key = %s AND user_id > %s ORDER BY user_id LIMIT %s"
)


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


def _ids(found: list[int]) -> NDArray[np.int64]:
    return np.array(found, dtype=np.int64)
