"""``tracking gaps``: when nothing was logged."""

import argparse
import json
import re
from typing import TYPE_CHECKING, Final, TextIO

from completion_aggregator.tracking import gaps, views
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, opened_store

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
Times are UTC, to the minute. A gap is a site that was down, or a log that was not loaded.

examples:
  tracking gaps
  tracking gaps --longer-than 2h
  tracking gaps --course 'course-v1:DemoX+*'
"""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def register(commands: "Subparsers") -> None:
    """Add ``gaps``."""
    parser = add_parser(commands, "gaps", "say when nothing was logged", _EPILOG)
    parser.add_argument(
        "--longer-than", type=_duration, default=900, metavar="TIME", help="such as 90s, 15m, 2h, 1d (15m)"
    )
    parser.add_argument("--course", metavar="GLOB", help="only events of these courses")
    add_store(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """List them."""
    with views.connected(opened_store(options)) as connection:
        found = gaps.gaps(connection, seconds=options.longer_than, course=options.course)
    if options.json:
        rows = [
            {"began": each.began.isoformat(), "ended": each.ended.isoformat(), "seconds": each.seconds}
            for each in found
        ]
        print(json.dumps(rows), file=out)
        return 0
    for each in found:
        print(f"{each.began:%Y-%m-%d %H:%M}  {each.ended:%Y-%m-%d %H:%M}  {each.seconds / 60:>10,.0f} min", file=out)
    if not found:
        print("No gaps.", file=out)
    return 0


def _duration(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 15m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2]]
