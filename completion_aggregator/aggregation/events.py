"""Progress events for the tracking log: one for each row that changed, sent when the change is committed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from django.contrib.auth import get_user_model
from django.db import transaction
from eventtracking import tracker
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.projection import Change
from completion_aggregator.conf import setting

NAME: Final = "openedx.completion_aggregator.progress.{block_type}"


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
    model = get_user_model()
    ids = {change.user_id for change in told}
    names = dict(model._default_manager.filter(pk__in=ids).values_list("pk", model.USERNAME_FIELD))
    transaction.on_commit(lambda: _emit(course_key, told, names, now), robust=True)


def _emit(course_key: CourseKey, changes: Sequence[Change], usernames: Mapping[int, str], now: datetime) -> None:
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
