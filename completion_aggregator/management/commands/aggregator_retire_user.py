"""Remove, or hand over, what is ours of one learner."""

from argparse import ArgumentParser
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.exceptions import CompletionAggregatorError

WORDS: Final = {
    "tallies": "tallies",
    "progress": "completion vectors",
    "crossings": "thresholds reached",
    "deliveries": "deliveries of these",
    "stale": "rows of the queue",
}


class Command(BaseCommand):
    """Remove what is ours of one learner, for retirement and merged accounts."""

    help = (
        "Remove everything that this app holds of one learner: tallies, completion vectors, thresholds reached and who"
        " was told of them, and what waits in the queue, also under a name that nobody has any more. Completions belong"
        " to edx-completion and stay, and so does the account: end the enrollments first, or the next comparison works"
        " her progress out anew. In an LMS the retirement pipeline does this by itself. To do it again is harmless."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the names."""
        parser.add_argument("username", metavar="USERNAME", help="whose; nobody needs to have this name any more")
        parser.add_argument(
            "--reassign-to", metavar="NAME",
            help="for merged accounts, once their completions have been moved: what waits for USERNAME waits for this"
            " account, and both are worked out anew",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="only tell how many rows there are")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what goes before it is gone."""
        name = options["username"]
        user = _account(name)
        to = _target(options["reassign_to"], user) if options["reassign_to"] else None
        if user is None:
            self.stderr.write(f"Nobody is called {name!r}: only the queue may hold rows of that name.")
        if options["dry_run"]:
            self.stdout.write(f"{_words(api.holdings(name))}; nothing removed (--dry-run).")
        elif to is not None:
            removed, courses = api.reassign(name, to)
            self.stdout.write(f"{_words(removed)} removed.")
            self._refresh(courses, [to, *filter(None, [user])])
        else:
            self.stdout.write(f"{_words(api.retire_name(name) if user is None else api.retire(user))} removed.")

    def _refresh(self, courses: list[CourseKey], users: list[AbstractBaseUser]) -> None:
        for course_key in courses:
            try:
                learners = sum(api.refresh_learner(user.get_username(), course_key).learners for user in users)
            except CompletionAggregatorError as error:
                self.stderr.write(f"{course_key}: {error} It waits for run_aggregator_service.")
            else:
                self.stdout.write(f"{course_key}: {learners:,} learners worked out anew.")


def _account(name: str) -> AbstractBaseUser | None:
    model = get_user_model()
    user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
    if user is not None and user.get_username() != name:
        # Many databases compare names without case; what is removed here is gone.
        raise CommandError(f"Nobody is called {name!r}. Did you mean {user.get_username()!r}?")
    return user


def _target(name: str, user: AbstractBaseUser | None) -> AbstractBaseUser:
    to = _account(name)
    if to is None:
        raise CommandError(f"Nobody is called {name!r}, to reassign to.")
    if to == user:
        raise CommandError("Both names are those of one account.")
    return to


def _words(held: api.Holdings) -> str:
    return ", ".join(f"{getattr(held, name):,} {words}" for name, words in WORDS.items())
