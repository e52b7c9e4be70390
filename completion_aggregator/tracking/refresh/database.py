"""The platform's database, read through Django."""

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections

from completion_aggregator.tracking.dump.errors import AbsentColumn, AbsentTable
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.refresh.source import BATCH_ROWS, Row

_KEY: Final = "id"  # of every table of Django's that was not given another, and all that are read here

# Names come from the callers' constants, as the database quotes them.
_FIRST: Final = "SELECT {columns} FROM {table} ORDER BY {key} LIMIT %s"
_AFTER: Final = "SELECT {columns} FROM {table} WHERE {key} > %s ORDER BY {key} LIMIT %s"


class UnknownDatabase(TrackingError):
    """The settings of the site name no such database."""


class DatabaseSource:
    """Reads by primary key, some rows at a time.

    So no cursor stays open, no lock and no old version of a row is held for long, and it is the same on every database;
    a row that changes meanwhile is read as it is when its turn comes.
    """

    def __init__(self, alias: str = DEFAULT_DB_ALIAS) -> None:
        """Raise UnknownDatabase unless the site's settings have this alias."""
        if alias not in connections:
            raise UnknownDatabase(f"the site has no database {alias!r}; it has {', '.join(connections)}")
        self._connection = connections[alias]
        self.name = f"the database {alias!r}"

    def tables(self) -> Collection[str]:
        """Return the names of the tables, and of views that stand for them."""
        return self._tables

    def rows(
        self, table: str, columns: Sequence[str], *, optional: Sequence[str] = (), at_once: int = BATCH_ROWS
    ) -> Iterator[list[Row]]:
        """Yield the rows in the order of their keys. Raises AbsentTable or AbsentColumn."""
        there = self._columns(table)
        if absent := [name for name in (_KEY, *columns) if name not in there]:
            raise AbsentColumn(f"{self.name}, table {table},", absent, there)
        statement = self._statement(table, [name if name in there else None for name in (_KEY, *columns, *optional)])
        last: Any = None
        with self._connection.cursor() as cursor:
            while True:
                cursor.execute(statement[last is not None], [*([] if last is None else [last]), at_once])
                rows = cursor.fetchall()
                if rows:
                    last = rows[-1][0]
                    yield [row[1:] for row in rows]
                if len(rows) < at_once:
                    return

    def _statement(self, table: str, columns: Sequence[str | None]) -> tuple[str, str]:
        """Return the statement for the first rows, and that for those after a key."""
        quote = self._connection.ops.quote_name
        listed = ", ".join("NULL" if name is None else quote(name) for name in columns)
        names = {"columns": listed, "table": quote(table), "key": quote(_KEY)}
        return _FIRST.format(**names), _AFTER.format(**names)

    @cached_property
    def _tables(self) -> frozenset[str]:
        with self._connection.cursor() as cursor:
            return frozenset(self._connection.introspection.table_names(cursor, include_views=True))

    def _columns(self, table: str) -> list[str]:
        if table not in self._tables:
            raise AbsentTable(self.name, [table], self._tables)
        with self._connection.cursor() as cursor:
            return [column.name for column in self._connection.introspection.get_table_description(cursor, table)]
