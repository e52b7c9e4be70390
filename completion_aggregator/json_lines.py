"""Log records as lines of JSON, for who collects logs rather than reads them.

A message such as ``refreshed course=%s learners=%d`` becomes an event, ``refreshed``, with the fields that it names.
"""

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from completion_aggregator import spans

#: A conversion of a message that takes an argument, and the name before it, if there is one.
_CONVERSION: Final = re.compile(r"(?:\b(?P<name>[a-z_]\w*)=)?%(?:%|[-#0 +]*(?:\d+|\*)?(?:\.(?:\d+|\*))?[a-zA-Z])")
#: Fields of every line. A message that names one of them keeps it in its text alone.
_OURS: Final = frozenset({"time", "level", "logger", "event", "message", "trace_id", "span_id", "error"})


class JsonLines(logging.Formatter):
    """One line for each record, whatever is in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": _event(record),
            "message": record.getMessage(),
            **dict(_fields(record)),
            **spans.current(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, _ = record.exc_info
            line["error"] = {
                "type": kind.__name__, "message": str(error), "stack": self.formatException(record.exc_info),
            }  # fmt: skip
        return json.dumps(line, default=str)


def _event(record: logging.LogRecord) -> str:
    """Return what the messages of this kind have in common: the words before the first value."""
    template = str(record.msg)
    first = _CONVERSION.search(template) if record.args else None
    return (template[: first.start()] if first else template).strip(" :;,")


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    if not isinstance(record.args, tuple):
        return
    found = [each for each in _CONVERSION.finditer(str(record.msg)) if not each[0].endswith("%%")]
    if len(found) != len(record.args):  # a width that is an argument itself: the message has it all
        return
    for each, value in zip(found, record.args, strict=True):
        if each["name"] and each["name"] not in _OURS:
            yield each["name"], value if isinstance(value, (bool, int, float)) else str(value)
