"""Refresh whatever is stale."""

import json
import logging
import math
import sys
from argparse import ArgumentParser
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic, perf_counter
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, InternalError, OperationalError, close_old_connections, connection
from django.utils import timezone
from edx_django_utils.cache import RequestCache
from kombu.exceptions import OperationalError as BrokerError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import exposition, instruments, tasks
from completion_aggregator.aggregation import api
from completion_aggregator.arguments import natural, pause, positive, seconds
from completion_aggregator.conf import setting
from completion_aggregator.exceptions import CompletionAggregatorError, UnknownCourse
from completion_aggregator.management.stopping import stopped_by_signals
from completion_aggregator.meter import meter
from completion_aggregator.spans import span

log = logging.getLogger(__name__)

#: Seconds of a turn in which endpoints are told.
SHORTEST_TELLING: Final = 1.0
LONGEST_TELLING: Final = 30.0
#: Loops that pause no longer than so many seconds leave a changed course alone until it has come to rest.
SHORT_PAUSE: Final = 5.0
#: How often a loop asks the platform for courses that it does not know yet.
SECONDS_BETWEEN_NEW_COURSES: Final = 3600.0


class Command(BaseCommand):
    """Bring tallies up to date for every learner whose completions changed, oldest first."""

    help = (
        "Bring progress up to date, oldest change first. Runs once, for a cron line, or again and again with --loop."
        " Any number of these may run at once, here or on other machines. Each run first takes over newer content of"
        " courses and marks the learners for whom that changes something; at its end it compares some learners"
        " (COMPLETION_AGGREGATOR_RECONCILE_LEARNERS) with their completions, for what no signal told of."
    )

    _take_in_at = -math.inf
    _quiet: api.Quiet | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the options of 4.x, and --loop."""
        parser.add_argument(
            "--batch-size",
            type=positive,
            default=setting("BATCH_SIZE"),
            help="learners refreshed in one transaction (default: %(default)s)",
        )
        parser.add_argument(
            "--delay-between-batches", type=seconds, default=0.0, metavar="SECONDS",
            help="pause after each batch, to spare a busy database (default: none)",
        )  # fmt: skip
        parser.add_argument(
            "--limit", type=natural, default=500_000, help="stop after this many learners in one run (default: 500000)"
        )
        parser.add_argument(
            "--routing-key",
            help="Celery queue to send refreshes to; needs a broker. Without it they are done here, as all else is",
        )
        parser.add_argument(
            "--loop", type=pause, metavar="SECONDS", help="go on for ever, this long after each run; SIGTERM ends it"
        )
        parser.add_argument(
            "--metrics-port",
            type=natural,
            metavar="PORT",
            help="with --loop: answer Prometheus on this port, to whoever reaches it; 0: any that is free",
        )
        parser.add_argument(
            "--metrics-address", default="127.0.0.1", metavar="ADDRESS",
            help="the address of that port (default: %(default)s, this machine alone; 0.0.0.0: all there are)",
        )  # fmt: skip
        parser.add_argument(
            "--retry-set-aside",
            action="store_true",
            help="first let the learners who were set aside try again, and deliveries given up",
        )
        parser.add_argument("--json", action="store_true", help="print the counts of each run as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run once, or in a loop until a signal asks to stop; the batch at work is always finished."""
        stop = Event()
        if options["retry_set_aside"]:
            self.stderr.write(f"{api.take_back():,} learners try again.")
            if retried := api.take_back_deliveries():
                self.stderr.write(f"{retried:,} deliveries are tried again.")
        if options["loop"] is not None and options["loop"] <= SHORT_PAUSE:
            self._quiet = api.Quiet()
        with stopped_by_signals(stop), self._scraped(options):
            failed = self._turn(options, stop)
            while options["loop"] is not None and not stop.wait(options["loop"]):
                close_old_connections()
                # A turn is what a request is: what an LMS remembers of one must not outlive it.
                RequestCache.clear_all_namespaces()
                failed = self._turn(options, stop)
        if failed and options["loop"] is None:
            raise CommandError(f"{failed} courses could not be refreshed; aggregator_status tells why.")

    @contextmanager
    def _scraped(self, options: dict[str, Any]) -> Iterator[None]:
        """Answer Prometheus, if that is wanted, while the loop runs."""
        port, address = options["metrics_port"], options["metrics_address"]
        if port is None:
            yield
            return
        if options["loop"] is None:
            raise CommandError("--metrics-port needs --loop: a run that ends is not there to be asked.")
        try:
            scraped = exposition.serve(port, address)
        except (OSError, OverflowError) as error:
            raise CommandError(f"Cannot listen on {address}:{port}: {error}") from error
        except exposition.NothingCounts as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Metrics: http://{address}:{scraped.port}/metrics")
        with scraped:
            yield

    def _turn(self, options: dict[str, Any], stop: Event) -> int:
        """Run once; a loop outlives a database that does not answer."""
        start = perf_counter()
        try:
            with span("turn"):
                failed = self._run(options, stop)
        except (InterfaceError, InternalError, OperationalError) as error:
            instruments.turned("interrupted", seconds=perf_counter() - start)
            if options["loop"] is None or not api.is_passing(error):
                raise
            self.stderr.write(f"The database does not answer: {error}")
            return 0
        instruments.turned("with_failures" if failed else "completed", seconds=perf_counter() - start)
        log.info("turn failed=%d seconds=%.3f", failed, perf_counter() - start)
        return failed

    def _run(self, options: dict[str, Any], stop: Event) -> int:
        """Refresh every waiting course once, and tell who reached a threshold; return how many could not be read."""
        api.mark_expired(now=timezone.now())
        looked, failed = self._settle(stop)
        courses = api.pending_courses()
        if options["routing_key"]:
            failed += self._send(courses, options)
            total = None
        else:
            total, unread = self._refresh(courses, options, stop)
            failed += unread
        found = self._reconcile(stop)
        self._deliver(options, stop)
        if total and (courses or looked or found.differing or options["loop"] is None):
            self._tell(total, looked, found, as_json=options["json"])
        return failed

    def _settle(self, stop: Event) -> tuple[int, int]:
        """Look at the learners of courses that changed; return how many, and how many courses cannot be read.

        A course that is not looked at to its end is begun again next time.
        """
        looked = failed = 0
        with meter("Comparing trees", None, sys.stderr) as progress:
            for done in api.settle_changes(self._quiet):
                looked += done.compared
                if done.error:
                    failed += not done.gone
                    self.stderr.write(f"{done.course_key}: {done.error}")
                progress.show(looked, f"{looked:,} learners of changed courses")
                if stop.is_set():
                    break
        return looked, failed

    def _reconcile(self, stop: Event) -> api.Findings:
        """Compare a bounded number of learners with their completions; who differs is refreshed by the next run."""
        total, learners = api.Findings(), setting("RECONCILE_LEARNERS")
        if not learners or stop.is_set():
            return total
        if monotonic() >= self._take_in_at:
            api.take_in_courses()
            self._take_in_at = monotonic() + SECONDS_BETWEEN_NEW_COURSES
        for done in api.reconcile_due(learners):
            total += done.found
            if stop.is_set():
                break
        return total

    def _refresh(
        self, courses: list[CourseKey], options: dict[str, Any], stop: Event
    ) -> tuple[api.RefreshSummary, int]:
        """Take a batch of each course in turn, so that a large one does not hold up the others."""
        total, failed, size = api.RefreshSummary(), 0, min(options["batch_size"], max(options["limit"], 1))
        turns = deque((key, api.refresh_batches(key, batch_size=size)) for key in courses)
        with meter("Refreshing", None, sys.stderr) as progress:
            while turns and not stop.is_set() and total.learners < options["limit"]:
                key, batches = turns.popleft()
                try:
                    done = next(batches, None)
                except UnknownCourse as error:
                    # Deleted, as a rule: what waits for it is kept, should it come back, and nobody has to do anything.
                    if not error.known:
                        self.stderr.write(f"{key}: {error}")
                    continue
                except CompletionAggregatorError as error:
                    failed += 1
                    self.stderr.write(f"{key}: {error}")
                    continue
                except OperationalError as error:
                    # It answers, but breaks this course off each time: what takes too long here is quick elsewhere.
                    if connection.connection is None or not connection.is_usable():
                        raise
                    failed += 1
                    self.stderr.write(f"{key}: the database broke it off: {error}")
                    continue
                if done is not None:
                    turns.append((key, batches))
                    total += done
                    progress.show(total.learners, f"{total.learners:,} learners")
                    stop.wait(options["delay_between_batches"])
        return total, failed

    def _deliver(self, options: dict[str, Any], stop: Event) -> None:
        """Tell for no longer than a loop pauses: meanwhile nothing is refreshed here."""
        loop = LONGEST_TELLING if options["loop"] is None else options["loop"]
        api.deliver(stopped=stop.is_set, seconds=min(max(loop, SHORTEST_TELLING), LONGEST_TELLING))

    def _send(self, courses: list[CourseKey], options: dict[str, Any]) -> int:
        """Queue a task for each course; the limit and the batch size go with it. Return how many could not be sent.

        A task that is lost, with its worker or with the queue, is sent again by the next run: what waits stands in the
        stale rows.
        """
        given = {"batch_size": options["batch_size"], "limit": options["limit"]}
        sent = 0
        try:
            for course_key in courses:
                tasks.refresh_course.apply_async(
                    kwargs={"course_key": str(course_key), **given}, queue=options["routing_key"]
                )
                sent += 1
        except BrokerError as error:
            self.stderr.write(f"The broker does not answer: {error}")
        self.stdout.write(f"{sent:,} courses sent to {options['routing_key']}.")
        return len(courses) - sent

    def _tell(self, total: api.RefreshSummary, looked: int, found: api.Findings, *, as_json: bool) -> None:
        if as_json:
            counts = {name: getattr(total, name) for name in total.__slots__}
            counts |= {"of_changed_courses": looked, "reconciled": found.compared, "differing": found.differing}
            self.stdout.write(json.dumps(counts))
            return
        line = f"{total.learners:,} learners refreshed, {total.written:,} rows written, {total.removed:,} removed"
        notes = [
            f"{total.failed:,} failed" if total.failed else "",
            f"{total.rebuilt:,} damaged vectors rebuilt" if total.rebuilt else "",
            f"{total.mended:,} completions outside 0 to 1 cut to it" if total.mended else "",
            f"{total.unknown_users:,} rows of users who are gone" if total.unknown_users else "",
            f"{looked:,} learners of changed courses looked at" if looked else "",
            f"{found.differing:,} learners found wrong, to be refreshed next" if found.differing else "",
        ]
        self.stdout.write(f"{'; '.join([line, *filter(None, notes)])} ({total.seconds:.1f} s).")
