"""Read completions from a file."""

from argparse import ArgumentTypeError
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from completion_aggregator.platforms.standalone.imports.command import UNUSABLE, ImportCommand
from completion_aggregator.platforms.standalone.imports.completions import COLUMNS, CompletionsImport
from completion_aggregator.platforms.standalone.imports.courses import UnfitRow
from completion_aggregator.platforms.standalone.imports.moments import AHEAD, parse_moment, says_offset
from completion_aggregator.platforms.standalone.imports.rejects import Rejects


class Command(ImportCommand):
    """Read completions from a file."""

    help = "Read completions (who completed which block) from CSV or NDJSON"
    noun = "completions"
    columns = COLUMNS
    details = """
columns: username,course_id,block_id,completion[,modified]
  completion  from 0 to 1
  modified    ISO 8601; without an offset it is UTC; without a time it is now; in the future it is rejected

Safe to repeat: rows that are stored already change nothing, and of two rows for the same learner and block the newer
one stands, in the file as in the database. A block that the course does not have (any more) is kept and counted.
Rows that cannot be taken go to the rejects file, the others are imported.

--complete-at repairs what an event bus lost, deletions included: give it the time at which the export began,
with its offset, such as 2026-10-01T02:00:00Z or 2026-10-01T04:00:00+02:00.

exit status: 0 all rows taken, 1 some were rejected, 2 the file cannot be used
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what only completions take."""
        super().add_arguments(parser)
        parser.add_argument("--create-users", action="store_true", help="make users that do not exist; else reject")
        parser.add_argument(
            "--complete-at",
            type=_moment,
            metavar="TIME",
            help="when, with its offset, the export began that the file is the whole of, for each course in it:"
            " completions that are not in the file and not newer are deleted, if no row is rejected",
        )

    def start(self, rejects: Rejects, options: Mapping[str, Any], *, now: datetime) -> CompletionsImport:
        """Return the run. Raises CommandError for a time that nothing can be known as of."""
        complete_at = options["complete_at"]
        if complete_at is not None and complete_at > now + AHEAD:
            raise CommandError(
                f"--complete-at {complete_at.isoformat()} is in the future: no export began then.", returncode=UNUSABLE
            )
        return CompletionsImport(rejects, create_users=options["create_users"], now=now, complete_at=complete_at)


def _moment(text: str) -> datetime:
    try:
        moment = parse_moment(text)
    except UnfitRow as error:
        raise ArgumentTypeError(f"{text!r} is {error}") from None
    # An operator's own time, taken for UTC, may be hours after what the export has.
    if not says_offset(text):
        raise ArgumentTypeError(f"{text!r} does not say its offset: put Z behind a time in UTC, else one like +02:00")
    return moment
