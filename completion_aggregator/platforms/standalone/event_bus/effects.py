"""What became of an event."""

from enum import StrEnum


class Effect(StrEnum):
    """What became of an event. Ignored: it is about nothing that we keep."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    IGNORED = "ignored"
    REJECTED = "rejected"
