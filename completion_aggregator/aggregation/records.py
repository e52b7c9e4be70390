"""Progress as flat rows, one for each learner and block: the columns of every export, over HTTP or into a file."""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import StringIO
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:  # the description of the API asks for the columns before there are any models
    from completion_aggregator.aggregation.progress import ProgressRecord

COLUMNS: Final = (
    "username",
    "course_id",
    "block_id",
    "block_type",
    "earned",
    "possible",
    "percent",
    "optional_earned",
    "optional_possible",
    "optional_percent",
    "last_modified",
)
#: How many of the columns, at the start, are text.
TEXTS: Final = 4
#: Rows of CSV that are made together.
ROWS_AT_ONCE: Final = 500
#: What a spreadsheet takes for the start of a formula, or for the end of the cell before it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")

Row: TypeAlias = tuple[Any, ...]


def rows(course_id: str, records: "Iterable[ProgressRecord]") -> Iterator[Row]:
    """Yield the rows of an export. A time is aware or None."""
    for each in records:
        tally = each.tally
        yield (
            each.username,
            course_id,
            tally.block_key,
            tally.block_type,
            tally.earned,
            tally.possible,
            tally.percent,
            tally.optional_earned,
            tally.optional_possible,
            tally.optional_percent,
            tally.last_modified,
        )


def csv_texts(found: Iterable[Row], *, guarded: bool = False) -> Iterator[str]:
    """Yield CSV, the line of names first. A float has every digit that it needs to be read back as it is.

    *guarded*: a text that a spreadsheet would run as a formula gets an apostrophe before it. Otherwise a cell is what
    the data is.
    """
    remaining: Iterator[Row] = ((*row[:-1], iso(row[-1]) or "") for row in found)
    if guarded:
        remaining = ((*map(harmless, row[:TEXTS]), *row[TEXTS:]) for row in remaining)
    names: list[Row] = [COLUMNS]
    while lines := [*names, *islice(remaining, ROWS_AT_ONCE)]:
        names = []
        out = StringIO(newline="")
        plain = csv.writer(out, lineterminator="\n")
        quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for line in lines:
            # Before Python 3.13 a carriage return is not quoted, and ends the row for whoever reads it.
            (quoted if "\r" in line[0] else plain).writerow(line)
        yield out.getvalue()


def harmless(text: str) -> str:
    """Return *text* as no spreadsheet runs it: an apostrophe in front says that it is text."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def iso(moment: datetime | None) -> str | None:
    """Return an aware moment in ISO 8601, in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
