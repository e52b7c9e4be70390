"""Events that could not be taken: kept in a table for a while, each once, with the reason."""

import json
import logging
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import attr

from completion_aggregator.platforms.standalone.event_bus.patience import in_patient_transaction
from completion_aggregator.platforms.standalone.models import RejectedEvent

log = logging.getLogger(__name__)

#: Of which nothing is kept: names and addresses of people.
PERSONAL: Final = frozenset({"pii", "context"})
LONGEST_DATA: Final = 10_000
LONGEST_REASON: Final = 255


def reject(reason: str, *, event_type: str, event_id: str = "", moment: datetime | None = None, data: Any = "") -> None:
    """Keep an event aside, and log it; one that comes again is kept once."""
    # In ASCII, which every table holds: what no table of ours can hold may be why we are here.
    kept = {
        "event_type": _ascii(event_type)[:255],
        "moment": moment,
        "reason": _ascii(reason)[:LONGEST_REASON],
        "data": _ascii(data if isinstance(data, str) else shown(data))[:LONGEST_DATA].replace("\0", "?"),
    }
    named = _ascii(event_id)[:36] or str(uuid4())
    _, is_new = in_patient_transaction(
        lambda: RejectedEvent.objects.get_or_create(event_id=named, defaults=kept),
        what=f"reject {named}",
        for_ever=True,
    )
    if is_new:
        log.warning("event rejected id=%s type=%s: %s", named, kept["event_type"], kept["reason"])


def shown(data: Any) -> str:
    """Return the data of an event as JSON, less what is personal."""
    fields = attr.asdict(data, filter=lambda field, _: field.name not in PERSONAL) if attr.has(type(data)) else {}
    return json.dumps(fields, default=str)


def fingerprint(message: bytes) -> str:
    """Return by what a message is told from others, of which nobody can say what in it is personal."""
    return json.dumps({"bytes": len(message), "sha256": sha256(message).hexdigest()})


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()
