"""The columns of a table, from the statement that makes it."""

import re
from typing import Final

from completion_aggregator.tracking.dump.statements import NAME, STRING, unquoted

_TOKEN: Final = re.compile(rb"/\*.*?\*/|" + STRING + rb"|`[^`]*`|\"[^\"]*\"|[(),]|[^(),'\"`/]+|/", re.DOTALL)
_COLUMN: Final = re.compile(rb"\s*(?P<name>" + NAME + rb")\s+(?P<type>\w+)", re.DOTALL)
#: What an unquoted entry begins with that is no column.
_NO_COLUMNS: Final = frozenset(
    ("primary", "key", "unique", "constraint", "index", "fulltext", "spatial", "foreign", "check", "period")
)


def columns_in(create: bytes) -> dict[str, str]:
    """Return the type of each column, in lower case, in their order."""
    columns: dict[str, str] = {}
    for entry in _entries(create):
        match = _COLUMN.match(entry)
        if match and match["name"].lower().decode("utf-8", "replace") not in _NO_COLUMNS:
            columns[unquoted(match["name"])] = match["type"].decode("ascii", "replace").lower()
    return columns


def names_in(listed: bytes) -> tuple[str, ...]:
    """Return the names in a list such as that of an INSERT."""
    return tuple(unquoted(match[0]) for match in re.finditer(NAME, listed))


def _entries(create: bytes) -> list[bytes]:
    """Return what stands between the outermost parentheses, parted at its commas."""
    entries, depth = [b""], 0
    for match in _TOKEN.finditer(create):
        token = match[0]
        depth += {b"(": 1, b")": -1}.get(token, 0)
        if depth == 0 and token == b")":
            return entries
        if depth == 1 and token == b",":
            entries.append(b"")
        elif depth > 1 or (depth == 1 and token != b"("):
            entries[-1] += token
    return entries
