"""Delete stale rows that are done with."""

import sys
from argparse import ArgumentParser
from collections.abc import Collection
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.arguments import course_key, positive
from completion_aggregator.meter import meter
from completion_aggregator.ports import get_platform

#: How long it can be looked up that a webhook was told, and what waits for one that is not set is kept.
KEPT: Final = timedelta(days=30)
#: How long a tree that a platform showed is kept for those who are being refreshed with it.
SHOWN: Final = timedelta(days=1)

#: What is kept of a course, in words.
KINDS: Final = {
    "stale": "stale rows",
    "tallies": "tallies",
    "progress": "rows of progress",
    "crossings": "thresholds reached",
    "deliveries": "deliveries",
}


class Command(BaseCommand):
    """Delete stale rows that are done with, in bounded chunks."""

    help = (
        "Delete the queue rows whose work is done. Chunks are small transactions: safe beside a running site."
        " With --course, first remove all that is kept of a course that the platform does not have any more, and what"
        " waits for it. Should it come back, its learners are worked out anew."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the size of a chunk, and courses that are gone."""
        parser.add_argument(
            "--course", type=course_key, action="append", default=[], dest="courses", metavar="COURSE",
            help="a course that was deleted, of which nothing is to be kept; may be given several times",
        )  # fmt: skip
        parser.add_argument(
            "--chunk-size", type=positive, default=5000, help="rows deleted in one transaction (default: 5000)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete until nothing is left to."""
        self._retire(options["courses"])
        total = 0
        with meter("Cleaning up", None, sys.stderr) as progress:
            for deleted in api.delete_resolved(chunk=options["chunk_size"]):
                total += deleted
                progress.show(total, f"{total:,} rows")
        self.stdout.write(f"{total:,} resolved rows deleted.")
        if unseen := api.delete_unseen(before=timezone.now() - SHOWN):
            self.stdout.write(f"{unseen:,} trees deleted that nobody sees any more.")
        before = timezone.now() - KEPT
        if told := sum(api.delete_delivered(before=before)):
            self.stdout.write(f"{told:,} deliveries deleted that were made more than {KEPT.days} days ago.")
        if forsaken := sum(api.delete_forsaken(before=before)):
            self.stdout.write(f"{forsaken:,} old deliveries deleted to webhooks that are not set any more.")

    def _retire(self, course_keys: Collection[CourseKey]) -> None:
        there = set(get_platform().course_keys()) if course_keys else set()
        if found := sorted(str(key) for key in course_keys if key in there):
            raise CommandError(f"Nothing was deleted: the platform has {', '.join(found)}.")
        for key in course_keys:
            removed = asdict(api.retire_course(key))
            counts = [f"{removed[kind]:,} {words}" for kind, words in KINDS.items() if removed[kind]]
            self.stdout.write(f"{key}: {', '.join(counts) or 'nothing'} removed.")
