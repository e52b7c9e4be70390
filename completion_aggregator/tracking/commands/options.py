"""Options that several commands have, spelled alike in all, and what they mean."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from completion_aggregator.conf import setting
from completion_aggregator.tracking.clickhouse.access import connection_to
from completion_aggregator.tracking.destination import TARGET
from completion_aggregator.tracking.load import Settings
from completion_aggregator.tracking.site import site_store, store_in
from completion_aggregator.tracking.store import Store

if TYPE_CHECKING:
    from completion_aggregator.tracking.destination import Destination

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # argparse has no public name for it


def add_parser(commands: "Subparsers", name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
    """Add the parser of a command."""
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add what says which store is meant."""
    parser.add_argument("--store", type=Path, metavar="DIR", help="the store (default: that of the site's settings)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")


def store_of(options: argparse.Namespace) -> Store:
    """Return the store that is meant, whether or not it exists."""
    return store_in(options.store) if options.store else site_store()


def opened_store(options: argparse.Namespace) -> Store:
    """Return the store that is meant. Raises NoStore. Whoever only asks needs no keys, and may not read them."""
    store = store_of(options)
    with store.reading():
        pass
    return store


def load_settings(store: Store, options: argparse.Namespace) -> Settings:
    """Return what decides how lines become rows."""
    return Settings(
        roots=store.roots,
        keys=store.keys,
        countries=_path("TRACKING_COUNTRIES"),
        keeps_text=options.keep_text or setting("TRACKING_KEEP_TEXT"),
        keeps_raw=options.keep_raw or setting("TRACKING_KEEP_RAW"),
        legacy_ids=options.legacy_anon_id,
    )


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add what says that the tables are elsewhere."""
    parser.add_argument(
        "--to",
        metavar="URL",
        help="have the tables in ClickHouse: clickhouse://user@host:8123/database[?cluster=NAME], clickhouses:// for"
        " https; the password is in CLICKHOUSE_PASSWORD",
    )


def destination_of(store: Store, to: str | None) -> "Destination | None":
    """Return where the tables of the store are, if not in its folders: named, or as the store was begun."""
    with store.reading() as ledger:
        named = to or ledger.note(TARGET)
    if not named:
        return None
    from completion_aggregator.tracking.clickhouse.storing import Clickhouse

    return Clickhouse(connection_to(named), store.roots)


def cores() -> int:
    """Return how many processes this one may keep busy."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _path(name: str) -> Path | None:
    given = setting(name)
    return Path(given) if given else None
