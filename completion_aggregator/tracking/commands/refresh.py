"""``tracking refresh``: bring tables of the platform into the store."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from django.db import DEFAULT_DB_ALIAS

from completion_aggregator.ports import get_platform
from completion_aggregator.tracking import refresh
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, opened_store
from completion_aggregator.tracking.refresh import activity, forum, grades, platform
from completion_aggregator.tracking.refresh.site import Person

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # argparse has no public name for it

_EPILOG: Final = """examples:
  tracking refresh courses
  tracking refresh all --from-dump nightly.sql.gz --forum-dump contents.bson
  tracking refresh platform --tables enrollment_now,user
  tracking refresh activity --using read_replica

Each table is replaced when its new rows are all written; until then, and if it fails, the old ones stay.
Private tables (user, profile, lti_person, anonymous_id, post_text) go to the private store. A standalone site has
courses, and of platform enrollment_now and cohort_member; all else comes out of a dump of its LMS.
"""
#: In the order in which ``all`` runs them.
KINDS: Final = ("courses", "grades", "platform", "forum", "activity")
_READ: Final[Mapping[str, Sequence[str]]] = {
    "grades": grades.SOURCES,
    "platform": platform.SOURCES,
    "forum": forum.SOURCES,
    "activity": activity.SOURCES,
}


@dataclass(frozen=True, slots=True)
class _Request:
    """What is to be refreshed, from where to where."""

    source: refresh.Source
    target: refresh.Target
    pseudonym: refresh.Pseudonym
    person: Person
    #: Whether it is the site's own database that is read.
    is_here: bool
    tables: Sequence[str] = ()
    forum_dump: Path | None = None
    keep_text: bool = False


def register(subparsers: "Subparsers") -> None:
    """Add ``refresh``."""
    parser = add_parser(
        subparsers,
        "refresh",
        "bring courses, grades, enrollments, posts and states of problems into the store",
        _EPILOG,
    )
    parser.add_argument("what", choices=(*KINDS, "all"), metavar="WHAT", help=f"{', '.join(KINDS)} or all")
    parser.add_argument("--from-dump", type=Path, metavar="FILE", help="read a dump by mysqldump, not the database")
    parser.add_argument("--dump-database", default="", metavar="NAME", help="which of the dump's databases to read")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where to keep tables of the dump while reading")
    parser.add_argument("--using", default="default", metavar="ALIAS", help="the site's database to read, by alias")
    parser.add_argument(
        "--tables",
        type=_names,
        default=(),
        metavar="A,B",
        help=f"of platform, these alone: {', '.join(refresh.PLATFORM_TABLES)}",
    )
    parser.add_argument("--forum-dump", type=Path, metavar="FILE", help="contents.bson of the older forum's MongoDB")
    parser.add_argument("--keep-text", action="store_true", help="keep the text of posts, in the private store")
    add_store(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Refresh; 1 if any of it failed, 2 if it cannot be meant."""
    if options.tables and options.what not in ("platform", "all"):
        print(f"--tables chooses tables of platform, not of {options.what}", file=err)
        return 2
    kinds = KINDS if options.what == "all" else (options.what,)
    store = opened_store(options)
    with ExitStack() as opened:
        request = _Request(
            source=_source(options, kinds, opened),
            target=refresh.ParquetTarget(store.tables_folder, store.private_folder / "tables"),
            pseudonym=lambda user_id: store.pseudonym(user_id, ""),
            person=store.pseudonym,
            is_here=not options.from_dump and options.using == DEFAULT_DB_ALIAS,
            tables=options.tables,
            forum_dump=options.forum_dump,
            keep_text=options.keep_text,
        )
        summaries = refresh.refresh_all(_refreshes(request, kinds))
    return report(summaries, out, err, as_json=options.json)


def report(summaries: Sequence[refresh.RefreshSummary], out: TextIO, err: TextIO, *, as_json: bool) -> int:
    """Print what each refresh came to; 1 if any failed."""
    if as_json:
        json.dump([each.as_json() for each in summaries], out, indent=2, ensure_ascii=False)
        print(file=out)
    for each in summaries:
        if each.error:
            print(f"{each.name} failed: {each.error}", file=err)
        elif not as_json:
            rows = ", ".join(f"{table} {count:,}" for table, count in each.rows.items())
            print(f"{each.name}: {rows} rows, {(each.ended - each.started).total_seconds():.1f} s", file=out)
            for note in each.notes:
                print(f"  {note}", file=out)
    return 1 if any(each.error for each in summaries) else 0


def _source(options: argparse.Namespace, kinds: Sequence[str], opened: ExitStack) -> refresh.Source:
    if not options.from_dump:
        return refresh.DatabaseSource(options.using)
    wanted = sorted({table for kind in kinds for table in _READ.get(kind, ())})
    dump = refresh.DumpSource(options.from_dump, wanted, database=options.dump_database, scratch=options.scratch)
    return opened.enter_context(dump)


def _refreshes(request: _Request, kinds: Sequence[str]) -> dict[str, Callable[[], refresh.RefreshSummary]]:
    source, target, pseudonym = request.source, request.target, request.pseudonym
    posts: refresh.Source | Path = request.forum_dump or source
    ways: dict[str, Callable[[], refresh.RefreshSummary]] = {
        "courses": lambda: refresh.refresh_courses(get_platform(), target),
        "grades": lambda: refresh.refresh_grades(source, target, pseudonym=pseudonym),
        "platform": lambda: _platform(request),
        "forum": lambda: refresh.refresh_forum(posts, target, pseudonym=pseudonym, keep_text=request.keep_text),
        "activity": lambda: refresh.refresh_activity(source, target, pseudonym=pseudonym),
    }
    return {kind: ways[kind] for kind in kinds}


def _platform(request: _Request) -> refresh.RefreshSummary:
    """Refresh from tables of an LMS, or from what a site that is none lists: its accounts have numbers of their own."""
    if request.is_here and platform.ENROLLMENTS not in request.source.tables():
        return refresh.refresh_site(get_platform(), request.target, person=request.person, wanted=request.tables)
    return refresh.refresh_platform(request.source, request.target, pseudonym=request.pseudonym, wanted=request.tables)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in refresh.PLATFORM_TABLES]:
        raise argparse.ArgumentTypeError(
            f"no table {', '.join(unknown)}; there are {', '.join(refresh.PLATFORM_TABLES)}"
        )
    return names
