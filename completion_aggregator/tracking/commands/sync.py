"""``tracking sync``: fetch what is new elsewhere, and load it; made for cron."""

import argparse
import fcntl
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.tracking.cells import visible, visible_lines
from completion_aggregator.tracking.commands import load, pull
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, cores, opened_store
from completion_aggregator.tracking.errors import StoreInUse

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_LOCK: Final = ".sync.lock"
_MOST_WORKERS: Final = 64
_WRONG_USE: Final = 2

_EPILOG: Final = """\
What `tracking pull SOURCE` and `tracking load` of the copies do, one after the other, with the options of both. What
cannot be fetched does not keep back what was: that is loaded, and the next run tries the rest again. --to is that of
pull; a store whose tables are in ClickHouse remembers so, from its first `tracking load --to`.

Safe from cron. While one run is at it, or somebody else writes into the store, another one says so and ends with 0:
what it would have done is done by the next one. cron mails whatever is printed; with --quiet that is nothing unless
something went wrong.

examples:
  tracking sync s3://logs/tracking --dry-run
  */10 * * * *  completion-aggregator tracking sync s3://logs/tracking --quiet
  tracking sync sftp://backup@archive.example.org/var/log/tracking --to /data/logs --workers 4
"""


def register(commands: "Subparsers") -> None:
    """Add ``sync``."""
    parser = add_parser(commands, "sync", "fetch new logs and load them, safe to run from cron", _EPILOG)
    parser.add_argument("source", metavar="SOURCE", help="where the logs are, as for pull")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where the copies go (default: the private folder)")
    parser.add_argument("--limit", type=_count, metavar="N", help="fetch at most N files, oldest first")
    parser.add_argument("--pattern", metavar="GLOB", help="which files are logs: of their names, or with a / of paths")
    parser.add_argument("--endpoint", metavar="URL", help="address of a store that speaks S3 but is not Amazon's")
    parser.add_argument(
        "--workers", type=_workers, default=min(4, cores()), metavar="N", help="processes (%(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what is to be fetched, and to be loaded")
    parser.add_argument("--quiet", action="store_true", help="print nothing of what went well")
    load.add_keeping(parser)
    add_store(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Fetch, load, and say what came of both."""
    folder = options.to or opened_store(options).private_folder / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder) as is_alone:
        if not is_alone:
            return _left_to(f"Another sync into {folder} is at work", options, out)
        return _both(folder, options, out, err)


def _both(folder: Path, options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    told: dict[str, Any] = {}
    status = _fetched(options, told, out, err)
    if status == _WRONG_USE:
        return status
    # Of load, --to is a database: the store remembers it.
    given = argparse.Namespace(**vars(options) | {"paths": [str(folder)], "to": None, "json": True})
    said = io.StringIO()
    try:
        status = max(status, load.run(given, said, err))
    except StoreInUse as error:
        return status or _left_to(str(error), options, out)
    told["load"] = json.loads(said.getvalue())
    if options.json:
        print(json.dumps(told), file=out)
    else:
        _tell(told["load"], options, out, err)
    return status


def _fetched(options: argparse.Namespace, told: dict[str, Any], out: TextIO, err: TextIO) -> int:
    """Fetch; what goes wrong is told, and does not end the run."""
    said = io.StringIO()
    try:
        status = pull.run(options, said, err)
    except CompletionAggregatorError as error:
        print(f"Error: {visible_lines(str(error))}", file=err)
        told["pull"] = {"error": str(error)}
        return 1
    if options.json and said.getvalue():
        told["pull"] = json.loads(said.getvalue())
    elif status or not options.quiet:
        print(said.getvalue(), end="", file=err if options.quiet else out)
    return status


def _tell(found: dict[str, Any], options: argparse.Namespace, out: TextIO, err: TextIO) -> None:
    if options.dry_run:
        print(f"{found['new']} new, {found['changed']} changed, {found['known']} known files to load.", file=out)
        return
    for each in found["damaged"]:
        print(visible(f"  damaged: {each['file']}: {each['damage']}; what could be unpacked is loaded"), file=err)
    for each in found["failures"]:
        print(visible(f"  not read: {each['file']}: {each['reason']}"), file=err)
    if not options.quiet:
        print(
            f"{found['files'] - found['known']} files read, {found['known']} known: {found['lines']:,} lines,"
            f" {found['events']:,} new events, {found['copies']:,} copies, {found['quarantined']:,} quarantined"
            f" ({found['seconds']:.1f} s).",
            file=out,
        )


def _left_to(why: str, options: argparse.Namespace, out: TextIO) -> int:
    if options.json:
        print(json.dumps({"left": why}), file=out)
    elif not options.quiet:
        print(f"{why}. The next run does what is left.", file=out)
    return 0


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Tell whether nobody else syncs into the folder; the lock goes with the process."""
    with (folder / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _workers(text: str) -> int:
    if _count(text) > _MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST_WORKERS}")
    return int(text)
