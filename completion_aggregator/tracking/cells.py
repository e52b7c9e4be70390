"""Cells of CSV files, as spreadsheets may be given them."""

from collections.abc import Iterable
from typing import Final

#: What makes a spreadsheet take a text for a formula, or skip what stands before one.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutral(cell: object) -> object:
    """Return *cell*; a text that a spreadsheet would run as a formula gets an apostrophe in front.

    Numbers are left alone: they are numbers, negative or not.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def neutral_row(cells: Iterable[object]) -> list[object]:
    """Return a row of such cells."""
    return [neutral(cell) for cell in cells]
