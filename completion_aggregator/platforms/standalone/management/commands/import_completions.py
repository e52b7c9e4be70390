"""Read completions from a file."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from completion_aggregator.platforms.standalone.imports.command import ImportCommand
from completion_aggregator.platforms.standalone.imports.completions import COLUMNS, CompletionsImport
from completion_aggregator.platforms.standalone.imports.rejects import Rejects


class Command(ImportCommand):
    """Read completions from a file."""

    help = "Read completions (who completed which block) from CSV or NDJSON"
    noun = "completions"
    columns = COLUMNS
    details = """
columns: username,course_id,block_id,completion[,modified]
  completion  from 0 to 1
  modified    ISO 8601; without an offset it is UTC; without a time it is now

Safe to repeat: rows that are stored already change nothing, and of two rows for the same learner and block the newer
one stands, in the file as in the database. A block that the course does not have (any more) is kept and counted.
Rows that cannot be taken go to the rejects file, the others are imported.

exit status: 0 all rows taken, 1 some were rejected, 2 the file cannot be used
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what only completions take."""
        super().add_arguments(parser)
        parser.add_argument("--create-users", action="store_true", help="make users that do not exist; else reject")

    def start(self, rejects: Rejects, options: Mapping[str, Any], *, now: datetime) -> CompletionsImport:
        """Return the run."""
        return CompletionsImport(rejects, create_users=options["create_users"], now=now)
