"""``tracking store``: make a store, or destroy one."""

import argparse
import json
import shutil
from typing import TYPE_CHECKING, Final, TextIO

from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, store_of
from completion_aggregator.tracking.errors import NoStore, TrackingError
from completion_aggregator.tracking.ledger import VERSION

if TYPE_CHECKING:
    from completion_aggregator.tracking.commands.options import Subparsers

_EPILOG: Final = """\
A store is two folders and a file: the open tables, the private ones beside them (DIR-private, for their
owner alone), and the keys (DIR-keys.json). Keep a copy of the keys elsewhere: without them no more logs can be loaded.

examples:
  tracking store init --store /srv/tracking
  tracking store destroy --store /srv/tracking --yes-delete tracking
"""


def register(commands: "Subparsers") -> None:
    """Add ``store init`` and what else is done to a whole store."""
    parser = add_parser(commands, "store", "make, tidy, or destroy the store of tracking logs", _EPILOG)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    init = add_parser(actions, "init", "make an empty store; one that is there is left alone")
    migrate = add_parser(actions, "migrate", "bring a store to the version of this program; run it after an upgrade")
    destroy = add_parser(actions, "destroy", "delete a store with all that is in it; the keys stay")
    destroy.add_argument("--yes-delete", metavar="NAME", help="the name of the store's folder, to say that you mean it")
    for each, run in ((init, run_init), (migrate, run_migrate), (destroy, run_destroy)):
        add_store(each)
        add_json(each)
        each.set_defaults(run=run)


def run_init(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Make an empty store."""
    store = store_of(options)
    store.create()
    places = {"store": str(store.folder), "private": str(store.private_folder), "keys": str(store.keys_path)}
    if options.json:
        print(json.dumps(places), file=out)
    else:
        print(f"Made {store.folder}. Keep a copy of {store.keys_path} elsewhere.", file=out)
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
