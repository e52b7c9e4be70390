"""What is known of courses that say nothing."""

from datetime import UTC, datetime

DEFAULT_START_DATE = datetime(2030, 1, 1, tzinfo=UTC)
