"""Whom nobody is to recognise any more: known by the hash of number and name alone."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from completion_aggregator.tracking.pseudonyms import Pseudonyms

#: What ids are keyed under that the platform gives to open responses; ``families.assessment`` has scorers under it.
ANONYMOUS: Final = "edx-anonymous"
#: A user name as a platform may have it in the generous way; parted at these signs, in the strict one.
_NAME: Final = re.compile(r"[\w.@+-]+")
_PARTED: Final = re.compile(r"[.@+]+")
#: Words that are remembered to be nobody's.
_REMEMBERED: Final = 200_000
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


class Tombstones:
    """The pseudonyms of those who were forgotten."""

    __slots__ = ("_harmless", "_hashes", "_pseudonyms")

    def __init__(self, hashes: frozenset[bytes], pseudonyms: Pseudonyms) -> None:
        self._hashes, self._pseudonyms = hashes, pseudonyms
        self._harmless: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def cover(self, person: bytes | None, username: str) -> bool:
        """Tell whether somebody was forgotten, under this number or this name."""
        return person in self._hashes or self.has_name(username)

    def has_name(self, name: str) -> bool:
        """Tell whether whoever bore this name was forgotten."""
        return bool(name) and self._pseudonyms.keyed("username", name) in self._hashes

    def named_in(self, text: str) -> bool:
        """Tell whether *text* has such a name, or the id under which open responses knew somebody."""
        new = _words(text) - self._harmless
        if _has_one(new, self._has_word):
            return True
        if len(self._harmless) > _REMEMBERED:
            self._harmless.clear()
        self._harmless |= new
        return False

    def _has_word(self, word: str) -> bool:
        return self.has_name(word) or self._pseudonyms.keyed(ANONYMOUS, word) in self._hashes

    def keyed(self, domain: str, value: str) -> bytes | None:
        """Return the pseudonym of anything, none of whoever was forgotten."""
        found = self._pseudonyms.keyed(domain, value)
        return None if found in self._hashes else found


def names_one(text: str, is_meant: Callable[[str], bool]) -> bool:
    """Tell whether a word of *text* is the name of somebody who is meant; escapes of JSON and addresses are read."""
    return _has_one(_words(text), is_meant)


def _words(text: str) -> set[str]:
    found = set(_NAME.findall(text))
    if "\\u" in text:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
        # Halves of a pair become one letter.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        found.update(_NAME.findall(text))
    if "%" in text:
        found.update(_NAME.findall(unquote(text)))
    return found


def _has_one(words: set[str], is_meant: Callable[[str], bool]) -> bool:
    return any(is_meant(part) for word in words for part in (word, *_PARTED.split(word)))
