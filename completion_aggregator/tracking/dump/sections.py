"""The sections of tables, cut out of a dump: each a dump of its own, with the settings that it needs."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from completion_aggregator.tracking.dump.errors import AbsentTable, AmbiguousTable, UnusableTarget
from completion_aggregator.tracking.dump.statements import Kind, Reader, Statement
from completion_aggregator.tracking.dump.window import open_dump, open_packed, open_written

#: What says which changes a server has, for a copy of that whole server: no other takes it.
_OF_SERVER: Final = re.compile(rb"GTID_PURGED|SQL_LOG_BIN", re.IGNORECASE)


@dataclass(slots=True)
class Contents:
    """The tables of a dump, and in which of its databases they stand."""

    name: str
    databases: dict[str, set[str]] = field(default_factory=dict)

    def add(self, statement: Statement) -> None:
        """Note the table that a statement is about."""
        self.databases.setdefault(statement.table, set()).add(statement.database)

    def check(self, wanted: Collection[str]) -> None:
        """Raise AbsentTable or AmbiguousTable unless each of these tables is there, once."""
        if absent := [name for name in wanted if not self._places(name)]:
            raise AbsentTable(self.name, absent, self.databases)
        self.check_once(wanted)

    def check_once(self, wanted: Collection[str]) -> None:
        """Raise AmbiguousTable if one of these tables is there more than once."""
        for name in wanted:
            if len(places := self._places(name)) > 1:
                ways = ", ".join(sorted(f"{place}.{name}" for place in places))
                raise AmbiguousTable(f"{self.name} has {name} in several databases: name it as one of {ways}")

    def _places(self, name: str) -> set[str]:
        table, database = parts(name)
        return {place for place in self.databases.get(table, ()) if database in ("", place)}


def parts(name: str) -> tuple[str, str]:
    """Return table and database of ``TABLE`` or ``DATABASE.TABLE``; no database is ""."""
    database, _, table = name.rpartition(".")
    return table, database


def matching(statement: Statement, wanted: Collection[str]) -> str | None:
    """Return which of the wanted tables a statement is about."""
    for name in (statement.table, f"{statement.database}.{statement.table}"):
        if name in wanted:
            return name
    return None


def tables_of(dump: Path) -> dict[str, set[str]]:
    """Return the tables of a dump, each with the databases in which it stands ("" where the dump names none)."""
    with open_dump(dump) as window:
        contents = Contents(window.name)
        for statement in Reader(window):
            if statement.kind in (Kind.CREATE, Kind.INSERT):
                contents.add(statement)
    return contents.databases


def extract(dump: Path, tables: Collection[str], out: IO[bytes]) -> None:
    """Write the sections of some tables to *out*, as they come. Raises AbsentTable, AmbiguousTable or DamagedDump."""
    with open_dump(dump) as window:
        contents = Contents(window.name)
        for _, piece in _cut(Reader(window), set(tables), contents):
            out.write(piece)
    contents.check(tables)


def extract_to(path: Path, dump: Path, tables: Collection[str]) -> None:
    """Write the sections into a new file, packed if its name ends in ``.gz``; it is there when it is whole.

    Raises UnusableTarget, and what ``extract`` does.
    """
    if path.exists():
        raise UnusableTarget(f"{path} is there already: remove it, or choose another name")
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        with open_written(unfinished, packed=path.suffix == ".gz") as out:
            extract(dump, tables, out)
        unfinished.rename(path)
    except OSError as error:  # of the dump it would be another: see Window.fill
        raise UnusableTarget(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def split(dump: Path, tables: Collection[str], folder: Path) -> Mapping[str, Path]:
    """Cut those of some tables that are there into a packed file each, all in one pass over the dump."""
    wanted = set(tables)
    with open_dump(dump) as window, ExitStack() as files:
        contents, settings = Contents(window.name), bytearray()
        outs: dict[str, IO[bytes]] = {}

        def of(name: str) -> IO[bytes]:
            if name not in outs:
                outs[name] = files.enter_context(open_packed(folder / f"{name}.sql.gz"))
                outs[name].write(settings)
            return outs[name]

        _write_each(_cut(Reader(window), wanted, contents), settings, of)
    contents.check_once(wanted)
    return {name: folder / f"{name}.sql.gz" for name in outs}


def _write_each(cut: Iterator[tuple[str | None, bytes]], settings: bytearray, of: Callable[[str], IO[bytes]]) -> None:
    for name, piece in cut:
        if name is None:
            settings += piece
        else:
            of(name).write(piece)


def _cut(reader: Reader, wanted: Collection[str], contents: Contents) -> Iterator[tuple[str | None, bytes]]:
    """Yield what belongs to a wanted table, and, as of no table, the settings before all tables."""
    current: str | None = None
    is_header, settings = True, b""
    for statement in reader:
        if statement.kind is Kind.SETTING:
            # Settings speak of what follows; those that nothing wanted follows are let go.
            setting = b"".join(reader.pieces())
            settings += b"" if _OF_SERVER.search(setting) else setting + b"\n"
            continue
        if statement.table:
            if is_header:
                yield None, settings
            is_header, settings = False, b"" if is_header else settings
            current = _noted(statement, wanted, contents)
        if current and (statement.table or statement.kind is Kind.CLOSING):
            yield current, settings
            yield from ((current, piece) for piece in reader.pieces())
            yield current, b"\n"
        if not is_header:
            settings = b""


def _noted(statement: Statement, wanted: Collection[str], contents: Contents) -> str | None:
    name = matching(statement, wanted)
    if statement.kind in (Kind.CREATE, Kind.INSERT):
        contents.add(statement)
        if name:
            contents.check_once((name,))
    return name
