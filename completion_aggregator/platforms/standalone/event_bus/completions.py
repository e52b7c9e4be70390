"""Completions, out of the tracking log."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.event_bus.accounts import Account, user_of
from completion_aggregator.platforms.standalone.event_bus.effects import Effect
from completion_aggregator.platforms.standalone.event_bus.places import course_key_in, has_content
from completion_aggregator.platforms.standalone.imports.completions import parse_completion
from completion_aggregator.platforms.standalone.imports.courses import UnfitRow, type_in_key
from completion_aggregator.platforms.standalone.imports.facts import Fact, store_newest
from completion_aggregator.platforms.standalone.imports.moments import parse_moment

COMPLETION_CHANGED: Final = "edx.completion.block_completion.changed"
LARGEST_ID: Final = 2**63 - 1
#: Of the completion before the event of it, by clocks of one LMS.
AHEAD: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Told(Fact):
    """A completion as an event gives it: the same event again is no news."""

    def replaces(self, completion: float, modified: datetime, *, now: datetime) -> bool:
        return self.modified is not None and self.modified > modified


def take_tracking_log(log: Any, moment: datetime) -> Effect:
    """Store the completion that an entry of the tracking log tells of, in a transaction. Raises UnfitRow."""
    if log.name != COMPLETION_CHANGED:
        return Effect.IGNORED
    data = _object(log.data)
    if data.get("user_id") is None:
        return Effect.IGNORED  # anonymous
    key = course_key_in(_text(data, "course_id"))
    if key is None:
        return Effect.IGNORED
    account = Account(_id(data["user_id"]), _username(log, data["user_id"]), moment)
    block = _text(data, "block_id")
    fact = _fact(data, type_in_key(block, key), moment)
    is_refreshed, user = has_content(key), user_of(account)
    pair = (user.pk, block)
    if not store_newest(str(key), {pair: fact}, now=fact.modified or moment).written:
        return Effect.UNCHANGED
    if is_refreshed:  # else its import marks everybody
        aggregation.mark_stale_many(key, {user.get_username(): {block}})
    return Effect.WRITTEN


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnfitRow("the data is not JSON") from error
    if not isinstance(found, dict):
        raise UnfitRow("the data is not a JSON object")
    return found


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise UnfitRow(f"{name} is missing")
    return value


def _id(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST_ID:
        raise UnfitRow("user_id is not an id")
    return value


def _fact(data: dict[str, Any], block_type: str, told_at: datetime) -> Fact:
    completion = data.get("completion")
    if isinstance(completion, bool) or not isinstance(completion, int | float):
        raise UnfitRow("the completion is not a number")
    modified = parse_moment(_text(data, "modified"))
    if modified > told_at + AHEAD:
        raise UnfitRow("modified after the event was sent")
    created = parse_moment(_text(data, "created")) if data.get("created") else modified
    return _Told(parse_completion(str(completion)), modified, block_type, created)


def _username(log: Any, user_id: Any) -> str:
    """Return the username in the context, if it is that of the learner and not of somebody who acts for her."""
    try:
        context = json.loads(log.context)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(context, dict) or context.get("user_id") != user_id:
        return ""
    username = context.get("username")
    return username if isinstance(username, str) else ""
