"""Keyed names: the same learner is the same 128 bits everywhere, and nobody without the key can say who it is.

The keys stand in a file of their own, never in the store. Whoever loses them can load no more logs into the store,
since nobody in them would be who they were.
"""

import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, TypeVar

from completion_aggregator.exceptions import CompletionAggregatorError

#: Bytes of a key, and of a pseudonym.
KEY: Final = 32
WIDTH: Final = 16
#: Names that are remembered at a time: enough for a day of a large site, some 30 MB.
REMEMBERED: Final = 200_000

_Subject = TypeVar("_Subject")

_NAMES: Final = ("person", "session", "address")


class UnusableKeys(CompletionAggregatorError):
    """The file of keys is missing, damaged, in the way or open to others; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Three secrets: whoever reads sessions cannot work out persons from them."""

    person: bytes = field(repr=False)
    session: bytes = field(repr=False)
    address: bytes = field(repr=False)
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the keys, so that a load can say which it was made with."""
        object.__setattr__(self, "key_id", hashlib.sha256(self.person).hexdigest()[:8])

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the keys; refuse a file that somebody else may have read."""
        try:
            with path.open("rb") as file:
                _check_closed_to_others(path, os.fstat(file.fileno()).st_mode)
                text = file.read(4096)
        except FileNotFoundError:
            raise UnusableKeys(
                f"There are no keys at {path}. If the store is new, create them; else bring back the file that it was"
                " loaded with: with other keys nobody in it would be who they were."
            ) from None
        except OSError as error:
            raise UnusableKeys(f"The keys at {path} cannot be read: {error.strerror}.") from None
        return cls(**_parsed(path, text))

    @classmethod
    def create(cls, path: Path) -> Self:
        """Write new keys where no file is, for the owner's eyes only."""
        keys = cls(*(secrets.token_bytes(KEY) for _ in _NAMES))
        text = json.dumps({name: getattr(keys, name).hex() for name in _NAMES}, indent=1) + "\n"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise UnusableKeys(f"{path} exists, and keys are never overwritten. Move it away first.") from None
        except OSError as error:
            raise UnusableKeys(f"No keys can be written to {path}: {error.strerror}.") from None
        _write(path, handle, text.encode())
        return keys


def _write(path: Path, handle: int, text: bytes) -> None:
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink()  # half a file would be in the way of the next try
        raise UnusableKeys(f"No keys can be written to {path}: {error.strerror}.") from None


def _check_closed_to_others(path: Path, mode: int) -> None:
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnusableKeys(
            f"Others than the owner may read or change the keys at {path} (mode {stat.S_IMODE(mode):04o}). If nobody"
            f" did, close it: chmod 600 {path}"
        )


def _parsed(path: Path, text: bytes) -> dict[str, bytes]:
    try:
        found = json.loads(text)
        keys = {name: bytes.fromhex(found[name]) for name in _NAMES}
    except (ValueError, TypeError, KeyError, RecursionError):
        keys = {}
    # The reason is not told: it might quote a key.
    if [len(key) for key in keys.values()] != [KEY] * len(_NAMES):
        raise UnusableKeys(
            f"{path} is no file of keys: a JSON object with {', '.join(_NAMES)}, each {KEY} bytes as hexadecimal"
            " digits. Bring it back from a backup."
        )
    return keys


class Pseudonyms:
    """Give names of their own to persons, sessions and others. Called for each line, so what was met is remembered."""

    __slots__ = ("_keyed", "_keys", "_persons", "_sessions")

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._persons: dict[int | str, bytes] = {}
        self._sessions: dict[str, bytes] = {}
        self._keyed: dict[tuple[str, str], bytes] = {}

    def person(self, user_id: int | None, username: str) -> bytes | None:
        """Return the pseudonym of a learner: by number, else by name in any case; None: the event names nobody."""
        subject: int | str = username if user_id is None else user_id
        found = self._persons.get(subject)
        if found is not None:
            return found
        if subject == "":
            return None
        message = b"username\0" + _bytes(username.lower()) if user_id is None else b"user_id\0%d" % user_id
        found = hmac.digest(self._keys.person, message, "sha256")[:WIDTH]
        _remember(self._persons, subject, found)
        return found

    @property
    def met_session(self) -> Callable[[str], bytes | None]:
        """Return what tells the pseudonym of a session that was met before, with no call in between."""
        return self._sessions.get

    def session(self, text: str) -> bytes | None:
        """Return the pseudonym of a session, None without one."""
        found = self._sessions.get(text)
        if found is not None:
            return found
        if not text:
            return None
        found = hmac.digest(self._keys.session, b"session\0" + _bytes(text), "sha256")[:WIDTH]
        _remember(self._sessions, text, found)
        return found

    def keyed(self, domain: str, value: str) -> bytes:
        """Return the pseudonym of anything. Of ``user_id``, ``username`` and ``session`` it is the one used above."""
        subject = (domain, value)
        found = self._keyed.get(subject)
        if found is not None:
            return found
        key = {"session": self._keys.session, "address": self._keys.address}.get(domain, self._keys.person)
        told = value.lower() if domain == "username" else value
        found = hmac.digest(key, _bytes(domain) + b"\0" + _bytes(told), "sha256")[:WIDTH]
        _remember(self._keyed, subject, found)
        return found


def _bytes(text: str) -> bytes:
    # Browsers and old loggers leave halves of surrogate pairs: they are part of the name, as written.
    return text.encode("utf-8", "surrogatepass")


def _remember(memory: dict[_Subject, bytes], subject: _Subject, found: bytes) -> None:
    if len(memory) >= REMEMBERED:
        memory.clear()
    memory[subject] = found
