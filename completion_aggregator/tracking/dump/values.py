"""From a value as a dump writes it to the value that it is."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from completion_aggregator.tracking.dump.statements import STRING

Value: TypeAlias = int | float | Decimal | str | bytes | date | datetime | None
Convert: TypeAlias = Callable[[bytes], Value]

#: A value as a dump may write it: NULL, a number, text, or bytes as hexadecimal or binary digits.
LITERAL: Final = (
    rb"(NULL|[-+.0-9][-+.0-9eE]*+(?![xX])|0[xX][0-9A-Fa-f]*+|(?:_\w++\s*+|[xXbBnN])?" + STRING + rb"|TRUE|FALSE)"
)
_ESCAPE: Final = re.compile(rb"\\(.)|''", re.DOTALL)
_ESCAPED: Final = {b"0": b"\0", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"Z": b"\x1a"}
# Before these two the backslash is part of the text: MySQL keeps it for patterns.
_KEPT: Final = (b"%", b"_")
_CHARSETS: Final = {"latin1": "cp1252", "ascii": "ascii", "binary": "utf-8", "ucs2": "utf-16-be", "gbk": "gbk"}


def converter(column_type: str, charset: str) -> Convert:
    """Return what turns a literal of a column of this type into its value; it raises ValueError where it is none.

    An unknown type, "", makes of a literal what it looks like.
    """
    if column_type in _BY_TYPE:
        return _BY_TYPE[column_type]
    codec = _CHARSETS.get(charset, "utf-8")
    if column_type:
        return lambda literal: None if literal == b"NULL" else _text(literal, codec)
    return lambda literal: _as_it_looks(literal, codec)


def plain(literal: bytes) -> bytes:
    """Return the bytes that a literal stands for; of a number its digits."""
    if literal[:1] == b"'":
        return _unquoted(literal[1:-1])
    if literal[:2] in (b"0x", b"0X"):
        return _from_hex(literal[2:])
    quote = literal.find(b"'")
    if quote < 0:
        return literal
    before, inner = literal[:quote].lower(), literal[quote + 1 : -1]
    if before == b"x":
        return _from_hex(inner)
    if before == b"b":
        return int(inner or b"0", 2).to_bytes((len(inner) + 7) // 8, "big")
    return _unquoted(inner)


def _unquoted(inner: bytes) -> bytes:
    return _ESCAPE.sub(_unescaped, inner) if b"\\" in inner or b"''" in inner else inner


def _from_hex(digits: bytes) -> bytes:
    return bytes.fromhex(digits.decode().zfill(len(digits) + len(digits) % 2))


def _unescaped(match: re.Match[bytes]) -> bytes:
    escaped: bytes | None = match[1]
    if escaped is None:
        return b"'"
    return match[0] if escaped in _KEPT else _ESCAPED.get(escaped, escaped)


def _text(literal: bytes, codec: str) -> str:
    # What is no text in this encoding stays readable, and is not lost.
    return plain(literal).decode(codec, "backslashreplace")


def _as_integer(literal: bytes) -> Value:
    try:
        return int(literal)
    except ValueError:
        if literal == b"NULL":
            return None
    return int(literal == b"TRUE") if literal in (b"TRUE", b"FALSE") else int(plain(literal))


def _as_bits(literal: bytes) -> Value:
    return None if literal == b"NULL" else int.from_bytes(plain(literal), "big")


def _as_number(literal: bytes) -> Value:
    return None if literal == b"NULL" else float(plain(literal))


def _as_bytes(literal: bytes) -> Value:
    return None if literal == b"NULL" else plain(literal)


def _as_decimal(literal: bytes) -> Value:
    if literal == b"NULL":
        return None
    try:
        return Decimal(plain(literal).decode())
    except InvalidOperation:
        raise ValueError("no number") from None


def _as_time(literal: bytes) -> Value:
    """Return the moment, in UTC as both dumps and Django write it; a zero in the date means that there is none."""
    if literal == b"NULL":
        return None
    text = plain(literal).decode()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        if "-00" in text or text.startswith("0000"):
            return None
        raise
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _as_date(literal: bytes) -> Value:
    moment = _as_time(literal)
    return moment.date() if isinstance(moment, datetime) else None


def _as_it_looks(literal: bytes, codec: str) -> Value:
    if literal == b"NULL":
        return None
    if literal in (b"TRUE", b"FALSE"):
        return literal == b"TRUE"
    if literal[:1] == b"'" or literal[:1] in b"nN":
        return _text(literal, codec)
    if literal[:1].isdigit() or literal[:1] in b"-+.":
        return _number(literal)
    return plain(literal) if literal.lower().startswith((b"x", b"b", b"_binary")) else _text(literal, codec)


def _number(literal: bytes) -> Value:
    if literal[:2] in (b"0x", b"0X"):
        return plain(literal)
    return float(literal) if set(literal) & set(b".eE") else int(literal)


#: By the words of any type of these families; what is not among them is text.
_BY_TYPE: Final[dict[str, Convert]] = {
    word: convert
    for words, convert in (
        (("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year", "bool", "boolean"), _as_integer),
        (("float", "double", "real"), _as_number),
        (("decimal", "numeric", "dec", "fixed"), _as_decimal),
        (("datetime", "timestamp"), _as_time),
        (("date",), _as_date),
        (("bit",), _as_bits),
        (("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _as_bytes),
        (("geometry", "point", "linestring", "polygon"), _as_bytes),
    )
    for word in words
}
