"""How far somebody has read: a place in the one order that all events of a store have."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from uuid import UUID

from completion_aggregator.tracking.errors import TrackingError

_LAST_TIME: Final = datetime.max.replace(tzinfo=UTC)
_LAST_ID: Final = UUID(int=2**128 - 1)
_MOST: Final = 2**63 - 1


class InvalidPosition(TrackingError):
    """A text is no position, or a position is beyond all that the store has."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the order of load, time, event: behind the event with these three.

    ``str(position)`` is a text of no more than 100 characters that ``parse`` makes the same position of.
    """

    load: int
    time: datetime
    event_id: UUID

    def __str__(self) -> str:
        """Return the text of it."""
        return f"{self.load}/{self.time.astimezone(UTC).isoformat(timespec='microseconds')}/{self.event_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the position that a text says. Raises InvalidPosition."""
        try:
            load, time, event_id = text.split("/")
            found = cls(int(load), datetime.fromisoformat(time), UUID(event_id))
        except ValueError:
            found = None
        if found is None or str(found) != text or not 0 <= found.load <= _MOST:
            raise InvalidPosition(f"{text[:120]!r} is no position: give it as it was given out")
        return found

    @classmethod
    def behind(cls, load: int) -> Self:
        """Return the place behind all of a load."""
        return cls(load, _LAST_TIME, _LAST_ID)

    @property
    def is_behind_load(self) -> bool:
        """Whether nothing of its load comes after it."""
        return self.time == _LAST_TIME and self.event_id == _LAST_ID
