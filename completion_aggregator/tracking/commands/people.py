"""``tracking people``: who is who, and whom to forget."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from completion_aggregator.meter import meter
from completion_aggregator.tracking import people
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, opened_store
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.forgetting import Forgotten, forget
from completion_aggregator.tracking.people import Answer
from completion_aggregator.tracking.views import log_access

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
The open tables know persons by pseudonyms alone; who they are is in the private ones. Each use of these commands is
written to access.log in the private folder, without the names that were asked for.

examples:
  tracking people list --course 'course-v1:DemoU+*'
  tracking people map -o people.csv
  tracking people translate alice 4711 6f1ed002-ab5b-4d4a-9d2c-2d3b2f6f6c11
  tracking people forget alice --dry-run
"""
_FORGET: Final = """\
USER is a number or a name; id:123 and name:123 say which. All numbers and names that are known to be the same
person's are forgotten together. Their private rows are deleted, their events stay without person and session, and
a tombstone, made of hashes, keeps logs that are loaded later from bringing them back. Of somebody whom the store
never saw, give number and name.

What this cannot reach: the logs themselves (`tracking redact` makes copies without names), files that were cut out
of the store before, backups, and words of others that mention them.
"""


def register(commands: "Subparsers") -> None:
    """Add ``people list``, ``map``, ``translate`` and ``forget``."""
    parser = add_parser(commands, "people", "say who is who, or forget somebody", _EPILOG)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = add_parser(actions, "list", "print the user names of a course")
    listing.add_argument("--course", required=True, metavar="GLOB", help="the course, or a pattern of courses")
    mapping = add_parser(actions, "map", "write names, numbers and pseudonyms into a CSV file")
    mapping.add_argument("--course", metavar="GLOB", help="only of these courses")
    mapping.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the file to write")
    translating = add_parser(actions, "translate", "say who a name, number, pseudonym or old hash is")
    translating.add_argument("ids", nargs="+", metavar="ID", help="what is asked; - reads lines of input")
    forgetting = add_parser(actions, "forget", "delete what says who somebody is, for good", _FORGET)
    forgetting.add_argument("users", nargs="+", metavar="USER", help="a user's number or name")
    forgetting.add_argument("--dry-run", action="store_true", help="only say what there is to do")
    forgetting.add_argument("--yes", action="store_true", help="do it: it cannot be undone")
    runs = ((listing, run_list), (mapping, run_map), (translating, run_translate), (forgetting, run_forget))
    for each, run in runs:
        add_store(each)
        add_json(each)
        each.set_defaults(run=run)


def run_list(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Print the names of a course."""
    store = opened_store(options)
    with people.directory(store, f"people list --course {json.dumps(options.course)}") as directory:
        names = directory.usernames(options.course)
    if options.json:
        print(json.dumps(names), file=out)
    else:
        for name in names:
            print(_printable(name), file=out)
    return 0


def run_map(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Write the map."""
    store = opened_store(options)
    course = f" --course {json.dumps(options.course)}" if options.course else ""
    with people.directory(store, f"people map{course} -o {json.dumps(str(options.output))}") as directory:
        rows = people.write_map(directory.everybody(options.course), options.output)
    if options.json:
        print(json.dumps({"file": str(options.output), "rows": rows}), file=out)
    else:
        print(f"{options.output}: {rows:,} names. It says who is who: keep it as safe as the store.", file=out)
    return 0


def run_translate(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Say who that is; 1 if nobody was found."""
    store = opened_store(options)
    asked = list(_asked(options.ids, sys.stdin))
    with people.directory(store, f"people translate, {len(asked)} asked") as directory:
        answers = directory.translate(asked)
    if options.json:
        print(json.dumps([each.as_json() for each in answers], ensure_ascii=False), file=out)
    else:
        for line in (line for each in answers for line in _lines(each)):
            print(line, file=out)
    return 0 if any(each.found for each in answers) else 1


def run_forget(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Forget users."""
    store = opened_store(options)
    if not options.dry_run and not options.yes:
        raise TrackingError("this deletes for good: see what it would do with --dry-run, then say --yes")
    log_access(store, f"people forget{' --dry-run' if options.dry_run else ''}, {len(options.users)} asked")
    done = 0
    with meter("Forgetting", None, sys.stderr) as bar:

        def advance(size: int) -> None:
            nonlocal done
            done += size
            bar.show(done, f"{done / 1e6:,.0f} MB written anew")

        found = forget(store, options.users, dry_run=options.dry_run, advance=advance)
    if options.json:
        print(json.dumps(asdict(found)), file=out)
    else:
        print(*_report(found, is_plan=options.dry_run), sep="\n", file=out)
    return 0


def _report(found: Forgotten, *, is_plan: bool) -> Iterator[str]:
    would = "Would forget" if is_plan else "Forgot"
    rows = sum(found.rows.values())
    there = f"{rows:,} rows of {len(found.rows):,} tables in ClickHouse go, or lose what says whose they are; "
    yield (
        f"{would} {found.users:,} users with {found.names:,} names: {found.events:,} events; {there if rows else ''}"
        f"{found.parts:,} files ({found.bytes / 1e6:,.1f} MB) and {found.tables:,} tables of the platform are written"
        " anew."
    )
    if found.unseen:
        yield f"{found.unseen:,} of them the store does not know: logs that are loaded later will not name them either."
    if found.shared:
        yield (
            f"{found.shared:,} names were left, since they were seen with other numbers, too: if one is theirs,"
            " forget it by name and number."
        )


def _asked(ids: Iterable[str], stdin: TextIO) -> Iterator[str]:
    for each in ids:
        if each == "-":
            yield from (line.strip() for line in stdin if line.strip())
        else:
            yield each


def _lines(answer: Answer) -> Iterator[str]:
    """Yield what was asked, name, number, pseudonym and old hash, parted by tabs, of each one found."""
    asked = _printable(answer.asked)
    if not answer.found:
        yield f"{asked}\tunknown"
    for each in answer.found:
        number = "" if each.user_id is None else str(each.user_id)
        yield "\t".join((asked, _printable(each.username or ""), number, each.person, each.legacy or ""))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
