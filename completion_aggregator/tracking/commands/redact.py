"""``tracking redact``: copies of logs in which nobody has a name."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from completion_aggregator.meter import meter
from completion_aggregator.tracking.cells import visible
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, opened_store
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.redact import Line, Redacted, redact_file, redact_folder
from completion_aggregator.tracking.sources import listed

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
IN is a log, plain or gzip, or a folder of logs; OUT must not exist yet, and is there only when it is whole. It is
packed where its name ends in .gz.

Names, mails, numbers of users, addresses and sessions become pseudonyms made with the keys of the store: the same
person is the same in all copies. Text of discussions and open responses becomes its length. Every line stays a line;
of one that is no JSON object only the reason and the length are left. A log that cannot be read is told and left out:
the exit status is 1 then. The logs themselves stay as they are: deleting them is yours to do.

examples:
  tracking redact tracking.log-20240101.gz archive/tracking.log-20240101.gz
  tracking redact /var/log/tracking /data/archive/2024 --keep-sessions
"""


def register(commands: "Subparsers") -> None:
    """Add ``redact``."""
    parser = add_parser(commands, "redact", "copy logs for an archive, with nobody's name in them", _EPILOG)
    parser.add_argument("source", metavar="IN", help="a log or a folder of logs")
    parser.add_argument("target", metavar="OUT", type=Path, help="the copy: a file, or a new folder")
    parser.add_argument("--keep-sessions", action="store_true", help="leave sessions as they are written")
    parser.add_argument("--pattern", metavar="GLOB", help="which files of a folder are logs")
    add_store(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Copy, and say what came of it."""
    if Path(options.source).is_dir() and options.target.resolve().is_relative_to(Path(options.source).resolve()):
        print(f"Error: {options.target} lies in {options.source}: name a place outside of it.", file=err)
        return 2
    line = Line(Pseudonyms(opened_store(options).keys), keeps_sessions=options.keep_sessions)
    sources = list(listed(options.source, pattern=options.pattern))
    if not sources:
        print(f"Error: there is no log in {options.source}. Is --pattern right?", file=err)
        return 2
    with meter("Redacting", sum(max(source.size, 0) for source in sources) or None, err) as bar:
        if len(sources) == 1 and Path(options.source).is_file():
            result = redact_file(sources[0], options.target, line, meter=bar)
        else:
            result = redact_folder(sources, options.target, line, meter=bar)
    _report(result, options, out)
    return 1 if result.damaged or result.unread else 0


def _report(result: Redacted, options: argparse.Namespace, out: TextIO) -> None:
    if options.json:
        damaged = [{"file": url, "damage": damage} for url, damage in result.damaged]
        failures = [{"file": url, "reason": reason} for url, reason in result.unread]
        told = {"files": result.files, "lines": result.lines, "replaced": dict(result.replaced)}
        print(json.dumps(told | {"damaged": damaged, "failures": failures}), file=out)
        return
    print(f"{result.files:,} files, {result.lines:,} lines written to {visible(str(options.target))}.", file=out)
    for reason, count in sorted(result.replaced.items()):
        print(f"  {count:,} lines of which only the length is left: {reason}", file=out)
    for url, damage in result.damaged:
        print(visible(f"  damaged: {url}: {damage}; what could be unpacked is copied"), file=out)
    for url, reason in result.unread:
        print(visible(f"  not read: {url}: {reason}"), file=out)
