"""Progress events for the tracking log: one for each row that changed, sent when the change is committed."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.contrib.auth import get_user_model
from django.db import transaction
from eventtracking import tracker
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import setting

NAME: Final = "openedx.completion_aggregator.progress.{block_type}"
#: What our part of the tracking context is called, beside that of the request.
CONTEXT: Final = "completion_aggregator.progress"


class Change(NamedTuple):
    """A row that was written: a tuple, for a first refresh may make a quarter of a million."""

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
    """Send an event for each of *changes*, now.

    The tracking context gets the course, from which xAPI statements take their parent, and the learner, unless a
    request is under way that says who acts.
    """
    model, track = get_user_model(), tracker.get_tracker()
    users = model._default_manager.filter(pk__in={change.user_id for change in changes})
    usernames = dict(users.values_list("pk", model.USERNAME_FIELD))
    acting = "user_id" in track.resolve_context()
    course: dict[str, Any] = {"course_id": str(course_key), "org_id": course_key.org}
    with track.context(CONTEXT, course):
        for change in changes:
            if not acting:
                course["user_id"] = change.user_id
            track.emit(NAME.format(block_type=change.block_type), _data(course_key, change, usernames, now))


def _data(course_key: CourseKey, change: Change, usernames: Mapping[int, str], now: datetime) -> dict[str, Any]:
    return {
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
    }
