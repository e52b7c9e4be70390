"""Progress as files: CSV, NDJSON, Parquet."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from completion_aggregator.aggregation.records import COLUMNS, TEXTS, Row, csv_texts, iso
from completion_aggregator.exceptions import CompletionAggregatorError

ROWS_PER_GROUP: Final = 50_000


class _Counted:
    """Rows, and how many of them were taken."""

    def __init__(self, found: Iterable[Row]) -> None:
        self._found = found
        self.rows = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._found:
            self.rows += 1
            yield row


class MissingLibrary(CompletionAggregatorError):
    """A format needs a library that is not installed; the message names the extra."""


def write_csv(found: Iterable[Row], out: TextIO) -> int:
    """Write CSV, and return how many rows. A float has every digit that it needs to be read back as it is.

    A cell is what the data is: a username such as ``=cmd`` is not escaped, or nothing could read it back. People who
    open the file in a spreadsheet import that column as text.
    """
    counted = _Counted(found)
    out.writelines(csv_texts(counted))
    return counted.rows


def write_ndjson(found: Iterable[Row], out: TextIO) -> int:
    """Write a JSON object per line, and return how many."""
    count = 0
    for count, row in enumerate(found, start=1):  # noqa: B007  (the last count is the answer)
        out.write(json.dumps(dict(zip(COLUMNS, (*row[:-1], iso(row[-1])), strict=True))) + "\n")
    return count


def write_parquet(found: Iterable[Row], path: Path) -> int:
    """Write a Parquet file, and return how many rows. Raises MissingLibrary."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingLibrary("Parquet needs pyarrow: pip install 'completion-aggregator[parquet]'") from error
    kinds = [pyarrow.string()] * TEXTS + [pyarrow.float64()] * (len(COLUMNS) - TEXTS - 1)
    schema = pyarrow.schema(zip(COLUMNS, [*kinds, pyarrow.timestamp("us", tz="UTC")], strict=True))
    count, remaining = 0, iter(found)
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(remaining, ROWS_PER_GROUP)):
            columns = [
                pyarrow.array(column, kind) for column, kind in zip(zip(*group, strict=True), schema.types, strict=True)
            ]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            count += len(group)
    return count


TEXT_FORMATS: Final[dict[str, Callable[[Iterable[Row], TextIO], int]]] = {"csv": write_csv, "ndjson": write_ndjson}
FORMATS: Final = (*TEXT_FORMATS, "parquet")


def write_file(kind: str, found: Iterable[Row], path: Path) -> int:
    """Write a file in one of ``FORMATS``, and return how many rows; it appears when it is whole."""
    with _replacing(path) as temporary:
        if kind == "parquet":
            return write_parquet(found, temporary)
        with temporary.open("w", encoding="utf-8", newline="") as out:
            return TEXT_FORMATS[kind](found, out)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path  # a device or a pipe: there is nothing to put in its place
        return
    # In the same folder, so that the last step is a rename. For the owner alone: it names learners.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as stream:
        temporary = Path(stream.name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
