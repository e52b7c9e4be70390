"""The Arrow schemas of the tables, those of events and those of the platform."""

from typing import Final

import pyarrow as pa

from completion_aggregator.tracking.tables import Kind, Table

TIME: Final = pa.timestamp("us", tz="UTC")
_TYPES: Final = {
    Kind.ID: pa.uuid(),
    Kind.TIME: TIME,
    Kind.TERM: pa.string(),
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.FLAG: pa.bool_(),
}


def schema_of(table: Table) -> pa.Schema:
    """Return the Arrow schema of a table."""
    return pa.schema([(column.name, _TYPES[column.kind]) for column in table.columns])
