"""Copies of logs for an archive: names, mails, addresses and sessions become keyed pseudonyms, free text its length.

Every line stays a line, and what was a text stays a text, so that such a copy can still be loaded. A person has the
same pseudonym in all copies that are made with the same keys.
"""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from isal import igzip

from completion_aggregator.meter import Meter
from completion_aggregator.tracking import scrub
from completion_aggregator.tracking.contents import Content
from completion_aggregator.tracking.errors import TrackingError, Unreadable
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.sources import Source, opened

#: A line that is longer is not looked into.
LONGEST_LINE: Final = 64 * 2**20
_DEEPEST: Final = 50
_FASTEST: Final = 1

_PREFIX: Final = re.compile(r"\[(user|ip) [^\]]*\]")
_SQUASHED: Final = re.compile(r"[\W_]+")
_NUMBERED: Final = re.compile("userid|studentid|learnerid|instructorid|authorid|^user$|^student$|^learner$")
_NAMED: Final = re.compile("username|^users?$|^students?$|^learners?$|^author$|^login$|screenname|groupuser|identifier")
_SECRET: Final = re.compile("pass|pwd|csrf|secret|token|credential|authorization|cookie|apikey|cvv|card")
#: Fields of an event that may be an address of the site, whose path may name somebody.
_ADDRESSES: Final = frozenset({"page", "path", "referer", "name", "event_type", "url", "target_url", "current_url"})


#: What has a name that is nobody's; first the event itself, under what no field can be called.
_LINE: Final = "\0"
_NAMED_THINGS: Final = frozenset({_LINE, "criterion", "option", "options", "app", "application", "os", "device"})


class RedactFailed(TrackingError):
    """No copy was made; the message says why."""


@dataclass(slots=True)
class Redacted:
    """What came of it; ``replaced`` counts the lines of which only the length is left, by reason."""

    files: int = 0
    lines: int = 0
    bytes: int = 0
    replaced: Counter[str] = field(default_factory=Counter)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)


def redact_file(source: Source, out: Path, line: "Line", *, meter: Meter) -> Redacted:
    """Write the copy of one log; it is packed if its name ends in ``.gz``."""
    _refuse_existing(out)
    part = out.with_name(f".{out.name}.part")
    result = Redacted()
    try:
        _write_or_tell(source, part, line, is_packed=out.suffix == ".gz", result=result, meter=meter)
        _refuse_existing(out)
        if result.files:
            part.replace(out)
    except OSError as error:
        raise _failed(out, error) from None
    finally:
        part.unlink(missing_ok=True)
    return result


def redact_folder(sources: list[Source], out: Path, line: "Line", *, meter: Meter) -> Redacted:
    """Write the copies of logs into a new folder, which is there when all is that could be read."""
    _refuse_existing(out)
    part = out.with_name(f".{out.name}.part")
    result = Redacted()
    try:
        for source in sources:
            target = part / source.name
            if not target.resolve().is_relative_to(part.resolve()):
                raise RedactFailed(f"{source.url}: its name leads out of the folder.")
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_or_tell(source, target, line, is_packed=target.suffix == ".gz", result=result, meter=meter)
        _refuse_existing(out)
        if result.files:
            part.rename(out)
    except OSError as error:
        raise _failed(out, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return result


class Line:
    """Takes what is somebody's out of a line, one at a time."""

    def __init__(self, pseudonyms: Pseudonyms, *, keeps_sessions: bool = False) -> None:
        self._pseudonyms = pseudonyms
        self._keeps_sessions = keeps_sessions
        self._username = self._low = ""
        self._has_answers = False

    def __call__(self, line: bytes) -> tuple[bytes, str]:
        """Return the line as it may be kept, and why only its length is left, or ""."""
        if not line.strip():
            return b"", ""
        try:
            return self._redacted(line.decode("utf-8", "surrogateescape")), ""
        except (ValueError, RecursionError, OverflowError):
            return replaced("no JSON object", len(line)), "no JSON object"

    def _redacted(self, text: str) -> bytes:
        start = text.index("{")
        event = json.loads(text[start:])
        if not isinstance(event, dict):
            raise ValueError(start)  # pragma: no cover (what begins with a brace is an object)
        name = event.get("username")
        self._username = name if isinstance(name, str) else ""
        self._low = self._username.lower()
        kind = event.get("event_type") or event.get("name")
        # Answers to problems are no free text; nor is what the problem says of them.
        self._has_answers = isinstance(kind, str) and ("problem" in kind or "answer" in kind)
        prefix = scrub.clean(_PREFIX.sub(r"[\1 *]", text[:start]), self._username)
        told = self._event(event)
        # ASCII, as the platform writes it: halves of surrogates and bytes that were no text are escapes.
        return (prefix + json.dumps(told)).encode("utf-8", "backslashreplace")

    def _event(self, event: dict[str, Any]) -> dict[str, Any]:
        context = event.get("context")
        number = context.get("user_id") if isinstance(context, dict) else None
        person = self._pseudonyms.person(_number(number), self._username)
        told = {self._key(key): self._field(key, value, 1, parent=_LINE) for key, value in event.items()}
        if self._username and person:
            told["username"] = person.hex()
        return told

    def _field(self, key: str, value: Any, depth: int, *, parent: str) -> Any:
        if scrub.is_personal(key) and not (key == "name" and parent in _NAMED_THINGS):
            return self._pseudonym(_SQUASHED.sub("", key).lower(), value, depth)
        if isinstance(value, str) and key in _ADDRESSES and "/" in value:
            return scrub.address(value, self._username)
        if key == "agent" and isinstance(value, str) and "@" not in value and not self._is_named(value):
            return value  # versions of browsers look like addresses
        if scrub.is_free_text(key) and not self._has_answers:
            return _lengths(value) if _is_text(value) else self._any(value, depth, parent=key)
        return self._any(value, depth, parent=key)

    def _any(self, value: Any, depth: int, *, parent: str = "") -> Any:
        if isinstance(value, str):
            return self._text(value)
        if depth > _DEEPEST and isinstance(value, dict | list):
            return None
        if isinstance(value, dict):
            # Whose fields are told apart by a name of their own: ``{"setting": "email", "old": ..., "new": ...}``.
            named = value.get("setting")
            is_setting = isinstance(named, str) and scrub.is_personal(named)
            return {
                self._key(key): self._pseudonym("text", each, depth + 1)
                if is_setting and key in {"old", "new"}
                else self._field(key, each, depth + 1, parent=parent)
                for key, each in value.items()
            }
        if isinstance(value, list):
            return [self._any(each, depth + 1, parent=parent) for each in value]
        return value

    def _key(self, key: str) -> str:
        # A word alone is no mail and no address.
        return key if key.isidentifier() and not self._is_named(key) else self._text(key)

    def _is_named(self, text: str) -> bool:
        return self._low != "" and self._low in text.lower()

    def _text(self, text: str) -> str:
        if text[:1] in {"{", "["} and len(text) > 2:
            try:
                return json.dumps(self._any(json.loads(text), 1))
            except (ValueError, RecursionError):
                return f"[length {len(text)}]"  # cut: nobody can say which of its texts are whose
        return scrub.clean(text, self._username)

    def _pseudonym(self, key: str, value: Any, depth: int) -> Any:
        if isinstance(value, dict | list):
            if depth > _DEEPEST:
                return None
            if isinstance(value, list):
                return [self._pseudonym(key, each, depth + 1) for each in value]
            return {self._key(name): self._pseudonym(key, each, depth + 1) for name, each in value.items()}
        if value is None or value == "" or isinstance(value, bool | float):
            return value
        if _SECRET.search(key):
            return "*"
        return self._keyed(key, value)

    def _keyed(self, key: str, value: str | int) -> str:
        number = _number(value)
        if number is not None and _NUMBERED.search(key):
            return cast(bytes, self._pseudonyms.person(number, "")).hex()
        text = str(value)
        if key.startswith("session"):
            return text if self._keeps_sessions else self._pseudonyms.keyed("session", text).hex()
        if key == "ip" or "ipaddr" in key or key.endswith(("ip", "remoteaddr", "forwardedfor")):
            return self._pseudonyms.keyed("address", text).hex()
        return self._pseudonyms.keyed("username" if _NAMED.search(key) else "text", text).hex()


def replaced(reason: str, length: int) -> bytes:
    """Return what stands for a line that cannot be looked into."""
    return json.dumps({"redacted": reason, "length": length}).encode()


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _lengths(value: Any) -> Any:
    return [_lengths(each) for each in value] if isinstance(value, list) else f"[length {len(value)}]"


def _write_or_tell(
    source: Source, target: Path, line: Line, *, is_packed: bool, result: Redacted, meter: Meter
) -> None:
    """Write the copy of a log; one that cannot be read does not keep others, and nothing is left of its copy."""
    lines, replaced_before = result.lines, result.replaced.copy()
    try:
        _write(source, target, line, is_packed=is_packed, result=result, meter=meter)
    except Unreadable as error:
        target.unlink(missing_ok=True)
        result.lines, result.replaced = lines, replaced_before
        result.unread.append((source.url, str(error)))


def _write(source: Source, target: Path, line: Line, *, is_packed: bool, result: Redacted, meter: Meter) -> None:
    with opened(source) as stream, _writer(target, is_packed=is_packed) as out:
        content = Content(stream)
        for each in _lines(content):
            told, reason = line(each) if each is not None else (replaced("too long", LONGEST_LINE), "too long")
            out.write(told + b"\n")
            result.lines += 1
            if reason:
                result.replaced[reason] += 1
            if not result.lines % 1000:
                meter.show(result.bytes + content.packed_bytes, f"{result.lines:,} lines")
    with target.open("rb") as written:
        os.fsync(written.fileno())
    result.files += 1
    result.bytes += content.packed_bytes
    if content.damage:
        result.damaged.append((source.url, content.damage))


def _writer(target: Path, *, is_packed: bool) -> BinaryIO:
    if not is_packed:
        return target.open("wb")
    packed = igzip.open(target, "wb", compresslevel=_FASTEST)  # type: ignore[no-untyped-call] # it has no types
    return cast(BinaryIO, packed)


def _lines(content: Content) -> Iterator[bytes | None]:
    """Yield lines without their ends, None for one that is too long."""
    rest, is_long = b"", False
    for block in content.blocks():
        *whole, rest_of_block = block.split(b"\n")
        for each in whole:
            yield None if is_long or len(rest) + len(each) > LONGEST_LINE else (rest + each).rstrip(b"\r")
            rest, is_long = b"", False
        rest += rest_of_block
        if is_long or len(rest) > LONGEST_LINE:
            rest, is_long = b"", True
    if rest or is_long:
        yield None if is_long else rest


def _refuse_existing(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise RedactFailed(f"{out} exists, and nothing is overwritten. Name another place.")


def _failed(out: Path, error: OSError) -> RedactFailed:
    return RedactFailed(f"{out} cannot be written: {error.strerror or error}. Nothing is left of it.")
