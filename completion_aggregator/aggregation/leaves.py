"""Leaf numbers: what a course's completion vectors count by. Handed out once per block, in one growing sequence."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

import numpy as np
from django.db import IntegrityError, connection, transaction
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.models import AggregatedCourse, CourseLeaf
from completion_aggregator.conf import setting
from completion_aggregator.upsert import upsert


@dataclass(frozen=True, eq=False)
class LeafNumbers:
    """The leaf numbers of one course as far as they went when read."""

    course_id: int
    numbers: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.numbers)

    def of(self, keys: Collection[str]) -> NDArray[np.intp]:
        """Return the numbers of *keys*, each of which must have one."""
        return np.fromiter((self.numbers[key] for key in keys), dtype=np.intp, count=len(keys))

    def find(self, keys: Collection[str]) -> NDArray[np.intp]:
        """Return the numbers of *keys*, -1 for one that has none yet."""
        return np.fromiter((self.numbers.get(key, -1) for key in keys), dtype=np.intp, count=len(keys))


class _Cache:
    """The numbers of recent courses, by course row: they only grow, so as many as the row says is all of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, LeafNumbers] = OrderedDict()
        self._lock = Lock()

    def get(self, course_id: int, leaf_count: int) -> LeafNumbers | None:
        with self._lock:
            known = self._known.get(course_id)
            return known if known is not None and len(known) == leaf_count else None

    def put(self, numbers: LeafNumbers) -> None:
        with self._lock:
            self._known[numbers.course_id] = numbers
            self._known.move_to_end(numbers.course_id)
            while len(self._known) > setting("GRAPH_CACHE_SIZE"):
                self._known.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()


_cache: Final = _Cache()
forget: Final = _cache.clear


def course_row(course_key: CourseKey) -> AggregatedCourse:
    """Return our row of the course, made now if need be."""
    row = AggregatedCourse.objects.filter(course_key=course_key).first()
    if row is None:
        take_in([course_key])
        row = AggregatedCourse.objects.get(course_key=course_key)
    return row


def take_in(course_keys: Collection[CourseKey]) -> None:
    """Make sure that each of these courses has a row of ours."""
    rows = [(str(course_key), 0, 0, "", 0) for course_key in course_keys]
    upsert(AggregatedCourse._meta.db_table, _COURSE_COLUMNS, ("course_key",), rows, update=())


def known(row: AggregatedCourse) -> LeafNumbers:
    """Return the numbers that the course has handed out."""
    return _cache.get(row.pk, row.leaf_count) or _kept(_read(row.pk))


def provisional(numbers: LeafNumbers, keys: Collection[str]) -> LeafNumbers:
    """Return the numbers as they would be after ``number``, for a look at vectors that writes nothing."""
    new = [key for key in dict.fromkeys(keys) if key not in numbers.numbers]
    added = {key: len(numbers) + nth for nth, key in enumerate(new)}
    return LeafNumbers(numbers.course_id, {**numbers.numbers, **added}) if new else numbers


def number(row: AggregatedCourse, keys: Collection[str]) -> LeafNumbers:
    """Return the numbers of the course, after giving one to each of *keys* that has none.

    Two processes that find the same new leaf wait for each other here, and only here.
    """
    numbers = known(row)
    if all(key in numbers.numbers for key in keys):
        return numbers
    with transaction.atomic():
        locked = AggregatedCourse.objects.select_for_update().get(pk=row.pk)
        numbers = _read(row.pk, lock=True)
        new = [key for key in dict.fromkeys(keys) if key not in numbers.numbers]
        rows = [(row.pk, len(numbers) + nth, key) for nth, key in enumerate(new)]
        upsert(
            CourseLeaf._meta.db_table, ("course_id", "number", "block_key"), ("course_id", "number"), rows, update=()
        )
        numbers = _read(row.pk, lock=True)
        if not all(key in numbers.numbers for key in new):
            raise IntegrityError(f"The leaf numbers of course {row.course_key} have holes: were rows deleted by hand?")
        locked.leaf_count = len(numbers)
        locked.save(update_fields=["leaf_count"])
    row.leaf_count = locked.leaf_count
    return _kept(numbers)


def _kept(numbers: LeafNumbers) -> LeafNumbers:
    # In a transaction these may be numbers of its own, which nobody ever gets if it is undone.
    transaction.on_commit(lambda: _cache.put(numbers))
    return numbers


_COURSE_COLUMNS: Final = ("course_key", "leaf_count", "failures", "error", "reconcile_after")


def _read(course_id: int, *, lock: bool = False) -> LeafNumbers:
    """Return the numbers; with *lock*, as the newest transaction left them, whatever ours has seen before."""
    suffix = " FOR UPDATE" if lock and connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT block_key, number FROM {CourseLeaf._meta.db_table} WHERE course_id = %s ORDER BY number{suffix}",
            [course_id],
        )
        return LeafNumbers(course_id, dict(cursor.fetchall()))
