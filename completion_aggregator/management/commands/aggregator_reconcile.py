"""Compare everybody's progress with the completions now, and mend what differs."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from threading import Event
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.arguments import course_key, positive
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.management.stopping import stopped_by_signals
from completion_aggregator.meter import Meter, meter
from completion_aggregator.ports import get_platform

#: What is found, in words.
KINDS: Final = {
    "never_computed": "never computed",
    "tree": "with other blocks",
    "vector": "with other completions",
    "wrong_rows": "with wrong rows",
    "missing_rows": "with missing rows",
    "superfluous_rows": "with superfluous rows",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found in one course; ``after``: the user id to which it came, None where that is the end."""

    course_id: str
    found: api.Findings = field(default_factory=api.Findings)
    refreshed: int = 0
    after: int | None = None
    error: str = ""


class Command(BaseCommand):
    """Find and mend wrong numbers, whatever made them wrong."""

    help = (
        "Compare the stored progress of every learner of these courses with her completions, now: completion vectors,"
        " tallies, the blocks that she sees, and the rows kept for other software. Who differs is marked and refreshed."
        " Run it with --all after an upgrade from 4.x, whose faults left wrong rows, and after a backup was restored."
        " It may run beside the site and the service; after it was stopped, --continue goes on. Learners are those with"
        " an active enrollment or with anything stored; completions of others are not looked for. Exits 1 if a course"
        " cannot be read, and with --dry-run if anything differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the courses, or all."""
        parser.add_argument(
            "course_keys", nargs="*", type=course_key, metavar="COURSE", help="such as course-v1:ORG+COURSE+RUN"
        )
        parser.add_argument("-a", "--all", action="store_true", help="every course of the platform")
        parser.add_argument("--dry-run", action="store_true", help="only tell what differs, and write nothing")
        parser.add_argument("--no-refresh", action="store_true", help="only mark; run_aggregator_service does the rest")
        parser.add_argument("--limit", type=positive, metavar="N", help="stop after about so many learners")
        parser.add_argument(
            "--continue", action="store_true",
            help="go on where an earlier run, or the service, stopped; leave out courses that were compared within"
            " COMPLETION_AGGREGATOR_RECONCILE_HOURS",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print a list with an object for each course")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare course by course, until done or asked to stop; the batch at work is always finished."""
        if bool(options["course_keys"]) == options["all"]:
            raise CommandError("Name the courses, or say --all; not both, not neither.")
        if options["dry_run"] and options["continue"]:
            raise CommandError("--dry-run stores no position, so there is none to --continue from.")
        keys = get_platform().course_keys() if options["all"] else options["course_keys"]
        stop, outcomes, left = Event(), list[Outcome](), False
        with stopped_by_signals(stop), meter("Comparing", None, sys.stderr) as progress:
            for key in keys:
                done = sum(each.found.compared for each in outcomes)
                left = stop.is_set() or (options["limit"] is not None and done >= options["limit"])
                if left:
                    break
                if (outcome := self._course(key, done, options, stop, progress)) is not None:
                    outcomes.append(outcome)
        self._sum_up(outcomes, options, left=left or any(each.after is not None for each in outcomes))

    def _course(
        self, key: CourseKey, done: int, options: dict[str, Any], stop: Event, progress: Meter
    ) -> Outcome | None:
        """Return what was found in a course; None if it rests."""
        after = api.reconcile_position(key) if options["continue"] else 0
        if after is None:
            return None
        limit = None if options["limit"] is None else options["limit"] - done
        outcome = Outcome(str(key))
        try:
            if not options["dry_run"]:
                api.renew_course(key)
            for each in api.reconcile_course(key, after=after, limit=limit, mark=not options["dry_run"]):
                outcome = replace(outcome, found=outcome.found + each.found, after=each.last)
                progress.show(done + outcome.found.compared, f"{done + outcome.found.compared:,} learners")
                if stop.is_set():
                    break
            if outcome.found.differing and not options["dry_run"] and not options["no_refresh"]:
                outcome = replace(outcome, refreshed=self._refresh(key, stop, progress))
        except CompletionAggregatorError as error:
            outcome = replace(outcome, error=str(error))
        if not options["json"]:
            self.stdout.write(_line(outcome))
        return outcome

    def _refresh(self, key: CourseKey, stop: Event, progress: Meter) -> int:
        refreshed = 0
        for done in api.refresh_batches(key):
            refreshed += done.learners
            progress.show(refreshed, f"{refreshed:,} learners refreshed in {key}")
            if stop.is_set():
                break
        return refreshed

    def _sum_up(self, outcomes: Collection[Outcome], options: dict[str, Any], *, left: bool) -> None:
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(each) for each in outcomes], indent=2))
        if left:
            goes_on = "" if options["dry_run"] else ": the same with --continue goes on"
            self.stderr.write(f"Not everybody was compared{goes_on}.")
        differing = sum(each.found.differing for each in outcomes)
        unread = sum(bool(each.error) for each in outcomes)
        if not options["json"]:
            compared = sum(each.found.compared for each in outcomes)
            self.stdout.write(f"{compared:,} learners of {len(outcomes):,} courses compared, {differing:,} differ.")
        if unread:
            raise CommandError(f"{unread:,} courses cannot be read.")
        if differing and options["dry_run"]:
            raise CommandError(f"{differing:,} learners differ; without --dry-run they are marked and refreshed.")


def _line(outcome: Outcome) -> str:
    if outcome.error:
        return f"{outcome.course_id}: {outcome.error}"
    found = outcome.found
    kinds = [f"{getattr(found, kind):,} {words}" for kind, words in KINDS.items() if getattr(found, kind)]
    notes = [
        f"{found.differing:,} differ" + (f" ({', '.join(kinds)})" if kinds else ""),
        f"{found.waiting:,} wait for a refresh already" if found.waiting else "",
        f"{found.failed:,} could not be compared" if found.failed else "",
        f"{outcome.refreshed:,} refreshed" if outcome.refreshed else "",
    ]
    return f"{outcome.course_id}: {found.compared:,} compared, {'; '.join(filter(None, notes))}."


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "course_id": outcome.course_id,
        **asdict(outcome.found),
        "refreshed": outcome.refreshed,
        "error": outcome.error,
    }
