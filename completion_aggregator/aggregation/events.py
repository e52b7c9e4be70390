"""Progress events for the tracking log: one for each row that changed, sent when the change is committed."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from django.contrib.auth import get_user_model
from django.db import transaction
from eventtracking import tracker
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import setting

NAME: Final = "openedx.completion_aggregator.progress.{block_type}"


class Change(NamedTuple):
    """A row that was written: a tuple, for a first refresh makes a quarter of a million."""

    user_id: int
    block_key: str
    block_type: str
    earned: float
    possible: float
    percent: float


def wanted_types() -> frozenset[str]:
    """Return the block types whose changes are told; they must be projected, for a change to be seen at all."""
    return frozenset(setting("TRACKING_EVENT_TYPES") or ())


def emit_on_commit(course_key: CourseKey, changes: Collection[Change], *, now: datetime) -> None:
    """Send an event for each of *changes* that is of a wanted type, once the transaction is committed.

    A tracking backend that fails is logged; it cannot undo what is stored.
    """
    types = wanted_types()
    told = [change for change in changes if change.block_type in types]
    if not told:
        return
    transaction.on_commit(lambda: emit(course_key, told, now=now), robust=True)


def emit(course_key: CourseKey, changes: Collection[Change], *, now: datetime) -> None:
    """Send an event for each of *changes*, now."""
    model = get_user_model()
    users = model._default_manager.filter(pk__in={change.user_id for change in changes})
    usernames = dict(users.values_list("pk", model.USERNAME_FIELD))
    for change in changes:
        tracker.emit(
            NAME.format(block_type=change.block_type),
            {
                "user_id": change.user_id,
                "username": usernames.get(change.user_id, ""),
                "course_id": str(course_key),
                "block_id": change.block_key,
                "modified": now,
                "created": now,
                "earned": change.earned,
                "possible": change.possible,
                "percent": change.percent,
                "type": change.block_type,
            },
        )
