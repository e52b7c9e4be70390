"""What people write: posts, responses, notes. Open tables get the length of it, the private store the text."""

from typing import Any

from completion_aggregator.tracking.batch import Batch


def take_text(payload: dict[str, Any], key: str, kind: str, batch: Batch) -> int | None:
    """Take a free text out of a payload, into the private table if the site keeps texts; return its length.

    What stands there and is no text is dropped: nobody knows what somebody wrote in it.
    """
    value = payload.pop(key, None)
    if not isinstance(value, str):
        return None
    keep(value, kind, batch)
    return len(value)


def take_query(payload: dict[str, Any], key: str, batch: Batch) -> str | None:
    """Take out what was searched for, without the searcher's own name."""
    value = payload.pop(key, None)
    if not isinstance(value, str) or not value.strip():
        return None
    keep(value, "query", batch)
    return batch.clean(value)


def keep(text: str, kind: str, batch: Batch) -> None:
    """Put a text into the private table, if the site keeps texts."""
    if text and batch.keeps_text:
        batch.text.append((batch.row, kind, text))
