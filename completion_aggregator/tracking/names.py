"""The name of a user in texts: the ways in which it may be written, and what stands for it."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus

NAME: Final = "[name]"
_REMEMBERED: Final = 50_000
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{5,}")


@dataclass(frozen=True, slots=True)
class Name:
    """A user's name, as it may be written, and what stands for it."""

    low: str
    ascii: bytes
    variants: tuple[str, ...]
    mask: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """What finds it, made when it is first found: most names are in no text but their own field."""
        return _pattern(self.variants)


_names: dict[str, Name] = {}


def variants(username: str) -> tuple[str, ...]:
    """Return the ways, in small letters, in which an address or JSON may have a name; none for nobody."""
    return name_of(username).variants if username else ()


def name_of(username: str) -> Name:
    """Return a name with the ways to write it; of somebody who was met lately the same."""
    name = _names.get(username)
    if name is None:
        name = _made(username)
        if len(_names) >= _REMEMBERED:
            _names.clear()
        _names[username] = name
    return name


def _made(username: str) -> Name:
    low = username.lower()
    if _PLAIN_NAME.fullmatch(username):  # written in one way everywhere, and held by no mask
        return Name(low, low.encode(), (low,), NAME)
    safe = _SURROGATES.sub("\ufffd", username)
    written = {username, safe, json.dumps(safe)[1:-1], quote(safe, safe=""), quote_plus(safe)}
    variants = tuple(sorted((each.lower() for each in written), key=len, reverse=True))
    # What stands for a name must not hold it, nor make it anew together with what is beside it.
    if low in NAME or any(mark in low for mark in "[]"):
        mask = next(mark for mark in "*#~^|§¤¦" if mark not in low or mark == "¦")
    else:
        mask = NAME
    ascii_low = low.encode() if username.isascii() else b""  # empty: it is found in anything, and looked for in full
    return Name(low, ascii_low, variants, mask)


@lru_cache(maxsize=1024)
def _pattern(variants: tuple[str, ...]) -> re.Pattern[str]:
    found = "|".join(rf"(?<!\w){re.escape(v)}(?!\w)" if len(v) < 3 else re.escape(v) for v in variants)
    return re.compile(found, re.IGNORECASE)


def holds(low: str, name: Name) -> bool:
    """Tell whether a text in small letters has the name, written in whichever way."""
    return name.low in low or (len(name.variants) > 1 and any(variant in low for variant in name.variants))


def nameless(text: str, name: Name, mask: str) -> str:
    """Return a text with *mask* for the name."""
    told = name.pattern.sub(lambda _: mask, text)
    while told != text and name.pattern.search(told):  # a short name may have become a word of its own
        text, told = told, name.pattern.sub(lambda _: mask, told)
    # Languages in which a letter is written in more ways than patterns know.
    return mask if len(name.low) >= 3 and name.low in told.lower() else told
