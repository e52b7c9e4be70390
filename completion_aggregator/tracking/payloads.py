"""The payload of an event, in whatever form it comes: an object, JSON as text, a form, a list, a bare value."""

from typing import Any, Final

import msgspec

from completion_aggregator.tracking import lines

_decode: Final = msgspec.json.Decoder().decode


def payload_of(event: object) -> dict[str, Any]:
    """Return the payload that a text, a list or a bare value stands for; see ``families`` for the forms."""
    if isinstance(event, str):
        return _payload_in(event)
    if isinstance(event, dict):
        return event
    if isinstance(event, list):
        return {"list": event}
    return {} if event is None else {"value": event}


def _payload_in(text: str) -> dict[str, Any]:
    if not text:
        return {}
    if text[0] in '{["':
        try:
            found = _decode(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
            found = _cut(text)
        if type(found) is dict:
            return found
        if not isinstance(found, str):
            return payload_of(found)
        text = found
    return {"form": text} if "=" in text else {"text": text}


def _cut(text: str) -> Any:
    if text[0] != "{":
        return {"text": text}
    found: dict[str, Any] = lines.whole(lines.leading_fields(text))
    return found
