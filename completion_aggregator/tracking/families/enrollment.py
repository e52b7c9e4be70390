"""Enrollments."""

from typing import Any, Final

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.values import take_term


def changed(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take that somebody was enrolled, unenrolled, or has another mode now."""
    payload.pop("user_id", None)
    if payload.get("course_id") == batch.course:
        payload.pop("course_id", None)
    batch.enrollment.append((batch.row, action, take_term(payload, "mode", batch.clean)))
    return ""


ACTIONS: Final[dict[str, tuple[str, Transform | None]]] = {
    "edx.course.enrollment.activated": ("on", changed),
    "edx.course.enrollment.deactivated": ("off", changed),
    "edx.course.enrollment.mode_changed": ("mode", changed),
    # A click, or a payment: the mode changes with an event of its own.
    "edx.course.enrollment.upgrade.clicked": ("", None),
    "edx.course.enrollment.upgrade.succeeded": ("", None),
}
