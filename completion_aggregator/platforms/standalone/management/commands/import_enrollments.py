"""Read enrollments from a file."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from completion_aggregator.platforms.standalone.imports.command import ImportCommand
from completion_aggregator.platforms.standalone.imports.enrollments import COLUMNS, EnrollmentsImport
from completion_aggregator.platforms.standalone.imports.rejects import Rejects


class Command(ImportCommand):
    """Read enrollments from a file."""

    help = "Read enrollments (who learns in which course) from CSV or NDJSON"
    noun = "enrollments"
    columns = COLUMNS
    details = """
columns: username,course_id[,mode][,is_active][,created]
  mode       audit when empty
  is_active  true when empty
  created    ISO 8601; without an offset it is UTC; without a time it is now

Users that do not exist are made, without a password. Safe to repeat; of two rows for the same learner and course the
later one stands. Rows that cannot be taken go to the rejects file, the others are imported.

exit status: 0 all rows taken, 1 some were rejected, 2 the file cannot be used
"""

    def start(self, rejects: Rejects, options: Mapping[str, Any], *, now: datetime) -> EnrollmentsImport:
        """Return the run."""
        return EnrollmentsImport(rejects, now=now)
