"""Discussions. Who wrote is the event's person; whose post it was is not kept."""

from typing import Any, Final

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.families.writing import take_query, take_text
from completion_aggregator.tracking.values import take_integer, take_term

_LEVELS: Final = frozenset({"thread", "response", "comment"})


def posted(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what was done with a thread, a response or a comment."""
    level = batch.name.split(".", 3)[2] if batch.name.count(".") > 1 else ""
    take_text(payload, "title", "title", batch)
    length = take_text(payload, "body", "body", batch)
    parents = [_id_in(payload.pop(key, None)) for key in ("response", "discussion")]
    item, topic = take_term(payload, "id"), take_term(payload, "commentable_id")
    topic = _drop_duplicates(payload, item, topic, batch)
    batch.forum.append(
        (
            batch.row,
            action,
            level if level in _LEVELS else None,
            item,
            parents[0] or parents[1],
            topic,
            length,
            None,
            None,
        )
    )
    return ""


def searched(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a search: its words without the searcher's own name."""
    query = take_query(payload, "query", batch)
    corrected = payload.pop("corrected_text", None)
    if isinstance(corrected, str) and corrected:
        payload["corrected_query"] = batch.clean(corrected)
    _drop_duplicates(payload, None, None, batch)
    results = take_integer(payload, "total_results")
    batch.forum.append((batch.row, action, None, None, None, None, None, query, results))
    return ""


def _id_in(post: object) -> str | None:
    found = post.get("id") if isinstance(post, dict) else None
    return found if isinstance(found, str) and found else None


def _drop_duplicates(payload: dict[str, Any], item: str | None, topic: str | None, batch: Batch) -> str | None:
    """Take out whose post it was, and what other columns say; return the topic."""
    payload.pop("target_username", None)
    payload.pop("url", None)  # the course, the topic and the post
    category = take_term(payload, "category_id")
    if category is not None and topic is not None and category != topic:
        payload["category_id"] = category
    for key in ("user_course_roles", "user_forums_roles", "group_id", "team_id"):
        if key in payload and payload[key] in (None, "", []):
            del payload[key]
    if payload.get("course_id") == batch.course:
        payload.pop("course_id", None)
    return topic if topic is not None else category


_OF_ALL: Final = {
    "created": "create",
    "edited": "edit",
    "deleted": "delete",
    "reported": "report",
    "unreported": "unreport",
}
_OF_THREADS: Final = {
    "viewed": "view",
    "voted": "vote",
    "locked": "lock",
    "unlocked": "unlock",
    "pinned": "pin",
    "unpinned": "unpin",
    "followed": "follow",
    "unfollowed": "unfollow",
}
_OF_RESPONSES: Final = {
    "voted": "vote",
    "mark": "mark",
    "unmark": "unmark",
}

ACTIONS: Final[dict[str, tuple[str, Transform | None]]] = {
    **{f"edx.forum.thread.{written}": (verb, posted) for written, verb in (_OF_ALL | _OF_THREADS).items()},
    **{f"edx.forum.response.{written}": (verb, posted) for written, verb in (_OF_ALL | _OF_RESPONSES).items()},
    **{f"edx.forum.comment.{written}": (verb, posted) for written, verb in _OF_ALL.items()},
    "edx.forum.searched": ("search", searched),
}
