"""Compare the completions of a course with the LMS's own, and take those over."""

import json
import os
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.arguments import course_key, seconds
from completion_aggregator.platforms.standalone.event_bus import reconciling
from completion_aggregator.platforms.standalone.event_bus.lms_api import (
    BlocksApi,
    LearnerUnanswered,
    LearnerUnknown,
    UnusableLms,
)
from completion_aggregator.platforms.standalone.models import Course

SOME_UNANSWERED: Final = 1
UNUSABLE: Final = 2
#: Learners one behind the other for whom the LMS does not answer, until it does so for nobody.
SILENT: Final = 5


@dataclass(slots=True)
class Summary:
    """What became of the learners. ``unanswered``: their user ids."""

    learners: int = 0
    differing: int = 0
    differences: int = 0
    mended: int = 0
    unanswered: list[int] = field(default_factory=list)


class Command(BaseCommand):
    """Compare the completions of a course with the LMS's own, and take those over."""

    help = (
        "Compare completions with those of an LMS, by its Course Blocks API, and take over what differs."
        " Exit status: 0 all learners compared, 1 some not, 2 the LMS cannot be asked"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what is to be compared with what."""
        parser.add_argument("course", type=course_key)
        parser.add_argument("--lms-url", required=True, metavar="URL", help="such as https://lms.example.org")
        parser.add_argument(
            "--token-env", required=True, metavar="NAME", help="the variable that holds a bearer token of course staff"
        )
        parser.add_argument("--user", action="append", default=[], metavar="USERNAME", help="of this learner alone")
        parser.add_argument(
            "--seconds", type=seconds, default=0.5, help="from one request to the next (default: %(default)s)"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what differs, and change nothing")
        parser.add_argument("--restart", action="store_true", help="from the first learner, not from where it stopped")
        parser.add_argument("--json", action="store_true", help="print the summary as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask for one learner after the other."""
        token = os.environ.get(options["token_env"], "")
        if not Course.objects.filter(course_key=options["course"]).exists():
            raise CommandError(f"There is no course {options['course']}.", returncode=UNUSABLE)
        if not token:
            raise CommandError(f"The variable {options['token_env']} holds no token.", returncode=UNUSABLE)
        try:
            api = BlocksApi(options["lms_url"], token, seconds=options["seconds"])
            try:
                summary = self._reconcile(api, options)
            finally:
                api.close()
        except UnusableLms as error:
            raise CommandError(str(error), returncode=UNUSABLE) from error
        self._report(summary, as_json=options["json"])
        if summary.unanswered:
            raise SystemExit(SOME_UNANSWERED)

    def _reconcile(self, api: BlocksApi, options: dict[str, Any]) -> Summary:
        key, names = options["course"], options["user"]
        if names:
            return self._compare(_called(names), api, options, marker=None)
        if options["dry_run"]:  # what was looked at alone is still to be mended
            return self._compare(reconciling.learners_of(key), api, options, marker=None)
        marker = _marker(key, options["lms_url"])
        if options["restart"]:
            marker.unlink(missing_ok=True)
        after = int(marker.read_text()) if marker.exists() else 0
        if after:
            self.stderr.write(f"Going on behind user {after}; --restart begins with the first.")
        summary = self._compare(reconciling.learners_of(key, after=after), api, options, marker=marker)
        marker.unlink(missing_ok=True)
        return summary

    def _compare(self, users: Any, api: BlocksApi, options: dict[str, Any], *, marker: Path | None) -> Summary:
        summary, silent = Summary(), 0
        for user in users:
            summary.learners += 1
            try:
                self._one(user, api, options, summary)
                silent = 0
            except LearnerUnanswered as error:
                summary.unanswered.append(user.pk)
                self.stderr.write(f"user {user.pk}: {error}")
                silent = 0 if isinstance(error, LearnerUnknown) else silent + 1
                if silent >= SILENT:
                    raise UnusableLms(f"{silent} learners, one behind the other: {error}.") from error
            if (
                marker is not None and not silent
            ):  # those not answered for are asked for again, if this is a row of them
                _write(marker, user.pk)
        return summary

    def _one(self, user: Any, api: BlocksApi, options: dict[str, Any], summary: Summary) -> None:
        key = options["course"]
        answer = api.completions_of(user.get_username(), key)
        found = reconciling.differences(user, key, answer)
        if not found:
            return
        summary.differing += 1
        summary.differences += len(found)
        for each in found if options["verbosity"] > 1 else ():
            self.stderr.write(f"user {user.pk}: {each.block_key} {each.ours} here, {each.theirs} in the LMS")
        if not options["dry_run"]:
            summary.mended += reconciling.mend(user, key, found, as_of=answer.as_of)

    def _report(self, summary: Summary, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(asdict(summary)))
            return
        self.stdout.write(
            f"Compared {summary.learners:,} learners: {summary.differences:,} differences of {summary.differing:,},"
            f" {summary.mended:,} mended, {len(summary.unanswered):,} learners not answered for."
        )


def _called(names: list[str]) -> list[Any]:
    users = {user.get_username(): user for user in get_user_model()._default_manager.filter(username__in=names)}
    if missing := [name for name in names if name not in users]:
        raise CommandError(f"There is no user {missing[0]!r}.", returncode=UNUSABLE)
    return [users[name] for name in names]


def _write(marker: Path, user_id: int) -> None:
    marker.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker.write_text(str(user_id))


def _marker(key: CourseKey, url: str) -> Path:
    """Return where it is kept how far a run came."""
    name = blake2b(f"{key} {url}".encode(), digest_size=8).hexdigest()
    return Path(getattr(settings, "HOME", Path.cwd())) / "reconcile" / name
