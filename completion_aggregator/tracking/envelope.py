"""The fields that every event has, as far as they are stored: one decode takes a line apart, its payload included."""

from typing import Any, Final

import msgspec


# Fields stand in the order in which lines have them: decoding looks for each behind the one before.
class Context(msgspec.Struct, gc=False):
    """``context``. In the envelope of event-tracking it also holds what is at the top of other lines."""

    user_id: int | str | float | None = None
    path: str | None = None
    course_id: str | None = None
    org_id: str | None = None
    module: dict[str, Any] | None = None
    username: str | None = None
    session: str | None = None
    ip: str | None = None
    agent: str | None = None
    host: str | None = None
    page: str | None = None
    event_source: str | None = None


class Line(msgspec.Struct, gc=False):
    """A line of a log: ``event`` and ``time``, or ``data`` and ``timestamp`` in the envelope of event-tracking."""

    name: str | None = None
    context: Context = msgspec.field(default_factory=Context)
    username: str | None = None
    session: str | None = None
    ip: str | None = None
    agent: str | None = None
    host: str | None = None
    event: Any = None
    time: str | None = None
    event_type: str | None = None
    event_source: str | None = None
    page: str | None = None
    timestamp: str | None = None
    data: Any = None


NO_CONTEXT: Final = Context()
_TEXTS: Final = tuple(name for name in Line.__struct_fields__ if name not in {"context", "event", "data"})
_CONTEXT_TEXTS: Final = tuple(name for name in Context.__struct_fields__ if name not in {"user_id", "module"})

#: Raises msgspec.MsgspecError (DecodeError, or ValidationError where a field has another type) or RecursionError.
decode: Final = msgspec.json.Decoder(Line).decode


def loose(found: dict[str, Any]) -> Line:
    """Return the line that *found* is, whatever the types of its fields; those that do not fit are left out."""
    line = Line(event=found.get("event"), data=found.get("data"))
    for name in _TEXTS:
        setattr(line, name, _text(found.get(name)))
    context = found.get("context")
    if isinstance(context, dict):
        for name in _CONTEXT_TEXTS:
            setattr(line.context, name, _text(context.get(name)))
        user_id, module = context.get("user_id"), context.get("module")
        line.context.user_id = user_id if isinstance(user_id, (int, str)) and not isinstance(user_id, bool) else None
        line.context.module = module if isinstance(module, dict) else None
    return line


def _text(value: object) -> str | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None
