"""Completions as the LMS has them, beside those that we have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.event_bus.lms_api import Answer
from completion_aggregator.platforms.standalone.event_bus.places import has_content
from completion_aggregator.platforms.standalone.imports.attempts import in_transaction
from completion_aggregator.platforms.standalone.imports.courses import UnfitRow, type_in_key
from completion_aggregator.platforms.standalone.imports.facts import Fact, Pair, store_newest
from completion_aggregator.platforms.standalone.models import Enrollment, LmsUser

USERS_PER_READ = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """A completion that is another in the LMS; None: not stored here."""

    block_key: str
    ours: float | None
    theirs: float


def learners_of(course_key: CourseKey, *, after: int = 0) -> Iterator[Any]:
    """Yield the users with an enrollment, by id, from behind *after* on: those whose name in the LMS is known."""
    enrolled = Enrollment.objects.filter(course__course_key=course_key).values("user_id")
    nameless = LmsUser.objects.filter(named_at__isnull=True).values("user_id")
    users = get_user_model()._default_manager.filter(pk__in=enrolled).exclude(pk__in=nameless).order_by("pk")
    while some := list(users.filter(pk__gt=after)[:USERS_PER_READ]):
        yield from some
        after = some[-1].pk


def differences(user: Any, course_key: CourseKey, answer: Answer) -> list[Difference]:
    """Return what is another in the LMS; what changed here since it answered is left alone."""
    rows = BlockCompletion.objects.filter(user=user, context_key=course_key)
    ours: dict[str, tuple[float, datetime]] = {
        str(block): (value, modified)
        for block, value, modified in rows.values_list("block_key", "completion", "modified")
    }
    found = []
    for block, theirs in sorted(answer.completions.items()):
        value, modified = ours.get(block, (None, None))
        # The LMS says 0 of what was never begun.
        if theirs != (value or 0.0) and (modified is None or modified <= answer.as_of):
            found.append(Difference(block, value, theirs))
    return found


def mend(user: Any, course_key: CourseKey, found: list[Difference], *, as_of: datetime) -> int:
    """Take over what the LMS has, unless something newer came meanwhile. Return how many completions changed."""
    facts = dict(_facts(user.pk, course_key, {each.block_key: each.theirs for each in found}, as_of))

    def store() -> int:
        is_refreshed = has_content(course_key)
        written = store_newest(str(course_key), facts, now=as_of).written
        if written and is_refreshed:  # else its import marks everybody
            aggregation.mark_stale_many(course_key, {user.get_username(): {block for _, block in written}})
        return len(written)

    return in_transaction(store)


def _facts(
    user_id: int, course_key: CourseKey, values: Mapping[str, float], as_of: datetime
) -> Iterator[tuple[Pair, Fact]]:
    for block, value in values.items():
        try:
            yield (user_id, block), Fact(value, as_of, type_in_key(block, course_key))
        except UnfitRow:
            continue  # a block that the course borrows from elsewhere
