"""A dump of the platform's database."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from completion_aggregator.tracking.dump import AbsentColumn, AbsentTable, DamagedDump, columns_of, rows_of, split
from completion_aggregator.tracking.refresh.source import BATCH_ROWS, Row


class DumpSource:
    """Reads a dump once, whatever is asked of it: the tables that matter are first cut out into a folder of their own.

    Only its owner can read that folder, and it goes with the source. ``database``: the one to read, if the dump holds
    several that have the same tables.
    """

    def __init__(self, dump: Path, tables: Collection[str], *, database: str = "", scratch: Path | None = None) -> None:
        self.name = str(dump)
        self._dump, self._wanted = dump, tables
        self._before = f"{database}." if database else ""
        self._folder = TemporaryDirectory(prefix="tracking-dump-", dir=scratch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def tables(self) -> Collection[str]:
        """Return the names of the tables that are there and matter."""
        return self._sections.keys()

    def rows(
        self, table: str, columns: Sequence[str], *, optional: Sequence[str] = (), at_once: int = BATCH_ROWS
    ) -> Iterator[list[Row]]:
        """Yield the rows in the order of the dump. Raises AbsentTable, AbsentColumn or DamagedDump."""
        if table not in self._sections:
            raise AbsentTable(self.name, [table], self._sections)
        path = self._sections[table]
        there = columns_of(path, table)
        if absent := [name for name in columns if name not in there]:
            raise AbsentColumn(f"{self.name}, table {table},", absent, there)
        found = [name for name in optional if name in there]
        places = [found.index(name) if name in found else None for name in optional]
        rows = rows_of(path, table, [*columns, *found])
        try:
            while some := list(islice(rows, at_once)):
                yield [_spread(row, len(columns), places) for row in some]
        except DamagedDump as error:
            # The place is one in the section, which goes; the dump and the table say enough to find it.
            raise DamagedDump(f"{self.name}, table {table}: {error}") from error

    @cached_property
    def _sections(self) -> Mapping[str, Path]:
        found = split(self._dump, [f"{self._before}{name}" for name in self._wanted], Path(self._folder.name))
        return {name.removeprefix(self._before): path for name, path in found.items()}


def _spread(row: Row, required: int, places: Sequence[int | None]) -> Row:
    return (*row[:required], *(None if place is None else row[required + place] for place in places))
