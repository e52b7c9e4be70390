"""``tracking load``: logs into the store."""

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from completion_aggregator.meter import Meter, meter
from completion_aggregator.tracking import loading
from completion_aggregator.tracking.cells import visible
from completion_aggregator.tracking.clerk import Summary
from completion_aggregator.tracking.commands.options import (
    add_json,
    add_parser,
    add_store,
    add_target,
    cores,
    destination_of,
    load_settings,
    opened_store,
)
from completion_aggregator.tracking.ledger import COUNTS
from completion_aggregator.tracking.sources import Source, listed
from completion_aggregator.tracking.store import Store

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
PATH is a log, a folder of logs or a glob: plain or gzip, finished or still growing. What was loaded before,
under whatever name, is not loaded again; of a log that grew, what is new. Interrupt it when you like, and run it
again. What is packed with bzip2, xz or zstd is not read: unpack it, or pack it with gzip.

Every line that is not blank ends as an event, a copy of one, or in quarantine:
  lines - blank + joined = events + copies + quarantined        (joined: further events on one line)

Exit status 1 if a file could not be read or unpacked to its end; all else is loaded.

With --to the rows go to ClickHouse, into the database named and, of the private tables, into NAME_private; the
store keeps its ledger and its keys, and remembers where its tables are: further loads go there by themselves.
Should the connection break, run it again: nothing is lost, nothing comes twice. Until ClickHouse has merged
them, rows of a load that was sent again may stand there twice: ask with FINAL.

examples:
  tracking load /var/log/tracking
  tracking load tracking.log-2024*.gz --workers 4
  tracking load s3://logs/tracking --dry-run
  tracking load /var/log/tracking --to clickhouse://loader@clickhouse.example.org:8123/learning
"""


def register(commands: "Subparsers") -> None:
    """Add ``load``."""
    parser = add_parser(commands, "load", "load logs into the store, each event exactly once", _EPILOG)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a log, a folder, a glob; s3:// and sftp:// too")
    parser.add_argument("--pattern", metavar="GLOB", help="which files of a folder are logs")
    parser.add_argument("--workers", type=_count, default=min(4, cores()), metavar="N", help="processes (%(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="only say how much is new, changed, known")
    add_keeping(parser)
    add_store(parser)
    add_target(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def add_keeping(parser: argparse.ArgumentParser) -> None:
    """Add what is kept in the private store besides."""
    parser.add_argument("--keep-text", action="store_true", help="keep the text of discussions and open responses")
    parser.add_argument("--keep-raw", action="store_true", help="keep each event as it was written")
    parser.add_argument("--legacy-anon-id", action="store_true", help="keep the hash that json_to_relation had")


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Load, and say what came of it."""
    store = opened_store(options)
    sources = [source for path in options.paths for source in listed(path, pattern=options.pattern)]
    if options.dry_run:
        return _dry_run(store, sources, options, out)
    return load(store, sources, options, out)


def load(store: Store, sources: list[Source], options: argparse.Namespace, out: TextIO) -> int:
    """Load the files, show how far it is, and say what came of it."""
    started = time.perf_counter()
    destination = destination_of(store, options.to)
    # Nothing in the loop has circles: millions of rows need not be searched for them.
    gc.disable()
    try:
        with meter("Loading", sum(source.size for source in sources) or None, sys.stderr) as bar:
            advance = _Advance(bar)
            settings = load_settings(store, options)
            summary = loading.load(store, sources, settings, advance, workers=options.workers, destination=destination)
    finally:
        gc.enable()
    _report(summary, time.perf_counter() - started, options, out)
    return 1 if summary.failures or summary.damaged else 0


class _Advance:
    """Tells the meter."""

    def __init__(self, bar: Meter) -> None:
        self._bar, self._started = bar, time.perf_counter()
        self._bytes = self._lines = self._refused = 0

    def __call__(self, packed_bytes: int, lines: int, refused: int) -> None:
        self._bytes += packed_bytes
        self._lines += lines
        self._refused += refused
        rate = self._lines / max(time.perf_counter() - self._started, 0.001)
        text = f"{self._bytes / 1e6:,.0f} MB, {self._lines:,} lines, {rate:,.0f}/s, {self._refused:,} refused"
        self._bar.show(self._bytes, text)


def _dry_run(store: Store, sources: list[Source], options: argparse.Namespace, out: TextIO) -> int:
    with store.reading() as ledger:
        planned = loading.plan(ledger, sources, now=datetime.now(UTC))
    new = len(planned.tasks) - planned.changed
    figures = {"new": new, "changed": planned.changed, "known": planned.known, "bytes": planned.bytes}
    if options.json:
        print(json.dumps(figures | {"files": [task.source.url for task in planned.tasks]}), file=out)
        return 0
    for task in planned.tasks:
        print(visible(f"{task.source.size:>14,}  {task.source.url}"), file=out)
    print(
        f"{new} new, {planned.changed} changed, {planned.known} known files; {planned.bytes:,} bytes to read.", file=out
    )
    return 0


def _report(summary: Summary, seconds: float, options: argparse.Namespace, out: TextIO) -> None:
    counts = {name: summary.counts[name] for name in COUNTS}
    if options.json:
        print(json.dumps(as_json(summary, counts, seconds)), file=out)
        return
    read = summary.files - summary.known
    print(
        f"{read} files read, {summary.known} known: {counts['lines']:,} lines, {counts['events']:,} new events,"
        f" {counts['copies']:,} copies, {counts['quarantined']:,} quarantined, {counts['repaired']:,} repaired"
        f" ({seconds:.1f} s, {counts['lines'] / max(seconds, 0.001):,.0f} lines/s).",
        file=out,
    )
    for line in _troubles(summary):
        print(visible(line), file=out)


def as_json(summary: Summary, counts: dict[str, int], seconds: float) -> dict[str, Any]:
    """Return what came of a load as a machine wants it."""
    return counts | {
        "files": summary.files,
        "known": summary.known,
        "bytes": summary.bytes,
        "loads": summary.loads,
        "seconds": round(seconds, 3),
        "failures": [{"file": file, "reason": reason} for file, reason in summary.failures],
        "damaged": [{"file": file, "damage": damage} for file, damage in summary.damaged],
    }


def _troubles(summary: Summary) -> Iterator[str]:
    for file, damage in summary.damaged:
        yield f"  damaged: {file}: {damage}; what could be unpacked is loaded"
    for file, reason in summary.failures:
        yield f"  not read: {file}: {reason}"


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 64")
    return int(text)
