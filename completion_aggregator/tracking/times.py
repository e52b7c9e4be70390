"""The times that lines have, as text in UTC."""

from datetime import UTC, datetime
from typing import Final

#: A time of this length that ends so is taken as it is; ``columns`` finds out whether it is one.
USUAL_LENGTH: Final = len("2024-02-01T00:00:02.834966+00:00")
USUAL_END: Final = "+00:00"


def utc_text(text: str) -> str | None:
    """Return any ISO 8601 time so; without an offset it is UTC, as the platform's clocks are."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.isoformat(timespec="microseconds")
