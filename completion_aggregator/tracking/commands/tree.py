"""The tree of ``tracking ...``: every command registers its parsers, errors become a sentence and a status."""

import argparse
import json
from collections.abc import Sequence
from importlib import import_module
from typing import Final, TextIO

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.tracking.cells import visible_lines

#: In the order in which one needs them.
COMMANDS: Final = (
    "store",
    "pull",
    "load",
    "sync",
    "status",
    "check",
    "sql",
    "extract",
    "gaps",
    "lookup",
    "people",
    "refresh",
    "dump",
    "redact",
)

_EPILOG: Final = """first steps:
  tracking store init                       make an empty store, with keys of its own
  tracking load /var/log/tracking           load what is new, as often as you like
  tracking status                           what is loaded, from where, what was refused

exit status: 0 done, 1 something was not, 2 wrong use
"""
FAILED: Final = 1


def run(program: str, arguments: Sequence[str], out: TextIO, err: TextIO) -> int:
    """Run one command and return its exit status."""
    parser = build(program)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 2
    try:
        status: int = options.run(options, out, err)
    except CompletionAggregatorError as error:
        return _say(str(error), options, out, err)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        return _say(f"{error.filename or 'the store'}: {error.strerror or error}", options, out, err)
    return status


def build(program: str) -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Turn tracking logs into tables, exactly once, without anybody's name in them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"completion_aggregator.tracking.commands.{name}").register(commands)
    return parser


def _say(message: str, options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    if getattr(options, "json", False):
        print(json.dumps({"error": message}), file=out)
    print(f"Error: {visible_lines(message)}", file=err)
    return FAILED
