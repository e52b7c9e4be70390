"""Times as files write them."""

from datetime import UTC, datetime

from completion_aggregator.platforms.standalone.imports.courses import UnfitRow

FIRST_YEAR = 1970
LAST_YEAR = 9998  # a year before the end of time: other offsets and roundings stay within it


def parse_moment(text: str) -> datetime:
    """Return an ISO 8601 time in UTC; one without an offset is UTC already, as the LMS stores it. Raises UnfitRow."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UnfitRow("not an ISO 8601 time") from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise UnfitRow(f"the time is not between {FIRST_YEAR} and {LAST_YEAR}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
