"""When nothing was logged: what the old column ``downtime_for`` tried to tell, for the site, not for each client."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb

#: Minutes in which anything was logged: half a million for a year, whatever the number of events.
_MINUTES: Final = """
WITH minutes AS (
    SELECT DISTINCT date_trunc('minute', time) AS minute FROM event
    WHERE time_quality NOT IN ('outside', 'unreadable') AND ($course IS NULL OR course GLOB $course)
), steps AS (
    SELECT minute, lead(minute) OVER (ORDER BY minute) AS next FROM minutes
)
SELECT minute + INTERVAL 1 MINUTE, next FROM steps WHERE next - minute - INTERVAL 1 MINUTE >= to_seconds($seconds)
ORDER BY minute
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """From when to when nothing was logged, to the minute."""

    began: datetime
    ended: datetime

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.ended - self.began).total_seconds()


def gaps(connection: duckdb.DuckDBPyConnection, *, seconds: int, course: str | None = None) -> list[Gap]:
    """Return the times of *seconds* or more in which nothing was logged, of some courses or at all."""
    found = connection.execute(_MINUTES, {"seconds": seconds, "course": course}).fetchall()
    return [Gap(*row) for row in found]
