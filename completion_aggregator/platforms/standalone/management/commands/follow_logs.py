"""Take in the completions that tracking logs tell of."""

import json
import logging
import signal
import sys
import time
from argparse import RawDescriptionHelpFormatter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections

from completion_aggregator.arguments import pause
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.meter import meter
from completion_aggregator.platforms.standalone.logs.following import Following, Mark, mark_of, waiting
from completion_aggregator.tracking import api as tracking

if TYPE_CHECKING:
    from completion_aggregator.tracking.api import Store

log = logging.getLogger(__name__)

SOME_REFUSED: Final = 1
REASONS_SHOWN: Final = 10

_EPILOG: Final = """
Reads the events edx.completion.block_completion.changed out of the store that `tracking load` fills, and stores each
completion as `import_completions` does: the newer one of the same learner and block stands, so that logs may be loaded
in any order, and late events overwrite nothing. run_aggregator_service then brings progress up to date.

How far it has read is kept in the database, and moves in one transaction with the completions: kill it when you like
and run it again, nothing is lost and nothing done twice. Learners are found by their usernames.

A completion that cannot be taken (no such course here, no such user) is counted and told, and stays in the store.
Import the course, or make the user, and run it once with --from-start: what is stored already changes nothing.

examples:
  follow_logs                     take in what is new, as often as you like, from cron for instance
  follow_logs --loop 60           go on for ever, a minute after each run
  follow_logs --dry-run           how much is waiting
  follow_logs --from-start        all that the store has, once more
  tracking sync s3://logs/tracking && follow_logs && run_aggregator_service

exit status: 0 all taken, 1 some were not, or it could not be done
"""


class Command(BaseCommand):
    """Take in the completions that tracking logs tell of."""

    help = "Take in the completions that loaded tracking logs tell of, those that are new since the last time"

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Keep the line breaks of the examples."""
        kwargs |= {"epilog": _EPILOG, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what is read, and how often."""
        parser.add_argument(
            "--store", type=Path, metavar="DIR", help="the store (default: that of the site's settings)"
        )
        parser.add_argument("--create-users", action="store_true", help="make users that do not exist; else refuse")
        parser.add_argument(
            "--from-start", action="store_true", help="read all of the store again; with --loop in the first run alone"
        )
        parser.add_argument(
            "--loop", type=pause, metavar="SECONDS", help="go on for ever, this long after each run; SIGTERM ends it"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say how many completions are waiting")
        parser.add_argument("--json", action="store_true", help="print the counts of each run as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run once, or in a loop until a signal asks to stop; the batch at work is always finished."""
        stop = Event()
        if options["loop"] is not None:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        refused = self._turn(options, stop, from_start=options["from_start"])
        while options["loop"] is not None and not stop.wait(options["loop"]):
            close_old_connections()
            self._turn(options, stop, from_start=False)
        if refused and options["loop"] is None:
            raise SystemExit(SOME_REFUSED)

    def _turn(self, options: dict[str, Any], stop: Event, *, from_start: bool) -> int:
        """Run once; a loop outlives a store or a database that cannot be read for a while."""
        try:
            store = tracking.store_in(options["store"]) if options["store"] else tracking.site_store()
            mark = mark_of(store)
            if options["dry_run"]:
                return self._say_waiting(store, mark, options, from_start=from_start)
            return self._follow(store, mark, options, stop, from_start=from_start)
        except (CompletionAggregatorError, OSError, InterfaceError, OperationalError) as error:
            if options["loop"] is None or isinstance(error, tracking.NotInstalled):
                raise CommandError(str(error)) from error
            self.stderr.write(f"not now: {error}")
            return 0

    def _say_waiting(self, store: "Store", mark: Mark, options: dict[str, Any], *, from_start: bool) -> int:
        count = waiting(store, None if from_start else mark.position)
        if options["json"]:
            self.stdout.write(json.dumps({"waiting": count, "store": str(store.folder), "position": mark.text}))
        else:
            self.stdout.write(f"{count:,} completions are waiting in {store.folder}.")
        return 0

    def _follow(self, store: "Store", mark: Mark, options: dict[str, Any], stop: Event, *, from_start: bool) -> int:
        started = time.perf_counter()
        if mark.is_other:
            self.stderr.write(
                f"{store.folder} is another store than the one that was read before, or an older copy of it: it is read"
                " from its start."
            )
        run = Following(store, mark, create_users=options["create_users"], now=datetime.now(UTC), from_start=from_start)
        # Not self.stderr: it ends each write with a new line, and a bar is redrawn.
        with meter("Taking in completions", None, sys.stderr) as progress:
            for summary in run.run():
                progress.show(summary.rows, f"{summary.rows:,} completions")
                if stop.is_set():
                    break
        self._report(run, store, options, seconds=time.perf_counter() - started)
        return run.refusals.count

    def _report(self, run: Following, store: "Store", options: dict[str, Any], *, seconds: float) -> None:
        summary, reasons = run.summary, run.refusals.reasons
        log.info("followed logs rows=%d written=%d seconds=%.3f", summary.rows, summary.written, seconds)
        if not summary.rows and options["loop"] is not None:
            return
        figures = {name: value for name, value in asdict(summary).items() if name != "deleted"}
        if options["json"]:
            kept = {"store": str(store.folder), "position": mark_of(store).text, "reasons": dict(reasons)}
            self.stdout.write(json.dumps(figures | {"seconds": round(seconds, 3)} | kept))
            return
        parts = [f"{value:,} {name.replace('_', ' ')}" for name, value in figures.items() if value]
        waiting_learners = " Progress is brought up to date by run_aggregator_service." if summary.written else ""
        self.stdout.write(f"Completions: {', '.join(parts) or 'nothing new'} ({seconds:.1f} s).{waiting_learners}")
        for reason, count in reasons.most_common(REASONS_SHOWN):
            self.stderr.write(f"  not taken {count:,}: {reason}")
        if len(reasons) > REASONS_SHOWN:
            self.stderr.write(f"  and {len(reasons) - REASONS_SHOWN:,} reasons more: --json tells them all")
        if reasons:
            self.stderr.write("  They stay in the store: when the cause is gone, run follow_logs --from-start.")
