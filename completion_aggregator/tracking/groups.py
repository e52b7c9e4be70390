"""Columns that many events share the values of: worked out and told once for all of a group."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

#: Members that are remembered at a time, and characters of what lines say of them.
_MOST: Final = 2**16
_MOST_CHARACTERS: Final = 2**25


class Groups:
    """Numbered members, each a row of the columns that it stands for; numbers are good until ``fresh``."""

    __slots__ = ("_characters", "rows")

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self._characters = 0

    def add(self, row: tuple[Any, ...], written: Iterable[object]) -> int:
        """Return the number of a new member, of which lines say what is *written*."""
        self._characters += sum([len(each) for each in written if isinstance(each, str)])
        self.rows.append(row)
        return len(self.rows) - 1

    def fresh(self) -> None:
        """Forget all between two batches, if it is much."""
        if len(self.rows) >= _MOST or self._characters >= _MOST_CHARACTERS:
            self._characters = 0
            self.forget()

    def forget(self) -> None:
        """Forget all members; who remembers more than their rows forgets that as well."""
        self.rows.clear()

    def of(self, numbers: Rows) -> tuple[list[tuple[Any, ...]], Rows]:
        """Return the columns of the members with these numbers, each member once, and where each number stands."""
        is_used = np.zeros(len(self.rows), bool)
        is_used[numbers] = True
        used = np.flatnonzero(is_used)
        place = np.cumsum(is_used) - 1
        rows = self.rows
        return list(zip(*[rows[number] for number in used.tolist()], strict=True)), place[numbers]
