"""Dumps of a database as ``mysqldump`` and ``mariadb-dump`` write them: sections of tables, and typed rows."""

from completion_aggregator.tracking.dump.errors import (
    AbsentColumn,
    AbsentTable,
    AmbiguousTable,
    DamagedDump,
    UnusableTarget,
)
from completion_aggregator.tracking.dump.rows import columns_of, rows_of
from completion_aggregator.tracking.dump.sections import extract, extract_to, split, tables_of
from completion_aggregator.tracking.dump.values import Value

__all__ = [
    "AbsentColumn",
    "AbsentTable",
    "AmbiguousTable",
    "DamagedDump",
    "UnusableTarget",
    "Value",
    "columns_of",
    "extract",
    "extract_to",
    "rows_of",
    "split",
    "tables_of",
]
