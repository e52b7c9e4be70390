"""Spans of our units of work, for traces: an operator who installs OpenTelemetry sees them, all others pay nothing.

Only its API is used, and only where it is installed; which spans are kept, and where they are sent, is for the site to
say. No attribute names a learner.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

PREFIX: Final = "completion_aggregator."


class Span:
    """A span that is open, or none."""

    def __init__(self, recording: Any = None) -> None:
        self._recording = recording

    def tell(self, **attributes: object) -> None:
        """Add what came of the work: counts and keys."""
        if self._recording is not None:
            self._recording.set_attributes({PREFIX + name: _plain(value) for name, value in attributes.items()})


_NOTHING: Final = Span()


@contextmanager
def span(name: str, **attributes: object) -> Iterator[Span]:
    """Have everything inside belong to a span; an error that leaves it is recorded."""
    tracer = _tracer()
    if tracer is None:
        yield _NOTHING
        return
    with tracer.start_as_current_span(PREFIX + name) as recording:
        if not recording.is_recording():
            yield _NOTHING
            return
        opened = Span(recording)
        opened.tell(**attributes)
        yield opened


def current() -> dict[str, str]:
    """Return the ids of the trace and span that this belongs to, as logs write them; nothing where there is none."""
    if _tracer() is None:
        return {}
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


@cache
def _tracer() -> "Tracer | None":
    try:
        from opentelemetry.trace import get_tracer
    except ImportError:
        return None
    return get_tracer("completion_aggregator")


def _plain(value: object) -> str | bool | int | float:
    return value if isinstance(value, (str, bool, int, float)) else str(value)
