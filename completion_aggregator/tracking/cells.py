"""What stood in a log as others may be given it: spreadsheets the cells of CSV files, terminals a line."""

import re
from collections.abc import Iterable
from typing import Final

#: What makes a spreadsheet take a text for a formula, or skip what stands before one.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")

#: What moves the cursor, colours, turns the direction of what follows, or is no text at all.
_CONTROL: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return *text* on one line, with escapes in the place of what a terminal would obey."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_lines(text: str) -> str:
    """Return a text of several lines, each of them so."""
    return "\n".join(visible(line) for line in text.split("\n"))


def neutral(cell: object) -> object:
    """Return *cell*; a text that a spreadsheet would run as a formula gets an apostrophe in front.

    Numbers are left alone: they are numbers, negative or not.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def neutral_row(cells: Iterable[object]) -> list[object]:
    """Return a row of such cells."""
    return [neutral(cell) for cell in cells]
