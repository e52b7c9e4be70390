"""Rows of a CSV or NDJSON file, one at a time, whatever the file holds.

The file is not trusted: a line that cannot be read is a reject, and no line, however long, is held in memory whole.
"""

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.platforms.standalone.imports.rejects import Rejects

STDIN: Final = "-"
GZIP: Final = b"\x1f\x8b"
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE: Final = 64 * 1024
LONGEST_VALUE: Final = 1000  # of the columns that are read: thousands of rows are held at once
DELIMITERS: Final = ",;\t"
_TOO_LONG: Final = f"a value is longer than {LONGEST_VALUE} characters"

Values = list[str]


class UnusableFile(CompletionAggregatorError):
    """The file as a whole cannot be read; rows before the place that the message names are imported."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that an import reads, in the order in which it gets their values; absent optional ones are ''."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return all of them."""
        return self.required + self.optional


@dataclass(slots=True)
class Source:
    """An open file and how far it has been read, both in bytes of the file as it lies on the disk."""

    name: str
    raw: IO[bytes]
    stream: IO[bytes]
    size: int | None

    @property
    def position(self) -> int:
        """Return the bytes read; ahead of the rows by a buffer."""
        return self.raw.tell() if self.size is not None else 0


@contextmanager
def opened(path: str) -> Iterator[Source]:
    """Open a file, or standard input for ``-``; compressed ones are read as what they hold."""
    try:
        # Standard input is not ours to close.
        context: AbstractContextManager[Any] = (
            nullcontext(sys.stdin.buffer) if path == STDIN else Path(path).open("rb")  # noqa: SIM115  (closed below)
        )
    except OSError as error:
        raise UnusableFile(f"Cannot open {path}: {error.strerror}.") from error
    with context as raw:
        start = raw.peek(2)[:2]
        if start in UTF16:
            raise UnusableFile(f"{path} is UTF-16: save it as UTF-8.")
        packed = start == GZIP
        stream = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if packed else raw
        size = Path(path).stat().st_size if path != STDIN and Path(path).is_file() else None
        yield Source(name="standard input" if path == STDIN else path, raw=raw, stream=stream, size=size)


def read_rows(source: Source, columns: Columns, rejects: Rejects) -> Iterator[tuple[int, Values]]:
    """Yield the line number and the values of each row that can be read; the others become rejects.

    NDJSON when the first character is a brace, else CSV with a header; a comma, semicolon or tab parts the columns.
    """
    lines = _Lines(source, rejects)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise UnusableFile(f"{source.name} is empty: expected a first line with {', '.join(columns.required)}.")
    if first.lstrip("\ufeff \t").startswith("{"):
        lines.push_back(first)
        return _json_rows(lines, columns, rejects)
    return _csv_rows(lines, first.lstrip("\ufeff"), columns, rejects)


class _Lines(Iterator[str]):
    """The lines of a source as text; those that are no text, or too long, go to the rejects."""

    def __init__(self, source: Source, rejects: Rejects) -> None:
        self.number = 0
        self.name = source.name
        self._stream = source.stream
        self._rejects = rejects
        self._pushed: list[str] = []

    def push_back(self, line: str) -> None:
        self._pushed.append(line)
        self.number -= 1

    def __next__(self) -> str:
        while True:
            self.number += 1
            if self._pushed:
                return self._pushed.pop()
            line = self._read()
            if not line:
                raise StopIteration
            text = self._text_of(line)
            if text is not None:
                return text

    def _text_of(self, line: bytes) -> str | None:
        if len(line) >= LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = self._read()
            self._rejects.add(self.number, f"the line is longer than {LONGEST_LINE} bytes", ())
        elif b"\0" in line:
            # No database takes it in a text.
            self._rejects.add(self.number, "holds a NUL character", ())
        else:
            try:
                return line.decode()
            except UnicodeDecodeError:
                self._rejects.add(self.number, "not UTF-8", (line.decode(errors="backslashreplace").strip(),))
        return None

    def _read(self) -> bytes:
        try:
            return self._stream.readline(LONGEST_LINE)
        except (OSError, EOFError, zlib.error) as error:
            raise UnusableFile(f"{self.name} cannot be read after line {self.number - 1}: {error}") from error


class _OneLineRows(Iterator[str]):
    """Feed a CSV reader; a row is one line, so that an open quote takes no other row with it."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self.within_row = False

    def __next__(self) -> str:
        if self.within_row:
            raise csv.Error("a quote is never closed")
        self.within_row = True
        return next(self._lines)


def _csv_rows(lines: _Lines, header: str, columns: Columns, rejects: Rejects) -> Iterator[tuple[int, Values]]:
    delimiter = max(DELIMITERS, key=header.count)
    try:
        names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter))]
    except csv.Error as error:
        raise UnusableFile(f"{lines.name}: the first line is no CSV; lines end in LF or CRLF ({error}).") from error
    twice = [name for name in columns.names if names.count(name) > 1]
    if twice:
        raise UnusableFile(f"{lines.name} has the column {' and '.join(twice)} twice.")
    missing = [name for name in columns.required if name not in names]
    if missing:
        raise UnusableFile(
            f"{lines.name} has no column {' and '.join(missing)}: its first line must name the columns, "
            f"at least {','.join(columns.required)}. It says: {header.strip()[:200]}"
        )
    places = [names.index(name) if name in names else -1 for name in columns.names]
    return _picked(lines, delimiter, places, rejects)


def _picked(lines: _Lines, delimiter: str, places: Sequence[int], rejects: Rejects) -> Iterator[tuple[int, Values]]:
    widest = max(places)
    feed = _OneLineRows(lines)
    reader = csv.reader(feed, delimiter=delimiter)
    while True:
        feed.within_row = False
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            rejects.add(lines.number, str(error), ())
            continue
        if len(row) > widest:
            values = [row[place].strip() if place >= 0 else "" for place in places]
            if max(map(len, values)) > LONGEST_VALUE:
                rejects.add(lines.number, _TOO_LONG, values)
            else:
                yield lines.number, values
        elif row:
            rejects.add(lines.number, f"{len(row)} columns instead of at least {widest + 1}", row)


def _json_rows(lines: _Lines, columns: Columns, rejects: Rejects) -> Iterator[tuple[int, Values]]:
    for line in lines:
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            rejects.add(lines.number, "not a JSON object", (line.strip(),))
            continue
        missing = [name for name in columns.required if record.get(name) is None]
        if missing:
            rejects.add(lines.number, f"no {' and '.join(missing)}", (line.strip(),))
            continue
        values = [_as_text(record.get(name)) for name in columns.names]
        unfit = _TOO_LONG if max(map(len, values)) > LONGEST_VALUE else _unstorable("".join(values))
        if unfit:
            rejects.add(lines.number, unfit, (line.strip(),))
            continue
        yield lines.number, values


def _unstorable(text: str) -> str:
    """Return why no database takes this text; JSON can escape what its bytes cannot be."""
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half a character"
    return ""


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    # JSON writes truth and numbers as CSV does; a float keeps every digit.
    return "" if value is None else json.dumps(value)
