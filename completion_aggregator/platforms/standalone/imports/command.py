"""What ``import_enrollments`` and ``import_completions`` share: arguments, progress, summary, exit status."""

import json
import logging
import sys
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Protocol

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.meter import meter
from completion_aggregator.platforms.standalone.imports.rejects import Rejects
from completion_aggregator.platforms.standalone.imports.rows import STDIN, Columns, Source, Values, opened, read_rows

log = logging.getLogger(__name__)

SOME_REJECTED = 1
UNUSABLE = 2
REASONS_SHOWN = 10


class RowsImport(Protocol):
    """One run over one file."""

    summary: Any

    def run(self, rows: Iterator[tuple[int, Values]]) -> Iterator[Any]:
        """Import the rows, yielding after each chunk."""


class ImportCommand(BaseCommand):
    """Import a file of rows. Exit status: 0 all rows taken, 1 some rejected, 2 the file cannot be used."""

    noun: ClassVar[str]
    columns: ClassVar[Columns]
    details: ClassVar[str]

    def start(self, rejects: Rejects, options: Mapping[str, Any], *, now: datetime) -> RowsImport:
        """Return the run."""
        raise NotImplementedError

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Keep the line breaks of the details."""
        kwargs |= {"epilog": self.details, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what both imports take."""
        parser.add_argument("file", help="CSV with a header, or NDJSON; .gz too; - reads standard input")
        parser.add_argument("--rejects", type=Path, metavar="PATH", help="where rows that were not taken are kept")
        parser.add_argument("--json", action="store_true", help="print the summary as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import the file."""
        path = options["rejects"] or _rejects_path(self.noun, options["file"])
        if options["file"] != STDIN and path.resolve() == Path(options["file"]).resolve():
            raise CommandError(f"--rejects {path} is the file to import.", returncode=UNUSABLE)
        started = time.perf_counter()
        try:
            with Rejects(path, self.columns.names) as rejects, opened(options["file"]) as source:
                run = self.start(rejects, options, now=datetime.now(UTC))
                self._follow(run, source, rejects)
        except CompletionAggregatorError as error:
            raise CommandError(str(error), returncode=UNUSABLE) from error
        self._report(run.summary, rejects, seconds=time.perf_counter() - started, as_json=options["json"])
        if rejects.count:
            raise SystemExit(SOME_REJECTED)

    def _follow(self, run: RowsImport, source: Source, rejects: Rejects) -> None:
        # Not self.stderr: it ends each write with a new line, and a bar is redrawn.
        with meter(f"Importing {self.noun}", source.size, sys.stderr) as progress:
            for summary in run.run(read_rows(source, self.columns, rejects)):
                progress.show(source.position, f"{summary.rows:,} rows")

    def _report(self, summary: Any, rejects: Rejects, *, seconds: float, as_json: bool) -> None:
        figures = asdict(summary) | {"seconds": round(seconds, 3)}
        log.info("imported noun=%s rows=%d rejected=%d seconds=%.3f", self.noun, summary.rows, rejects.count, seconds)
        if as_json:
            kept = {"rejects": str(rejects.path) if rejects.count else None, "reasons": dict(rejects.reasons)}
            self.stdout.write(json.dumps(figures | kept))
            return
        rate = f", {summary.rows / seconds:,.0f} rows/s" if summary.rows >= 1000 else ""
        parts = [f"{value:,} {name.replace('_', ' ')}" for name, value in asdict(summary).items() if value]
        self.stdout.write(f"{self.noun.capitalize()}: {', '.join(parts) or 'no rows'} ({seconds:.1f} s{rate}).")
        for reason, count in rejects.reasons.most_common(REASONS_SHOWN):
            self.stderr.write(f"  rejected {count:,}: {reason}")
        if rejects.count:
            self.stderr.write(f"  They are in {rejects.path}: correct them there, and import that file.")


def _rejects_path(noun: str, file: str) -> Path:
    """Return a path of this file's own: two files may have one name."""
    name = "stdin" if file == STDIN else Path(file).name
    folder = "" if file == STDIN else str(Path(file).resolve().parent)
    where = blake2b(folder.encode(errors="surrogateescape"), digest_size=3).hexdigest()
    return Path(getattr(settings, "HOME", Path.cwd())) / "rejects" / f"{noun}-{name}-{where}.rejects.csv"
