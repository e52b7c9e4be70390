"""``tracking status``: what is loaded, from where, what was refused."""

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from completion_aggregator.tracking.cells import visible
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, opened_store
from completion_aggregator.tracking.destination import TARGET
from completion_aggregator.tracking.ledger import COUNTS, Ledger, as_json

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_SOURCES: Final = "SELECT * FROM source ORDER BY source"
_TOTALS: Final = (
    "SELECT count(*) AS loads, coalesce(sum(bytes), 0) AS bytes, "
    + ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in COUNTS)
    + ", max(ended) AS last_load FROM load"
)
_RANGE: Final = "SELECT min(first) AS earliest, max(last) AS latest, count(*) AS sources FROM source"
_PARTS: Final = "SELECT name, count(*) AS parts, sum(rows) AS rows, sum(bytes) AS bytes FROM part GROUP BY name"
_FIELDS: Final = "SELECT * FROM field ORDER BY first DESC, count DESC LIMIT ?"

_EPILOG: Final = """\
  lines - blank + joined = events + copies + quarantined, in all and for each source

examples:
  tracking status
  tracking status --sources
  tracking status --fields 50       fields that no table has a column for, newest first
  tracking status --json
"""


def register(commands: "Subparsers") -> None:
    """Add ``status``."""
    parser = add_parser(commands, "status", "say what is loaded, from where, and what was refused", _EPILOG)
    parser.add_argument("--sources", action="store_true", help="each content that was loaded")
    parser.add_argument("--fields", type=int, metavar="N", help="the N newest fields that no column holds")
    add_store(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Say it."""
    with opened_store(options).reading() as ledger:
        found = status(ledger, fields=options.fields or 0)
    if options.json:
        print(json.dumps(found), file=out)
        return 0
    for line in _lines(found, with_sources=options.sources):
        print(visible(line), file=out)
    return 0


def status(ledger: Ledger, *, fields: int = 0) -> dict[str, Any]:
    """Return the totals, the sources, the tables and the newest fields."""
    totals = as_json(ledger.rows(_TOTALS))[0] | as_json(ledger.rows(_RANGE))[0]
    return totals | {
        "files": as_json(ledger.rows(_SOURCES)),
        "target": ledger.note(TARGET),
        "tables": as_json(ledger.rows(_PARTS)),
        "fields": as_json(ledger.rows(_FIELDS, fields)),
    }


def _lines(found: dict[str, Any], *, with_sources: bool) -> Sequence[str]:
    if not found["loads"]:
        return ["Nothing is loaded yet: tracking load PATH"]
    counts = ", ".join(f"{found[name]:,} {name}" for name in COUNTS)
    lines = [
        f"{found['sources']:,} sources, {found['bytes']:,} bytes, {found['loads']:,} loads; last {found['last_load']}",
        f"events from {found['earliest']} to {found['latest']}",
        counts,
        "",
        *([f"the tables are in {found['target']}"] if found["target"] else _table_lines(found["tables"])),
    ]
    if with_sources:
        lines += ["", *(_source_line(each) for each in found["files"])]
    if found["fields"]:
        lines += [
            "",
            *(f"{each['count']:>10,}  {each['name']}  {each['path']} ({each['type']})" for each in found["fields"]),
        ]
    return lines


def _table_lines(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield f"{'table':<16}{'rows':>16}{'bytes':>16}{'parts':>8}"
    for each in found:
        yield f"{each['name']:<16}{each['rows']:>16,}{each['bytes']:>16,}{each['parts']:>8,}"


def _source_line(each: dict[str, Any]) -> str:
    damage = f"  {each['damage']}" if each["damage"] else ""
    counts = f"{each['lines']:,} lines, {each['events']:,} events, {each['copies']:,} copies"
    return f"{each['source']:>6}  {each['name']}: {counts}, {each['quarantined']:,} quarantined{damage}"
