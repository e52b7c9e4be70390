"""Columns that many events share the values of: worked out and told once for all of a group."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

#: Members that are remembered at a time.
REMEMBERED: Final = 2**16


class Groups:
    """Numbered members, each a row of the columns that it stands for; numbers are good until ``fresh``."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def add(self, row: tuple[Any, ...]) -> int:
        """Return the number of a new member."""
        self.rows.append(row)
        return len(self.rows) - 1

    def of(self, numbers: Rows) -> tuple[list[tuple[Any, ...]], Rows]:
        """Return the columns of the members with these numbers, each member once, and where each number stands."""
        is_used = np.zeros(len(self.rows), bool)
        is_used[numbers] = True
        used = np.flatnonzero(is_used)
        place = np.cumsum(is_used) - 1
        rows = self.rows
        return list(zip(*[rows[number] for number in used.tolist()], strict=True)), place[numbers]
