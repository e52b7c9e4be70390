"""The track of a learner: her group in the partition of enrollment tracks, by the mode of her enrollment."""

from collections.abc import Collection, Sequence
from typing import Final

from django.conf import settings

from completion_aggregator.platforms.openedx.inquiry import Division, Found, Inquiry

CREDIT: Final = "credit"
#: The modes whose content a learner for credit sees, the first that the course has.
_FOR_CREDIT: Final = ("professional", "verified")


def groups(divisions: Sequence[Division], inquiry: Inquiry) -> Found:
    """Yield the tracks of those whose enrollment is active."""
    numbers = {slug: mode["id"] for slug, mode in getattr(settings, "COURSE_ENROLLMENT_MODES", {}).items()}
    for division in divisions:
        modes = inquiry.modes[division.course]
        for user_id in inquiry.user_ids:
            enrolled = inquiry.enrolled.get((division.course, user_id))
            if enrolled is not None and enrolled.is_active:
                number = numbers.get(track(enrolled.mode, modes))
                if number is not None:
                    yield division, user_id, number


def track(mode: str, modes: Collection[str]) -> str:
    """Return the mode whose content a learner of *mode* sees in a course that has *modes*."""
    candidates = _FOR_CREDIT if mode == CREDIT and mode in modes else (mode,)
    return next((each for each in candidates if each in modes), _default())


def _default() -> str:
    return str(getattr(settings, "COURSE_MODE_DEFAULTS", {}).get("slug", "audit"))
