"""``tracking dump``: cut tables out of a dump of the platform's database."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from completion_aggregator.tracking import dump
from completion_aggregator.tracking.commands.options import add_parser

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # argparse has no public name for it

_EPILOG: Final = """examples:
  tracking dump extract nightly.sql.gz auth_user student_courseenrollment -o two.sql.gz
  tracking dump extract nightly.sql.gz certificates_generatedcertificate | mariadb scratch
  ssh db mysqldump edxapp | tracking dump extract - auth_user > users.sql
  tracking dump tables nightly.sql.gz
"""


def register(subparsers: "Subparsers") -> None:
    """Add ``dump extract`` and ``dump tables``."""
    parser = add_parser(subparsers, "dump", "cut tables out of a dump made by mysqldump or mariadb-dump", _EPILOG)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = add_parser(actions, "extract", "write the sections of some tables, as SQL that can be loaded")
    _add_dump(one)
    one.add_argument("tables", nargs="+", metavar="TABLE", help="a table, or DATABASE.TABLE where several have it")
    one.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write here, packed if the name ends in .gz, and only if all is well; default: standard output",
    )
    one.set_defaults(run=run_extract)
    other = add_parser(actions, "tables", "list the tables of a dump")
    _add_dump(other)
    other.set_defaults(run=run_tables)


def run_extract(options: argparse.Namespace, out: TextIO, _: TextIO) -> int:
    """Write the sections. Raises AbsentTable, AmbiguousTable or DamagedDump."""
    if options.output:
        dump.extract_to(options.output, options.dump, options.tables)
    else:
        # A dump is bytes: what stands behind the text is written to, where there is such a thing.
        dump.extract(options.dump, options.tables, getattr(out, "buffer", None) or sys.stdout.buffer)
    return 0


def run_tables(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """List the tables; 1 if there are none. Raises DamagedDump."""
    tables = dump.tables_of(options.dump)
    names = sorted(f"{place}.{table}" if place else table for table, places in tables.items() for place in places)
    for name in names:
        print(name, file=out)
    if not names:
        print(f"{options.dump} has no tables: is it what mysqldump or mariadb-dump wrote?", file=err)
    return 0 if names else 1


def _add_dump(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dump", type=Path, metavar="DUMP", help="the dump, packed or not; - for standard input")
