"""Which numbers and names are somebody's, as far as the private tables can tell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import duckdb

from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.pseudonyms import Pseudonyms


class SeveralPersons(TrackingError):
    """What was given stands for more than one person; the message says for which numbers."""


@dataclass(slots=True)
class Identity:
    """Numbers, and names in small letters. ``unseen``: how many of those asked for are known to no table.

    ``shared``: names that were seen with these numbers and with others', and are not known to be theirs.
    """

    numbers: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    unseen: int = 0
    shared: int = 0

    def hashes(self, pseudonyms: Pseudonyms) -> set[bytes]:
        """Return the pseudonyms under which these persons stand in the open tables."""
        found = {pseudonyms.person(number, "") for number in self.numbers}
        return {each for each in found if each} | {pseudonyms.keyed("username", name) for name in self.names}


def identify(connection: duckdb.DuckDBPyConnection, users: Iterable[str | int]) -> Identity:
    """Return who is meant by numbers and names, from the table ``known``. Raises SeveralPersons.

    A text of digits is a number, unless only a name is so; ``id:`` and ``name:`` in front say which.
    """
    found = Identity()
    for user in users:
        number, name = _meant(connection, user)
        if number is not None:
            found.numbers.add(number)
            found.unseen += not _names_with(connection, number)
        else:
            found.names.add(name)
            found.unseen += not _is_seen(connection, name)
    for name in sorted(found.names):
        found.numbers |= _number_of(connection, name, found.numbers)
    for number in sorted(found.numbers):
        _add_names(connection, number, found)
    return found


def _meant(connection: duckdb.DuckDBPyConnection, user: str | int) -> tuple[int | None, str]:
    text = str(user).strip()
    kind, parted, rest = text.partition(":")
    if parted and kind == "name" and rest:
        return None, rest.lower()
    if parted and kind == "id" and _is_number(rest):
        return int(rest), ""
    if not text or parted:
        raise TrackingError(f"{text!r} is neither a user's number nor a name; say id:NUMBER or name:NAME")
    if not _is_number(text):
        return None, text.lower()
    if isinstance(user, int) or not _is_seen(connection, text):
        return int(text), ""
    if _names_with(connection, int(text)):
        raise SeveralPersons(f"{text} is a number and a name: say id:{text} or name:{text}")
    return None, text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _number_of(connection: duckdb.DuckDBPyConnection, name: str, asked: set[int]) -> set[int]:
    rows = connection.execute(
        "SELECT DISTINCT user_id, is_account FROM known WHERE lower(username) = ? AND user_id IS NOT NULL", [name]
    ).fetchall()
    # The platform knows whose name it is; the logs know only with whom it was seen.
    numbers = {number for number, is_account in rows if is_account} or {number for number, _ in rows}
    if numbers & asked:
        return set()
    if len(numbers) > 1:
        listed = ", ".join(f"id:{number}" for number in sorted(numbers))
        raise SeveralPersons(f"this name was seen with several numbers: give that of whoever is meant, too: {listed}")
    return numbers


def _add_names(connection: duckdb.DuckDBPyConnection, number: int, found: Identity) -> None:
    for name, is_account in _names_with(connection, number):
        if name is None or name.lower() in found.names:
            continue
        others = connection.execute(
            "SELECT count(*) FROM known WHERE lower(username) = ? AND NOT list_contains(?, user_id)",
            [name.lower(), sorted(found.numbers)],
        ).fetchall()[0][0]
        if is_account or not others:
            found.names.add(name.lower())
        else:
            found.shared += 1


def _names_with(connection: duckdb.DuckDBPyConnection, number: int) -> Sequence[tuple[str | None, bool]]:
    sql = "SELECT username, bool_or(is_account) FROM known WHERE user_id = ? GROUP BY username ORDER BY username"
    return connection.execute(sql, [number]).fetchall()


def _is_seen(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM known WHERE lower(username) = ? LIMIT 1", [name]).fetchall())
