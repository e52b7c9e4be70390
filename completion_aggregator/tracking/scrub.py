"""What may stand in an open table: no names, mails, addresses, passwords; of free text only its length.

Called for nearly every line, so each function looks first whether there is anything to take out: mostly there is not.
When in doubt, a thing goes: what is lost here still stands in the operator's own log.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final

import msgspec

from completion_aggregator.tracking.names import NAME, Name, holds, name_of, nameless
from completion_aggregator.tracking.paths import without_persons

#: Characters of a text, bytes of an event's extra, levels of nesting.
LONGEST_TEXT: Final = 1_000
LARGEST_EXTRA: Final = 8_192
DEEPEST: Final = 16

MAIL: Final = "[mail]"
ADDRESS: Final = "[address]"

_LONGEST_ADDRESS: Final = 2_000
#: No mail or name is longer: what a limit cuts in two begins within so many characters of it.
_LONGEST_NAME: Final = 320
_REMEMBERED: Final = 50_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class _Verdict(Enum):
    OPEN = "stays, cleaned"
    FREE = "its length stays"
    DENIED = "goes"


#: Squashed: in lower case, letters and digits only. Denied wherever it stands in a key, and where it is the whole key.
_DENIED_PART: Final = re.compile(
    "password|passwd|passphrase|csrf|secret|token|credential|authorization|cookie|apikey|signature|^session|sessionid"
    "|email|^mail|username|userid|usercode|phone|mobilenumber|screenname|nickname|surname|(?:first|middle|last|full|real"
    "|given|family|maiden)name|nameof(?:user|student|learner)|studentid|learnerid|instructorid|scorerid|anonymousid"
    "|anonid|anonstudent|anonuser|anonymoususer|bookmarkid|ipaddr|^ip$|clientip|remoteip|remoteaddr|forwardedfor"
    "|address$|birth|zipcode|postcode|postalcode|creditcard|cardnumber|sociallink|studentidentifier"
)
_DENIED: Final = _words(
    "user users student students learner learners name names author authors authorid owner login pwd pass address"
    " addresses city gender goals bio levelofeducation identifiers identifier emails instructor groupuser scorer"
    " studenttoreset externalid profileimage cvv sex studentname"
)
_FREE: Final = _words(
    "body title text feedback feedbacktext overallfeedback essay answer answertext longanswer studentanswer"
    " savedresponse response responsetext submissiontext submission comment comments commenttext content notetext"
    " note notes highlightedcontent selectedtext rawtext correctedtext message subject description explanation"
    " rationale"
)
#: Settings of an account that say nothing about who it is: of others, the values before and after go.
_OPEN_SETTINGS: Final = frozenset(
    {"language", "pref-lang", "time_zone", "timezone", "account_privacy", "dark-lang", "language_proficiencies"}
)

_SQUASHED: Final = re.compile(r"[\W_]+")
# Each starts where a run of its characters starts, so that it reads a text once however long it is.
_USAGE_KEY: Final = (
    r"(?:block|asset|lb|lib-block)-?v?1?(?::|%3A)[\w.~-]{1,255}(?:(?:[+:]|%2B|%3A)[\w.~-]{1,255}){0,6}(?:[+]|%2B)type(?:@|%40)[\w.-]+"
    r"(?:[+]|%2B)block(?:@|%40)[\w.~-]+(?![\w.~@%-])"
)
_MAIL: Final = re.compile(
    rf"({_USAGE_KEY})|(?<![\w.+%'-])[\w.+%'-]+(?:@|%40)(?:[\w-]+\.)+[\w-]+", re.IGNORECASE
)  # fmt: skip
_IPV4: Final = re.compile(r"(?<![0-9])[0-9]+(?:\.[0-9]+){3,}")
_VERSION_OF_FOUR: Final = re.compile(r"((?<=[A-Za-z]/)[0-9]{1,4}(?:\.[0-9]{1,5}){3}(?![0-9.]))")
_IPV6: Final = re.compile(r"(?<![0-9a-z:])[0-9a-f]{0,4}:[0-9a-f:]*:[0-9a-f:.]*", re.IGNORECASE)
_PAIR: Final = re.compile(
    r"((?:pass(?:word|wd|phrase)|csrf|token|secret|session_?id|session_?key|e-?mail|user_?name|user_?id"
    r"|(?:first|last|full|real)_?name|phone|student_?id)[\w\][.-]{0,40}(?:\\*[\"']|%22)?\s{0,3}(?:[:=]|%3D|%3A)[\s\[]{0,3})"
    r"(\\*\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|[^\s&,;}\"']*)",
    re.IGNORECASE,
)
#: What the searched-for has in its middle: a search for a letter is far faster than one for a class of them.
_PERHAPS_MAIL: Final = re.compile(rb"@[\w-]+\.")
_PERHAPS_IPV4: Final = re.compile(rb"\.[0-9]+\.[0-9]+\.")
_PERHAPS_IPV6: Final = re.compile(rb":(?:[0-9a-f]{1,4}:){6}")
_PERHAPS_PAIR: Final = (
    b"pass",
    b"csrf",
    b"token",
    b"secret",
    b"session",
    b"mail",
    b"name",
    b"user",
    b"phone",
    b"student",
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


_verdicts: dict[str, _Verdict] = {}
_addresses: dict[str, tuple[str, str]] = {}


def scrub(payload: dict[str, Any], *, username: str) -> dict[str, Any] | None:
    """Return what may stand in ``event.extra``, None for nothing; ``cut`` in it says that it is not all."""
    if not payload:
        return None
    name = name_of(username) if username else None
    if _is_harmless(payload, name):
        return _kept(payload) or None
    room = LARGEST_EXTRA - 16  # for the word that it was cut
    while True:
        walk = _Walk(name, room)
        extra = walk.mapping(payload, 0, is_free=False)
        if walk.is_cut:
            extra["cut"] = True
        # No character takes more than six bytes, so what is short needs no measuring.
        if (room - walk.room) * 6 <= LARGEST_EXTRA or len(msgspec.json.encode(extra)) <= LARGEST_EXTRA:
            return extra or None
        room //= 2


def is_quiet(text: str) -> bool:
    """Tell whether a text is short and holds nothing of concern but, perhaps, a name."""
    if len(text) > LONGEST_TEXT or "@" in text or ":" in text or "=" in text or "%" in text or text.count(".") >= 3:
        return False
    return text.isascii() or not _SURROGATES.search(text)


def is_open(keys: Iterable[str]) -> bool:
    """Tell whether what stands under these keys may stay, each with a single value that is harmless."""
    return all((_verdicts.get(key) or _verdict(key)) is _Verdict.OPEN and key not in {"cut", "setting"} for key in keys)


def is_harmless(written: bytes, low: bytes) -> bool:
    """Tell whether JSON, as it is written, is short and holds no text of concern.

    *low* is the name in small, if it is of ASCII; whoever has another asks only of JSON that is of ASCII.
    """
    # Without these it holds no quoting and no secret beside its name.
    if len(written) > LONGEST_TEXT or b"%" in written or b"\\" in written or low in (small := written.lower()):
        return False
    if b"=" in written and any(word in small for word in _PERHAPS_PAIR):
        return False
    # Of other letters two have small forms that are ASCII, and some stand in mails.
    if not written.isascii() and (b"@" in written or b"\xe2\x84\xaa" in written or b"\xc4\xb0" in written):
        return False
    return not (
        b"':" in written
        or b"::" in written
        or (b"@" in written and _PERHAPS_MAIL.search(written))
        or (written.count(b".") >= 3 and _PERHAPS_IPV4.search(written))
        or (written.count(b":") >= 7 and _PERHAPS_IPV6.search(small))
    )


def clean(text: str, username: str) -> str:
    """Take the event's own name, mails, addresses and secrets out of a text."""
    return _cleaned(text, name_of(username) if username else None)


def agent(text: str, username: str) -> str:
    """Do the same to what a browser says of itself; versions of four numbers, behind a name, are no addresses."""
    if not _VERSION_OF_FOUR.search(text):
        return clean(text, username)
    return "".join(part if at % 2 else clean(part, username) for at, part in enumerate(_VERSION_OF_FOUR.split(text)))


def address(url: str, username: str) -> str:
    """Return a URL or path without user, query and fragment, with ``*`` for whoever it names or numbers."""
    found = _addresses.get(url)
    if found is None:
        path = _anonymous(url)
        found = path, path.lower()
        if len(url) <= _LONGEST_ADDRESS:
            _remember(_addresses, url, found)
    path, low = found
    if not username:
        return path
    name = name_of(username)
    return nameless(path, name, name.mask if name.mask != NAME else "*") if holds(low, name) else path


def _is_harmless(payload: dict[str, Any], name: Name | None) -> bool:
    """Say whether no text in it, nor its size, is of any concern: most are so, and only their keys need a look."""
    try:
        blob = msgspec.json.encode(payload)
    except (ValueError, OverflowError, RecursionError):
        return False
    if "cut" in payload or blob.count(b"[") + blob.count(b"{") > DEEPEST:
        return False
    if name is not None and not name.ascii and not blob.isascii():
        return False
    # What no JSON holds stands for no name, and for one that no JSON of ASCII holds.
    return is_harmless(blob, name.ascii if name is not None and name.ascii else b"\0")


def _kept(value: dict[str, Any]) -> dict[str, Any]:
    """Return what a harmless object holds, but for what is denied."""
    out: dict[str, Any] = {}
    for key, each in value.items():
        verdict = _verdicts.get(key) or _verdict(key)
        if verdict is _Verdict.OPEN:
            kind = type(each)
            out[key] = _kept(each) if kind is dict else _kept_of(each) if kind is list else each
        elif verdict is _Verdict.FREE:
            out[key] = _Walk(None, LARGEST_EXTRA).any(each, 0, is_free=True)
    if "setting" in value and str(value["setting"]) not in _OPEN_SETTINGS:
        out.pop("old", None)
        out.pop("new", None)
    return out


def _kept_of(value: list[Any]) -> list[Any]:
    return [_kept(each) if type(each) is dict else _kept_of(each) if type(each) is list else each for each in value]


def is_personal(key: str) -> bool:
    """Say whether a field of this name says who somebody is, or is a secret."""
    return (_verdicts.get(key) or _verdict(key)) is _Verdict.DENIED


def is_free_text(key: str) -> bool:
    """Say whether a field of this name holds what somebody wrote."""
    return (_verdicts.get(key) or _verdict(key)) is _Verdict.FREE


class _Walk:
    """One way through a payload, as far as there is room; ``room`` counts the least that JSON takes."""

    __slots__ = ("is_cut", "name", "room")

    def __init__(self, name: Name | None, room: int) -> None:
        self.name = name
        self.room = room
        self.is_cut = False

    def mapping(self, value: dict[str, Any], depth: int, *, is_free: bool) -> dict[str, Any]:
        out: dict[str, Any] = {}
        tells_person = "setting" in value and str(value["setting"]) not in _OPEN_SETTINGS
        for key, each in value.items():
            verdict = _verdicts.get(key) or _verdict(key)
            if verdict is _Verdict.DENIED or (tells_person and key in {"old", "new"}):
                continue
            if self.room <= 0:
                self.is_cut = True
                break
            told = self._key(key, out, depth)
            out[told] = self.any(each, depth + 1, is_free=is_free or verdict is _Verdict.FREE)
        return out

    def any(self, value: Any, depth: int, *, is_free: bool) -> Any:
        if isinstance(value, str):
            return self._length(value) if is_free else self.text(value, depth)
        self.room -= 2
        if isinstance(value, dict | list) and value and depth >= DEEPEST:
            self.is_cut = True
            return None
        if isinstance(value, dict):
            return self.mapping(value, depth, is_free=is_free)
        if isinstance(value, list):
            return self._sequence(value, depth, is_free=is_free)
        if isinstance(value, int):
            self.room -= 2
            return value if -(2**63) <= value < 2**63 else None  # no column holds it
        if isinstance(value, float):
            self.room -= 16
            return value if value - value == 0 else None  # JSON has no infinity
        return value

    def text(self, value: str, depth: int) -> str:
        if len(value) > 2 and value[0] in "{[" and depth < DEEPEST and (inner := self._inner(value, depth)) is not None:
            return inner
        text = _bounded(value, LONGEST_TEXT, self._clean)
        self.is_cut |= len(value) > LONGEST_TEXT
        self.room -= len(text) + 2
        return text

    def _key(self, key: str, out: dict[str, Any], depth: int) -> str:
        told = self.text(key, depth)
        if depth == 0 and told == "cut":
            told = "cut *"
        if told != key:  # two names may have become one
            while told in out:
                told += "*"
                self.room -= 1
        return told

    def _length(self, value: str) -> dict[str, int]:
        self.room -= 16
        return {"length": len(value)}

    def _sequence(self, value: list[Any], depth: int, *, is_free: bool) -> list[Any]:
        out: list[Any] = []
        for each in value:
            if self.room <= 0:
                self.is_cut = True
                break
            out.append(self.any(each, depth + 1, is_free=is_free))
        return out

    def _inner(self, value: str, depth: int) -> str | None:
        """Return a text that holds JSON with what it holds scrubbed; forms are sent so, and noted as keys even."""
        try:
            held = json.loads(value)
        except (ValueError, RecursionError):
            return None
        room = self.room
        scrubbed = msgspec.json.encode(self.any(held, depth + 1, is_free=False)).decode()
        self.room = min(self.room, room - len(scrubbed))
        return scrubbed

    def _clean(self, text: str) -> str:
        return _cleaned(text, self.name)


def _cleaned(text: str, name: Name | None) -> str:
    # Each test is far cheaper than what it saves.
    if not text.isascii() and _SURROGATES.search(text):
        text = _SURROGATES.sub("\ufffd", text)
    if "=" in text or '":' in text or "':" in text or "%3" in text:
        text = _PAIR.sub(r"\1*", text)
    if "@" in text or "%40" in text:
        text = _MAIL.sub(_mail_mask, text)
    if text.count(".") >= 3:
        text = _IPV4.sub(ADDRESS, text)
    if text.count(":") >= 2:
        text = _IPV6.sub(_ipv6_mask, text)
    # Last: the words that stand for the others are no names either.
    if name is not None and holds(text.lower(), name):
        text = nameless(text, name, name.mask)
    return text


def _bounded(text: str, longest: int, cleaned: Callable[[str], str]) -> str:
    """Clean and shorten a text; no half of a name is left at its end."""
    if len(text) <= longest:
        return cleaned(text)
    window = longest + 2 * _LONGEST_NAME
    told = cleaned(text[:window])
    if len(text) > window:
        told = told[: max(0, len(told) - _LONGEST_NAME)]
    return told[:longest]


def _mail_mask(found: re.Match[str]) -> str:
    return found[0] if found[1] else MAIL


def _ipv6_mask(found: re.Match[str]) -> str:
    candidate = found[0].rstrip(".")
    for text in (candidate, candidate.removesuffix(":")):
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            continue
        return found[0] if text == "::" else ADDRESS + found[0][len(text) :]
    return found[0]


def _verdict(key: str) -> _Verdict:
    squashed = _SQUASHED.sub("", key[:200]).lower()
    if squashed in _DENIED or _DENIED_PART.search(squashed):
        # What a form sent as one text is taken apart first.
        verdict = _Verdict.OPEN if key.startswith(("{", "[")) and '":' in key else _Verdict.DENIED
    else:
        verdict = _Verdict.FREE if squashed in _FREE else _Verdict.OPEN
    if len(key) <= 100:
        _remember(_verdicts, key, verdict)
    return verdict


_QUERY: Final = re.compile(r"[?#]|%3F|%23", re.IGNORECASE)


#: A sign that may stand in an address as it is, written in another way, also more than once.
_ESCAPED: Final = re.compile(r"%(?:25)*([0-9a-f]{2})", re.IGNORECASE)


def _unescaped(found: re.Match[str]) -> str:
    sign = chr(int(found[1], 16))
    return sign if sign.isascii() and (sign.isalnum() or sign in "-._~") else f"%{found[1]}"


def _anonymous(url: str) -> str:
    if "%" in url:
        url = _ESCAPED.sub(_unescaped, url)
    end = _QUERY.search(url)
    told = url[: end.start()] if end else url
    origin, slashes, rest = told.partition("//") if told.startswith("//") or "://" in told[:24] else ("", "", told)
    host, slash, path = rest.partition("/")
    if slashes:
        host = _MAIL.sub("*", host.rpartition("@")[2][:255])
        return f"{origin}//{host}{_bounded(slash + path, _LONGEST_ADDRESS, _pathless)}"
    return _bounded(rest, _LONGEST_ADDRESS, _pathless)


def _pathless(path: str) -> str:
    return _cleaned(without_persons(path), None).replace(MAIL, "*").replace(ADDRESS, "*")


def _remember(memory: dict[str, Any], key: str, value: Any) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value
