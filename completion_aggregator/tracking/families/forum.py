"""Discussions. Who wrote is the event's person; whose post it was is not kept."""

from functools import lru_cache
from typing import Any, Final

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.families.writing import take_query, take_text
from completion_aggregator.tracking.values import take_integer, take_term

_LEVELS: Final = frozenset({"thread", "response", "comment"})
_MOSTLY_EMPTY: Final = ("user_course_roles", "user_forums_roles", "group_id", "team_id")
_NOTHING: Final[tuple[Any, ...]] = (None, "", [])


def posted(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what was done with a thread, a response or a comment."""
    take_text(payload, "title", "title", batch)
    length = take_text(payload, "body", "body", batch)
    response, discussion = payload.pop("response", None), payload.pop("discussion", None)
    parent = (_id_in(response) if response else None) or (_id_in(discussion) if discussion else None)
    item, topic = take_term(payload, "id", batch.clean), take_term(payload, "commentable_id", batch.clean)
    topic = _drop_duplicates(payload, topic, batch)
    batch.forum.append((batch.row, action, _level(batch.name), item, parent, topic, length, None, None))
    return ""


def searched(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a search: its words without the searcher's own name."""
    query = take_query(payload, "query", batch)
    corrected = payload.pop("corrected_text", None)
    if isinstance(corrected, str) and corrected:
        payload["corrected_query"] = batch.clean(corrected)
    _drop_duplicates(payload, None, batch)
    results = take_integer(payload, "total_results")
    batch.forum.append((batch.row, action, None, None, None, None, None, query, results))
    return ""


@lru_cache(maxsize=1024)
def _level(name: str) -> str | None:
    """Return what an event is about: ``edx.forum.<level>.<what was done>``."""
    level = name.split(".", 3)[2] if name.count(".") > 1 else ""
    return level if level in _LEVELS else None


def _id_in(post: object) -> str | None:
    found = post.get("id") if isinstance(post, dict) else None
    return found if isinstance(found, str) and found else None


def _drop_duplicates(payload: dict[str, Any], topic: str | None, batch: Batch) -> str | None:
    """Take out whose post it was, and what other columns say; return the topic."""
    payload.pop("target_username", None)
    payload.pop("url", None)  # the course, the topic and the post
    category = take_term(payload, "category_id", batch.clean)
    if category is not None and topic is not None and category != topic:
        payload["category_id"] = category
    for key in _MOSTLY_EMPTY:
        if key in payload and payload[key] in _NOTHING:
            del payload[key]
    if "course_id" in payload and payload["course_id"] == batch.course:
        del payload["course_id"]
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
