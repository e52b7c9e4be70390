"""Remove all that is kept of one learner."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.platforms.standalone import forgetting


class Command(BaseCommand):
    """Remove all that is kept of one learner."""

    help = (
        "Remove all that is kept of one learner: completions, enrollments, roles and groups, progress, what waits, the"
        " link with her account of the LMS, the events of it that were rejected, and the user herself; and have the"
        " store of tracking logs forget her, which comes first, and without which nothing else is removed. Beside an"
        " LMS, retire her there first: what it still sends of her makes her anew. To do it again is harmless."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whom, by either of her names."""
        parser.add_argument("username", nargs="?", metavar="USERNAME", help="what she is called here, letter by letter")
        parser.add_argument("--lms-id", type=int, metavar="NUMBER", help="her user id in the LMS, instead of the name")
        parser.add_argument("--dry-run", action="store_true", help="only tell how much there is")
        parser.add_argument("--without-tracking", action="store_true", help="leave the store of tracking logs alone")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, remove, and tell."""
        name, lms_id = options["username"], options["lms_id"]
        if (name is None) == (lms_id is None):
            raise CommandError("Give either USERNAME or --lms-id.")
        user = forgetting.user_of(lms_id) if name is None else forgetting.user_called(name)
        if user is None:
            self.stderr.write(f"There is no user {name!r}." if name else f"There is no user of the account {lms_id}.")
        elif lms_id is None:
            lms_id = forgetting.lms_id_of(user)
        if not options["without_tracking"]:
            self.stdout.write(f"Tracking logs: {self._forget_events(user, lms_id, dry_run=options['dry_run'])}.")
        words = ", ".join(f"{count:,} {what}" for what, count in forgetting.kept(user, lms_id).items())
        if options["dry_run"]:
            self.stdout.write(f"{words}; nothing removed (--dry-run).")
            return
        forgetting.forget(user, lms_id)
        self.stdout.write(f"{words} removed.")

    def _forget_events(self, user: Any, lms_id: int | None, *, dry_run: bool) -> str:
        try:
            return forgetting.forget_events(user, lms_id, dry_run=dry_run)
        except (CompletionAggregatorError, OSError) as error:
            raise CommandError(
                f"Nothing is removed, since the store of tracking logs cannot forget her: {error}. Do it again when"
                " that is settled; --without-tracking removes all else."
            ) from error
