"""``tracking store``: make a store, or destroy one."""

import argparse
import json
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, TextIO

from completion_aggregator.meter import Meter, meter
from completion_aggregator.tracking import optimise as optimising
from completion_aggregator.tracking.clickhouse.access import connection_to
from completion_aggregator.tracking.clickhouse.binding import bind, require_unused
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, add_target, store_of
from completion_aggregator.tracking.errors import NoStore, TrackingError
from completion_aggregator.tracking.ledger import VERSION
from completion_aggregator.tracking.store import Store

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
A store is two folders and a file: the open tables, the private ones beside them (DIR-private, for their
owner alone), and the keys (DIR-keys.json). Keep a copy of the keys elsewhere: without them no more logs can be loaded.
With --to the tables are in ClickHouse, and the folders hold the ledger; destroying the store leaves those tables there.

examples:
  tracking store init --store /srv/tracking
  tracking store init --to clickhouse://loader@clickhouse.example.org:8123/learning
  tracking store destroy --store /srv/tracking --yes-delete tracking
"""
_OPTIMISE: Final = """\
Each load leaves a file for each table and day. They become one, sorted by course and time, which is read faster. Events
that name a learner without a number get the person of the number, where the private tables know exactly one.
Run it now and then, such as once a week; files that were replaced are deleted by the next load or optimise an
hour later, so that whoever is reading them can go on.

examples:
  tracking store optimise --dry-run
  tracking store optimise --days 14
"""


def register(commands: "Subparsers") -> None:
    """Add ``store init`` and what else is done to a whole store."""
    parser = add_parser(commands, "store", "make, tidy, or destroy the store of tracking logs", _EPILOG)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    init = add_parser(actions, "init", "make an empty store; one that is there is left alone")
    add_target(init)
    migrate = add_parser(actions, "migrate", "bring a store to the version of this program; run it after an upgrade")
    optimise = add_parser(actions, "optimise", "merge small files, and join persons known by name alone", _OPTIMISE)
    optimise.add_argument("--days", type=_days, metavar="N", help="only the last N days that there are (default: all)")
    optimise.add_argument("--dry-run", action="store_true", help="only say what there is to do")
    destroy = add_parser(actions, "destroy", "delete a store with all that is in it; the keys stay")
    destroy.add_argument("--yes-delete", metavar="NAME", help="the name of the store's folder, to say that you mean it")
    for each, run in ((init, run_init), (migrate, run_migrate), (optimise, run_optimise), (destroy, run_destroy)):
        add_store(each)
        add_json(each)
        each.set_defaults(run=run)


def run_init(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Make an empty store."""
    store = store_of(options)
    elsewhere = connection_to(options.to) if options.to else None
    if elsewhere:
        require_unused(elsewhere)
    store.create()
    places = {"store": str(store.folder), "private": str(store.private_folder), "keys": str(store.keys_path)}
    if elsewhere:
        with store.writing() as ledger:
            bind(ledger, elsewhere)
        places["tables"] = str(elsewhere.target)
    if options.json:
        print(json.dumps(places), file=out)
    else:
        tables = f", and its tables in {elsewhere.target}" if elsewhere else ""
        print(f"Made {store.folder}{tables}. Keep a copy of {store.keys_path} elsewhere.", file=out)
    return 0


def run_migrate(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Bring the ledger to the version of this program."""
    store = store_of(options)
    had = store.migrate()
    if options.json:
        print(json.dumps({"had": had, "has": VERSION}), file=out)
    elif had == VERSION:
        print(f"{store.folder} is of version {VERSION} already.", file=out)
    else:
        print(f"{store.folder} was of version {had} and is of version {VERSION} now.", file=out)
    return 0


def run_optimise(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Merge small parts, and join persons."""
    store = store_of(options)
    with store.reading():
        pass
    started = time.perf_counter()
    days = options.days
    found = optimising.plan(store, days=days) if options.dry_run else _optimise(store, days)
    if options.json:
        print(json.dumps(asdict(found) | {"seconds": round(time.perf_counter() - started, 3)}), file=out)
        return 0
    would = "would become" if options.dry_run else "became"
    print(
        f"{found.parts_before:,} files of {found.days:,} days, {found.bytes / 1e6:,.1f} MB, {would}"
        f" {found.parts_after:,}. Names that have a number now: {found.joined:,}; names of several persons, left alone:"
        f" {found.ambiguous:,}.",
        file=out,
    )
    return 0


def _optimise(store: Store, days: int | None) -> optimising.Optimised:
    done = total = 0
    with ExitStack() as stack:
        bar: Meter | None = None

        def begin(found: optimising.Optimised) -> None:
            nonlocal bar, total
            total = found.bytes
            bar = stack.enter_context(meter("Optimising", total or None, sys.stderr))

        def advance(size: int) -> None:
            nonlocal done
            done += size
            if bar:
                bar.show(done, f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

        return optimising.optimise(store, advance, days=days, begin=begin)


def _days(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return int(text)


def run_destroy(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Delete a store."""
    store = store_of(options)
    if not store.exists:
        raise NoStore(f"there is no store in {store.folder}")
    if options.yes_delete != store.folder.name:
        raise TrackingError(
            f"this would delete {store.folder} and {store.private_folder}: say --yes-delete {store.folder.name}"
        )
    with store.writing():
        shutil.rmtree(store.private_folder)
        shutil.rmtree(store.folder)
    if options.json:
        print(json.dumps({"deleted": [str(store.folder), str(store.private_folder)]}), file=out)
    else:
        print(f"Deleted {store.folder} and {store.private_folder}. The keys are in {store.keys_path} still.", file=out)
    return 0
