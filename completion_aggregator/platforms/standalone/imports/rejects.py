"""Rows that an import could not take, kept in a file with the line and the reason."""

import csv
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from completion_aggregator.exceptions import CompletionAggregatorError


class UnusableRejects(CompletionAggregatorError):
    """Rows that are rejected cannot be kept where they are to be."""


class Rejects:
    """Write rejects to *path*, complete when the context ends.

    The file is CSV with the columns of the import behind ``line`` and ``reason``: corrected, it can be imported itself.
    It is written only when something was rejected, over one of an earlier run. Raises UnusableRejects.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self._columns = columns
        self._stream: IO[str] | None = None
        self._writer: Any = None

    @property
    def count(self) -> int:
        """Return how many rows were rejected."""
        return self.reasons.total()

    def add(self, line: int, reason: str, values: Sequence[str]) -> None:
        """Keep one row."""
        self.reasons[reason] += 1
        if self._stream is None:
            self._open()
        self._writer.writerow((line, reason, *values))

    def __enter__(self) -> Self:
        """Begin, unless the path is something else than a file for rejects."""
        if self.path.exists() and not self.path.is_file():
            raise UnusableRejects(f"Rejects cannot be kept in {self.path}: it is not a regular file.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the file in its place, also after an error: what was rejected until then stays so."""
        if self._stream is not None:
            self._stream.close()
            Path(self._stream.name).replace(self.path)

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # mkstemp: for the owner alone, since the rows name learners.
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
        except OSError as error:
            raise UnusableRejects(f"Rejects cannot be kept in {self.path}: {error.strerror}.") from error
        os.close(descriptor)
        path = Path(name)
        self._stream = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self._writer = csv.writer(self._stream)
        self._writer.writerow(("line", "reason", *self._columns))
