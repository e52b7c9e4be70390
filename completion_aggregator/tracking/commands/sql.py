"""``tracking sql``: ask the tables."""

import argparse
import csv
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import duckdb

from completion_aggregator.tracking import views
from completion_aggregator.tracking.cells import neutral_row, visible, visible_lines
from completion_aggregator.tracking.commands import view_file
from completion_aggregator.tracking.commands.options import add_parser, add_store, opened_store

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
SQL of DuckDB, over views of all tables; the old names of json_to_relation are views, too. Without a query,
statements are read from standard input, each up to a semicolon. With --private the tables that say who are there in
the schema "private"; each use is written to their access log.

examples:
  tracking sql "SHOW TABLES"
  tracking sql "SELECT day, count(DISTINCT person) FROM event GROUP BY day ORDER BY day"
  tracking sql "SELECT * FROM EdxTrackEvent LIMIT 10" --format csv
  tracking sql --write learning.duckdb           the views, as a file for other programs

Such a file names the parts that the store has now: later loads are not in it, and after `people forget`, or an hour
after `store optimise`, its views fail, since parts that they name are gone. To write it again takes a moment and leaves
what else is in it: let cron do so behind each of these. It cannot be written while another program has it open.
"""
_FORMATS: Final = ("table", "csv", "json")
_SHOWN: Final = 1000


def register(commands: "Subparsers") -> None:
    """Add ``sql``."""
    parser = add_parser(commands, "sql", "ask the tables in SQL", _EPILOG)
    parser.add_argument("query", nargs="?", metavar="QUERY", help="the query; none: read from standard input")
    parser.add_argument("--format", choices=_FORMATS, default="table", help="how rows are printed (%(default)s)")
    parser.add_argument("--private", action="store_true", help="with the tables that say who, in the schema private")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the views into a DuckDB file instead, or anew"
    )
    add_store(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Answer one query, or each that is typed."""
    store = opened_store(options)
    if options.write:
        view_file.write(store, options.write, private=options.private)
        print(
            f"{options.write} has views of what is loaded now; write it again after `load`, `store optimise` and"
            " `people forget`.",
            file=out,
        )
        return 0
    with views.connected(store, private=options.private) as connection:
        if options.query:
            return _answer(connection, options.query, options.format, out, err)
        return _converse(connection, options.format, out, err)


def _converse(connection: duckdb.DuckDBPyConnection, form: str, out: TextIO, err: TextIO) -> int:
    at_terminal = sys.stdin.isatty()
    status, statement = 0, ""
    while True:
        try:
            line = input("... " if statement else "tracking> ") if at_terminal else next(sys.stdin)
        except (EOFError, StopIteration):
            break
        statement += line.rstrip("\n") + "\n"
        if statement.rstrip().endswith(";"):
            status |= _answer(connection, statement, form, out, err)
            statement = ""
    if statement.strip():
        status |= _answer(connection, statement, form, out, err)
    return 0 if at_terminal else status


def _answer(connection: duckdb.DuckDBPyConnection, query: str, form: str, out: TextIO, err: TextIO) -> int:
    try:
        found = connection.execute(query)
        names = [each[0] for each in found.description or ()]
        _PRINTERS[form](found, names, out)
    except duckdb.Error as error:
        print(f"Error: {visible_lines(str(error).strip())}", file=err)
        return 1
    return 0


def _as_csv(found: duckdb.DuckDBPyConnection, names: list[str], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(neutral_row(names))
    while rows := found.fetchmany(_SHOWN):
        writer.writerows([neutral_row(row) for row in rows])


def _as_json(found: duckdb.DuckDBPyConnection, names: list[str], out: TextIO) -> None:
    while rows := found.fetchmany(_SHOWN):
        for row in rows:
            print(json.dumps(_plain(dict(zip(names, row, strict=True))), default=str, ensure_ascii=False), file=out)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, which knows no numbers that are none, and no keys but texts."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _as_table(found: duckdb.DuckDBPyConnection, names: list[str], out: TextIO) -> None:
    rows = found.fetchmany(_SHOWN + 1)
    cells = [[visible(each) for each in names], *([_cell(each) for each in row] for row in rows[:_SHOWN])]
    widths = [max(len(row[at]) for row in cells) for at in range(len(names))]
    for number, row in enumerate(cells):
        print("  ".join(each.ljust(width) for each, width in zip(row, widths, strict=True)).rstrip(), file=out)
        if number == 0:
            print("  ".join("-" * width for width in widths), file=out)
    if len(rows) > _SHOWN:
        print(f"... the first {_SHOWN:,} rows; --format csv prints all", file=out)


def _cell(value: Any) -> str:
    text = "" if value is None else visible(str(value))
    return text if len(text) <= 80 else text[:79] + "…"


_PRINTERS: Final = {"table": _as_table, "csv": _as_csv, "json": _as_json}
