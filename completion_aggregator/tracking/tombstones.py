"""Whom nobody is to recognise any more: known by the hash of number and name alone."""

import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote

from completion_aggregator.tracking.pseudonyms import Pseudonyms

#: What ids are keyed under that the platform gives to open responses; ``families.assessment`` has scorers under it.
ANONYMOUS: Final = "edx-anonymous"
#: A user name as a platform may have it, in the strict way and in the generous one.
_NAMES: Final = (re.compile(r"[\w-]+"), re.compile(r"[\w.@+-]+"))
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


class Tombstones:
    """The pseudonyms of those who were forgotten."""

    __slots__ = ("_hashes", "_pseudonyms")

    def __init__(self, hashes: frozenset[bytes], pseudonyms: Pseudonyms) -> None:
        self._hashes, self._pseudonyms = hashes, pseudonyms

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def cover(self, person: bytes | None, username: str) -> bool:
        """Tell whether somebody was forgotten, under this number or this name."""
        return person in self._hashes or (bool(username) and self.has_name(username))

    def has_name(self, name: str) -> bool:
        """Tell whether whoever bore this name was forgotten."""
        return self._pseudonyms.keyed("username", name) in self._hashes

    def has_word(self, word: str) -> bool:
        """Tell whether a word of a text is such a name, or the id under which open responses knew somebody."""
        return self.has_name(word) or self._pseudonyms.keyed(ANONYMOUS, word) in self._hashes

    def keyed(self, domain: str, value: str) -> bytes | None:
        """Return the pseudonym of anything, none of whoever was forgotten."""
        found = self._pseudonyms.keyed(domain, value)
        return None if found in self._hashes else found


def names_one(text: str, is_meant: Callable[[str], bool]) -> bool:
    """Tell whether a word of *text* is the name of somebody who is meant; escapes of JSON and addresses are read."""
    return any(is_meant(word) for word in set(_words(text)))


def _words(text: str) -> Iterator[str]:
    forms = {text}
    if "\\u" in text:
        forms.add(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))
    if "%" in text:
        forms |= {unquote(form) for form in forms}
    for form in forms:
        for pattern in _NAMES:
            yield from pattern.findall(form)
