"""The tables of the ledger in ClickHouse, so that queries can join them. The ledger is what counts; these follow it.

Rows that changed come again, with the number of the load that changed them, and views show the last of each.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from completion_aggregator.tracking import ledger_tables
from completion_aggregator.tracking.clickhouse import schema
from completion_aggregator.tracking.clickhouse.target import Target
from completion_aggregator.tracking.ledger import Ledger
from completion_aggregator.tracking.ledger_tables import FIELD, LEDGER
from completion_aggregator.tracking.schemas import schema_of
from completion_aggregator.tracking.tables import Table

if TYPE_CHECKING:
    from completion_aggregator.tracking.clickhouse.connection import Connection

#: The last load that the tables there know of.
_NOTE: Final = "told"
_KEYS: Final = {"load": ("load",), "source": ("source",), "field": ("name", "path", "type")}
_AS_OF: Final = "as_of"

Field = tuple[str, str, str]


def statements(target: Target) -> Iterator[str]:
    """Yield what makes the tables, and the views that show the last row of each key."""
    for table in LEDGER:
        key = _KEYS[table.name]
        columns = [schema.column(each, key) for each in table.columns] + [f"`{_AS_OF}` UInt64"]
        listed = ",\n    ".join(columns)
        yield (
            f"CREATE TABLE IF NOT EXISTS {_behind(target, table)}{schema.on_cluster(target)} (\n    {listed}\n)"
            f"\nENGINE = {schema.replacing(target, _AS_OF)}\nORDER BY ({', '.join(key)})"
        )
        yield (
            f"CREATE VIEW IF NOT EXISTS {schema.qualified(target, table)}{schema.on_cluster(target)} AS"
            f" SELECT * EXCEPT {_AS_OF} FROM {_behind(target, table)} FINAL"
        )


def names(target: Target) -> Iterator[tuple[str, str]]:
    """Yield database and name of all that the statements make."""
    for table in LEDGER:
        yield target.database, _name_behind(table)
        yield target.database, table.name


def tell(ledger: Ledger, connection: "Connection", load: int = 0, fields: Collection[Field] = ()) -> None:
    """Send what the ledger has and the tables have not; of *load*, if it is the only one, these *fields* alone."""
    told, last = int(ledger.note(_NOTE) or 0), ledger.next_load() - 1
    if told >= last:
        return
    only = set(fields) if load == last == told + 1 else None
    for table in LEDGER:
        sql = ledger_tables.query(table)
        rows = ledger.rows(sql) if table is FIELD else ledger.rows(f"{sql} WHERE load > ?", told)
        if table is FIELD and only is not None:
            rows = [row for row in rows if (row["name"], row["path"], row["type"]) in only]
        if rows:
            connection.replace(_name_behind(table), _arrow(table, rows, last))
    ledger.set_note(_NOTE, str(last))


def _arrow(table: Table, rows: Collection[Collection[object]], as_of: int) -> pa.Table:
    wanted = schema_of(table)
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(column, field.type) for column, field in zip(columns, wanted, strict=True)]
    return pa.table(arrays, schema=wanted).append_column(_AS_OF, pa.array([as_of] * len(rows), pa.uint64()))


def _behind(target: Target, table: Table) -> str:
    return f"{schema.quoted(target.database)}.{schema.quoted(_name_behind(table))}"


def _name_behind(table: Table) -> str:
    return f"_{table.name}"
