"""Where the platform's rows come from, and what of any of its ways to write a value we keep."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Protocol, TypeAlias

import pyarrow as pa

from completion_aggregator.tracking.schemas import schema_of
from completion_aggregator.tracking.tables import Table

#: Rows that are in memory at a time.
BATCH_ROWS: Final = 50_000
_LARGEST: Final = 2**63

Row: TypeAlias = tuple[Any, ...]
#: Whom the open tables have for a user of the platform, by number; None: somebody who asked to be forgotten.
Pseudonym: TypeAlias = Callable[[int], bytes | None]


class Source(Protocol):
    """Tables of the platform."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    def tables(self) -> Collection[str]:
        """Return the names of its tables."""

    def rows(
        self, table: str, columns: Sequence[str], *, optional: Sequence[str] = (), at_once: int = BATCH_ROWS
    ) -> Iterator[list[Row]]:
        """Yield the rows of a table, some at a time: *columns*, then *optional*, of which those not there are None.

        Raises AbsentTable or AbsentColumn.
        """


def batch_of(table: Table, rows: Sequence[Row]) -> pa.RecordBatch:
    """Return rows of a table as Arrow holds them."""
    schema = schema_of(table)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.record_batch(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def lenient(pseudonym: Pseudonym) -> Callable[[Any], bytes | None]:
    """Return what takes a number of a user as any source writes it; None for none."""

    def known(value: Any) -> bytes | None:
        user_id = integer(value)
        return None if user_id is None else pseudonym(user_id)

    return known


def integer(value: Any) -> int | None:
    """Return a whole number, or None where there is none that fits into 64 bits."""
    if isinstance(value, str | bytes | float | Decimal):
        try:
            value = int(value)
        except (ValueError, OverflowError):
            return None
    return value if isinstance(value, int) and -_LARGEST <= value < _LARGEST else None


def number(value: Any) -> float | None:
    """Return a finite number, or None."""
    if value is None or value == "":
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def text(value: Any) -> str | None:
    """Return text, or None where there is nothing; halves of characters are replaced."""
    if value is None or value in ("", b""):
        return None
    written = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return written if written.isascii() else written.encode("utf-8", "replace").decode()


def flag(value: Any) -> bool | None:
    """Return whether, or None; databases without a type for it write 0 and 1."""
    if isinstance(value, bytes | str):
        return {"1": True, "true": True, "0": False, "false": False}.get(str(text(value)).lower())
    return None if value is None else bool(value)


def moment(value: Any) -> datetime | None:
    """Return an aware moment in UTC, or None where it is none; what has no zone is in UTC, as Django writes it."""
    if isinstance(value, str) and value:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None
