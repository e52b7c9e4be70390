"""Delete stale rows that are done with."""

import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand
from django.utils import timezone

from completion_aggregator.aggregation import api
from completion_aggregator.arguments import positive
from completion_aggregator.meter import meter

#: How long it can be looked up that a webhook was told, and what waits for one that is not set is kept.
KEPT: Final = timedelta(days=30)
#: How long a tree that a platform showed is kept for those who are being refreshed with it.
SHOWN: Final = timedelta(days=1)


class Command(BaseCommand):
    """Delete stale rows that are done with, in bounded chunks."""

    help = "Delete the queue rows whose work is done. Chunks are small transactions: safe beside a running site."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the size of a chunk."""
        parser.add_argument(
            "--chunk-size", type=positive, default=5000, help="rows deleted in one transaction (default: 5000)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete until nothing is left to."""
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
