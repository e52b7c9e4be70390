"""``tracking extract``: some courses and days of a table as one file."""

import argparse
import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from completion_aggregator.tracking import extract, views
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, opened_store
from completion_aggregator.tracking.extract import ALL, FORMATS, Cut

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
The tables are those of `tracking sql "SHOW TABLES"`, old names and refreshed tables included. Cells that a
spreadsheet would run as formulas get an apostrophe in front. A file that exists is never written over.

examples:
  tracking extract --course 'course-v1:DemoX+*' -o demo.parquet
  tracking extract --table video --from 2024-02-01 --to 2024-02-29 --columns person,block,position_s -o video.csv
  tracking extract --table response --course 'DemoX/*' --format sqlite -o answers.db
"""
_ENDINGS: Final = {".parquet": "parquet", ".csv": "csv", ".db": "sqlite", ".sqlite": "sqlite", ".duckdb": "duckdb"}


def register(commands: "Subparsers") -> None:
    """Add ``extract``."""
    parser = add_parser(commands, "extract", "write some courses and days of a table into a file", _EPILOG)
    parser.add_argument("--table", default="event", metavar="NAME", help="the table (%(default)s)")
    parser.add_argument("--course", metavar="GLOB", help="only these courses")
    parser.add_argument("--from", dest="since", type=_day, metavar="DAY", help="the first day, UTC, such as 2024-02-01")
    parser.add_argument("--to", dest="until", type=_day, metavar="DAY", help="the last day")
    columns = parser.add_mutually_exclusive_group()
    columns.add_argument(
        "--columns", type=_columns, default=(), metavar="A,B,C", help="these columns (default: all; of event the usual)"
    )
    columns.add_argument("--all-columns", action="store_true", help="all columns, of event too")
    parser.add_argument("--format", choices=FORMATS, help="default: what the name of FILE ends in, or parquet")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the file to write")
    add_store(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Write the file."""
    if options.since and options.until and options.since > options.until:
        print(f"Error: --from {options.since} is after --to {options.until}.", file=err)
        return 2
    form = options.format or _ENDINGS.get(options.output.suffix, "parquet")
    columns = ALL if options.all_columns else options.columns
    cut = Cut(options.table, options.course, options.since, options.until, columns)
    with views.connected(opened_store(options)) as connection:
        rows = extract.extract(connection, cut, options.output, form)
    if options.json:
        print(json.dumps({"file": str(options.output), "rows": rows, "format": form}), file=out)
    else:
        print(f"{options.output}: {rows:,} rows of {options.table}.", file=out)
    return 0


def _columns(text: str) -> tuple[str, ...]:
    found = tuple(each.strip() for each in text.split(",") if each.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} names no column")
    return found


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2024-02-01") from None
