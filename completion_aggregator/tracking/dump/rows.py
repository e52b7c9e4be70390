"""The rows of a table in a dump, typed."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from completion_aggregator.tracking.dump.errors import AbsentColumn, DamagedDump
from completion_aggregator.tracking.dump.schema import columns_in, names_in
from completion_aggregator.tracking.dump.sections import Contents, matching
from completion_aggregator.tracking.dump.statements import NAME, STRING, Kind, Reader, Statement
from completion_aggregator.tracking.dump.values import LITERAL, Convert, Value, converter
from completion_aggregator.tracking.dump.window import open_dump

_VALUES: Final = re.compile(
    rb"\s*+(?:\((?P<columns>\s*+" + NAME + rb"(?:\s*+,\s*+" + NAME + rb")*+\s*+)\))?\s*+VALUES?\b\s*+", re.IGNORECASE
)
_SOME_ROW: Final = re.compile(rb"\s*+,?\s*+\((?:[^'\"()]++|" + STRING + rb"|\"(?:[^\"\\]++|\\.)*+\")*+\)", re.DOTALL)
_END: Final = re.compile(rb"\s*+(?:;|ON\s+DUPLICATE)", re.IGNORECASE)


def rows_of(dump: Path, table: str, columns: Sequence[str] | None = None) -> Iterator[tuple[Value, ...]]:
    """Yield the rows of a table: all its columns, or these; the dump is read once, to its end, in bounded memory.

    Times are aware and in UTC; ``0000-00-00`` is None. Text that is not in the dump's encoding has its odd bytes
    escaped. Raises AbsentTable, AbsentColumn, AmbiguousTable or DamagedDump.
    """
    with open_dump(dump) as window:
        reader, contents = Reader(window), Contents(window.name)
        types: Mapping[str, str] = {}
        for statement in reader:
            if statement.kind not in (Kind.CREATE, Kind.INSERT):
                continue
            contents.add(statement)
            if not matching(statement, (table,)):
                continue
            contents.check_once((table,))
            if statement.kind is Kind.CREATE:
                types = columns_in(b"".join(reader.pieces()))
                _check_columns(f"{window.name}, table {table},", columns, types)
            else:
                yield from _Insert(reader, statement, types).rows(columns)
    contents.check((table,))


def columns_of(dump: Path, table: str) -> tuple[str, ...]:
    """Return the names of a table's columns. Raises AbsentTable, AmbiguousTable or DamagedDump."""
    with open_dump(dump) as window:
        reader, contents = Reader(window), Contents(window.name)
        for statement in reader:
            if statement.kind in (Kind.CREATE, Kind.INSERT):
                contents.add(statement)
            if statement.kind is Kind.CREATE and matching(statement, (table,)):
                return tuple(columns_in(b"".join(reader.pieces())))
            if statement.kind is Kind.INSERT and matching(statement, (table,)):
                return _Insert(reader, statement, {}).columns
    contents.check((table,))
    return ()


class _Insert:
    """An INSERT with its rows."""

    def __init__(self, reader: Reader, statement: Statement, types: Mapping[str, str]) -> None:
        self._reader, self._window, self._table = reader, reader.window, statement.table
        self._types = types
        self._window.place += statement.head_bytes
        match = _VALUES.match(self._window.data, self._window.place)
        if not match:
            raise self._window.damaged(f"an INSERT into {self._table} without VALUES")
        self._window.place = match.end()
        self.columns = names_in(match["columns"]) if match["columns"] else tuple(types)
        if not self.columns:
            raise self._window.damaged(
                f"rows of {self._table} without names of columns: dump with --complete-insert or with CREATE TABLE"
            )

    def rows(self, columns: Sequence[str] | None) -> Iterator[tuple[Value, ...]]:
        """Yield the rows, with these columns or all of the table."""
        wanted = columns if columns is not None else tuple(self._types) or self.columns
        # A generated column is in the table and in no row.
        places = {name: place for place, name in enumerate(self.columns)}
        _check_columns(f"{self._window.name}, table {self._table},", wanted, {**self._types, **places})
        converters = [
            (places.get(name, -1), converter(self._types.get(name, ""), self._reader.charset)) for name in wanted
        ]
        convert = _row_converter(converters)
        for values in self._literals():
            try:
                row = convert(values)
            except ValueError as error:
                raise self._bad_value(wanted, converters, values) from error
            yield row

    def _literals(self) -> Iterator[tuple[bytes, ...]]:
        window, match_row = self._window, _row_pattern(len(self.columns)).match
        while True:
            if match := match_row(window.data, window.place):
                window.place = match.end()
                yield match.groups()
            elif end := _END.match(window.data, window.place):
                self._finish(end)
                return
            elif _SOME_ROW.match(window.data, window.place):
                raise window.damaged(f"a row of {self._table} that is not {len(self.columns)} values")
            elif not window.fill():
                raise window.damaged(f"it ends in the middle of a row of {self._table}; was it copied whole?")

    def _finish(self, end: re.Match[bytes]) -> None:
        self._window.place = end.end()
        if end[0].endswith(b";"):
            self._reader.ended()

    def _bad_value(
        self, wanted: Sequence[str], converters: list[tuple[int, Convert]], values: tuple[bytes, ...]
    ) -> DamagedDump:
        for name, one in zip(wanted, converters, strict=True):
            try:
                _row_converter([one])(values)
            except ValueError as error:
                # Not the value: it may be anybody's name.
                kind = self._types.get(name, "literal")
                what = f"column {name} of {self._table} has a value that is no {kind}: {type(error).__name__}"
                return self._window.damaged(what)
        return self._window.damaged(f"a row of {self._table} with a value that cannot be read")


def _row_converter(converters: list[tuple[int, Convert]]) -> Callable[[tuple[bytes, ...]], tuple[Value, ...]]:
    def convert(values: tuple[bytes, ...]) -> tuple[Value, ...]:
        return tuple([one(values[place]) if place >= 0 else None for place, one in converters])

    return convert


@lru_cache(maxsize=64)
def _row_pattern(columns: int) -> re.Pattern[bytes]:
    values = rb"\s*+,\s*+".join([LITERAL] * columns)
    return re.compile(rb"\s*+,?\s*+\(\s*+" + values + rb"\s*+\)", re.DOTALL)


def _check_columns(where: str, wanted: Sequence[str] | None, there: Mapping[str, object]) -> None:
    if absent := [name for name in wanted or () if name not in there]:
        raise AbsentColumn(where, absent, there)
