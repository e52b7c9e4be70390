"""Times as files write them."""

from datetime import UTC, datetime, timedelta
from typing import Final

from completion_aggregator.platforms.standalone.imports.courses import UnfitRow

FIRST_YEAR = 1970
LAST_YEAR = 9998  # a year before the end of time: other offsets and roundings stay within it
#: How far another clock may be ahead of ours. Of two things told, the later one stands: what is told from further ahead
#: would stand until then, whatever the learner does.
AHEAD: Final = timedelta(minutes=5)


def parse_moment(text: str) -> datetime:
    """Return an ISO 8601 time in UTC; one without an offset is UTC already, as the LMS stores it. Raises UnfitRow."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UnfitRow("not an ISO 8601 time") from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise UnfitRow(f"the time is not between {FIRST_YEAR} and {LAST_YEAR}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def says_offset(text: str) -> bool:
    """Say whether such a text says which offset it has from UTC."""
    return datetime.fromisoformat(text).tzinfo is not None
