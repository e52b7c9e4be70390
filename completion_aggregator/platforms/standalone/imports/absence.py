"""What a file that is said to hold everything does not hold: completions that the LMS has no more."""

from array import array
from collections.abc import Collection, Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Final

import numpy as np
from completion.models import BlockCompletion
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.imports.attempts import in_transaction
from completion_aggregator.platforms.standalone.imports.facts import Pair

ROWS_PER_READ: Final = 10_000
ROWS_PER_DELETE: Final = 500


class Seen:
    """The pairs that a file names, of each of its courses: eight bytes each, for a course may have millions.

    Of some 10^19 numbers two pairs may get the same; then a completion stays that should go.
    """

    def __init__(self) -> None:
        self._numbers: dict[CourseKey, array[int]] = {}

    def add(self, course_key: CourseKey, pairs: Collection[Pair]) -> None:
        """Note some pairs of a course."""
        numbers = self._numbers.setdefault(course_key, array("Q"))
        numbers.extend(map(_number, pairs))

    def courses(self) -> Iterator[tuple[CourseKey, NDArray[np.uint64]]]:
        """Yield the courses, each with its numbers in order."""
        for course_key, numbers in self._numbers.items():
            yield course_key, np.unique(np.frombuffer(numbers, dtype=np.uint64))


def delete_absent(seen: Seen, *, as_of: datetime) -> int:
    """Delete the completions of these courses that were not seen and are not newer than *as_of*. Return how many."""
    return sum(_delete_absent(course_key, numbers, as_of) for course_key, numbers in seen.courses())


def _delete_absent(course_key: CourseKey, seen: NDArray[np.uint64], as_of: datetime) -> int:
    deleted, after = 0, 0
    rows = BlockCompletion.objects.filter(context_key=course_key, modified__lte=as_of).order_by("id")
    columns = ("id", "user_id", "block_key", "user__username")
    while some := list(rows.filter(id__gt=after).values_list(*columns)[:ROWS_PER_READ]):
        after = some[-1][0]
        numbers = np.array([_number((user, str(block))) for _, user, block, _ in some], dtype=np.uint64)
        absent = [some[at] for at in np.flatnonzero(~np.isin(numbers, seen))]
        for start in range(0, len(absent), ROWS_PER_DELETE):
            chunk = absent[start : start + ROWS_PER_DELETE]
            deleted += in_transaction(lambda: _delete(course_key, chunk, as_of))  # noqa: B023
    return deleted


def _delete(course_key: CourseKey, rows: list[tuple[int, int, object, str]], as_of: datetime) -> int:
    # Asked for the time again: an event may have changed one since it was read.
    ids = [row for row, *_ in rows]
    deleted = BlockCompletion.objects.filter(id__in=ids, modified__lte=as_of)._raw_delete("default")
    changes: dict[str, set[str]] = {}
    for _, _, block, username in rows:
        changes.setdefault(username, set()).add(str(block))
    aggregation.mark_stale_many(course_key, changes)
    return int(deleted)


def _number(pair: Pair) -> int:
    return int.from_bytes(blake2b(f"{pair[0]} {pair[1]}".encode(), digest_size=8).digest(), "little")
