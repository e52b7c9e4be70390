"""``tracking check``: a dry look at logs."""

import argparse
import json
from typing import TYPE_CHECKING, Final, TextIO

from completion_aggregator.tracking import checking
from completion_aggregator.tracking.cells import visible
from completion_aggregator.tracking.checking import Report
from completion_aggregator.tracking.commands.options import add_json, add_parser
from completion_aggregator.tracking.errors import Unreadable
from completion_aggregator.tracking.sources import Source, listed

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
Needs no store and keeps nothing. Exit status 1 if a file is damaged or holds lines that are no events, or if
there is no file.

examples:
  tracking check tracking.log-20240201.gz
  tracking check /var/log/tracking --json
"""
_SHOWN: Final = 10


def register(commands: "Subparsers") -> None:
    """Add ``check``."""
    parser = add_parser(commands, "check", "read logs and say what is in them, without loading", _EPILOG)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a log, a folder, a glob; s3:// and sftp:// too")
    parser.add_argument("--pattern", metavar="GLOB", help="which files of a folder are logs")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Check each file."""
    status = 0
    for path in options.paths:
        sources = list(listed(path, pattern=options.pattern))
        if not sources:
            print(visible(f"not read: {path}: there is no log in it. Is --pattern right?"), file=err)
        status |= not sources or _check(sources, options, out, err)
    return status


def _check(sources: list[Source], options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    status = 0
    for source in sources:
        try:
            report = checking.check(source)
        except Unreadable as error:
            print(visible(f"not read: {source.url}: {error}"), file=err)
            status = 1
            continue
        status |= bool(report.damage or report.counts["quarantined"])
        if options.json:
            print(json.dumps(checking.as_json(report)), file=out)
        else:
            print("\n".join(visible(line) for line in _lines(report)), file=out)
    return status


def _lines(report: Report) -> list[str]:
    counts = report.counts
    figures = f"{report.bytes:,} bytes, {counts['lines']:,} lines, {counts['events']:,} events"
    refused = f"{counts['repaired']:,} repaired, {counts['quarantined']:,} to quarantine, {counts['blank']:,} blank"
    lines = [f"{report.file}: {figures}, {refused}"]
    if report.damage:
        lines.append(f"  damaged: {report.damage}")
    lines += [f"  {count:>10,}  {family}" for family, count in report.families.most_common()]
    lines += [f"  {count:>10,}  no name that we know: {name}" for name, count in report.unknown.most_common(_SHOWN)]
    lines += [
        f"  refused at byte {offset:,} ({length:,} bytes): {reason}: {text[:80]!r}"
        for offset, length, reason, text in report.refused[:_SHOWN]
    ]
    return lines
