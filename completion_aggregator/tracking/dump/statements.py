"""The statements of a dump, one after the other, none of them held as a whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from completion_aggregator.tracking.dump.window import Window

#: What must be at hand to tell what a statement is about, its list of columns included.
HEAD_BYTES: Final = 1 << 16

STRING: Final = rb"'(?:[^'\\]++|\\.|'')*+'"
NAME: Final = rb'(?:`(?:[^`]|``)++`|"(?:[^"]|"")++"|[\w$]++)'

_FLAGS: Final = re.DOTALL | re.VERBOSE | re.IGNORECASE
# Blanks, comments, and the comment that switches the client's dangerous commands off, which has no end of its own.
_BLANKS: Final = re.compile(
    rb"(?: [\s;]++ | --(?:[ \t\r][^\n]*+)?\n | \#[^\n]*+\n | /\*(?!M?!).*?\*/ | /\*M?!999999.*?\*/ )*+", _FLAGS
)
_COMMENT: Final = re.compile(rb"--(?:\s|$) | \# | /\*(?!M?!) | /\*M?!999999", _FLAGS)
_DELIMITER: Final = re.compile(rb"DELIMITER[ \t]+(\S+)[^\n]*+(?:\n|$)", _FLAGS)
# Of what may begin a longer token at the end of what is at hand, the rest is awaited.
_BODY: Final = re.compile(
    rb"(?: [^'\"`;/\-\#]++ |"
    + STRING
    + rb"(?=[^'])"
    + rb'| "(?:[^"\\]++|\\.|"")*+"(?=[^"]) | `[^`]*+` | /\*.*?\*/ | /(?=[^*])'
    + rb"| --(?=\s)[^\n]*+\n | -(?=[^-]|-\S) | \#[^\n]*+\n )*+",
    _FLAGS,
)
_TABLE: Final = rb"\s*+ (?: (?P<database>" + NAME + rb") \s*+ \. \s*+ )? (?P<table>" + NAME + rb")"
_HEAD: Final = re.compile(
    rb"(?P<guard> /\*M?!\d*+\s*+ )?"
    rb"(?: (?P<create> CREATE\s++ (?:TEMPORARY\s++)? TABLE\b (?:\s++IF\s++NOT\s++EXISTS\b)? )"
    rb"| (?P<insert> (?:INSERT|REPLACE)\b (?:\s++(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\b)*+ (?:\s++INTO\b)? )"
    rb"| (?P<about> (?:DROP\s++TABLE\b(?:\s++IF\s++EXISTS\b)? | LOCK\s++TABLES?\b | ALTER\s++TABLE\b) )"
    rb")" + _TABLE,
    _FLAGS,
)
_SETTING: Final = re.compile(rb"(?:/\*M?!\d*+\s*+)? SET\b (?:\s++NAMES\s++'?(?P<charset>\w++))?", _FLAGS)
_CLOSING: Final = re.compile(rb"UNLOCK\s++TABLES?\b|COMMIT\b", _FLAGS)
_USE: Final = re.compile(rb"USE\s*+(?P<database>" + NAME + rb")", _FLAGS)


class Kind(Enum):
    """What a statement does."""

    CREATE = auto()
    INSERT = auto()
    ABOUT = auto()
    SETTING = auto()
    CLOSING = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's head. ``head_bytes``: up to where it was understood."""

    kind: Kind
    table: str = ""
    database: str = ""
    head_bytes: int = 0


class Reader:
    """Reads statements; the one at hand is read by ``pieces`` or ``window``, or left, and then it is passed over."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.charset = "utf8mb4"
        self._database = ""
        self._delimiter = b";"
        self._inside = False

    def __iter__(self) -> Iterator[Statement]:
        while True:
            if self._inside:
                for _ in self.pieces():
                    pass
            if not self._find_next():
                return
            yield self._head()

    def pieces(self) -> Iterator[bytes]:
        """Yield the text of the statement at hand, from where it is, with what ends it."""
        window = self.window
        while self._inside:
            match = _BODY.match(window.data, window.place)
            end = match.end() if match else window.place
            if window.data.startswith(b";", end):
                end += 1
                self._inside = False
            if end > window.place:
                piece = window.data[window.place : end]
                window.place = end
                yield piece
            elif not window.fill():
                raise window.damaged("it ends in the middle of a statement; was it copied whole?")

    def ended(self) -> None:
        """Note that the statement at hand was read to its end."""
        self._inside = False

    def _find_next(self) -> bool:
        window = self.window
        while True:
            match = _BLANKS.match(window.data, window.place)
            window.place = match.end() if match else window.place
            if (window.rest < HEAD_BYTES or _COMMENT.match(window.data, window.place)) and window.fill():
                continue
            if not window.rest or _is_line_comment(window):
                return False
            if changed := _DELIMITER.match(window.data, window.place):
                window.place = changed.end()
                self._delimiter = changed[1]
            elif self._delimiter != b";":
                self._pass_routine()
            else:
                self._inside = True
                return True

    def _pass_routine(self) -> None:
        # Bodies of routines hold comments with apostrophes and statements of their own: only a delimiter at the end of
        # its line ends them.
        window, end = self.window, re.compile(re.escape(self._delimiter) + rb"[ \t\r]*(?:\n|\Z)")
        while not (match := end.search(window.data, window.place)):
            window.place = max(window.place, len(window.data) - len(self._delimiter) - 8)
            if not window.fill():
                raise window.damaged("it ends in the middle of a routine; was it copied whole?")
        window.place = match.end()

    def _head(self) -> Statement:
        data, place = self.window.data, self.window.place
        if match := _HEAD.match(data, place):
            return self._of_table(match)
        if match := _USE.match(data, place):
            self._database = unquoted(match["database"])
        elif match := _SETTING.match(data, place):
            if match["charset"]:
                self.charset = match["charset"].decode("ascii", "replace").lower()
            return Statement(Kind.SETTING)
        return Statement(Kind.CLOSING if _CLOSING.match(data, place) else Kind.OTHER)

    def _of_table(self, match: re.Match[bytes]) -> Statement:
        # What stands for a view until it is made is a table only to servers of a certain age.
        kind = Kind.INSERT if match["insert"] else Kind.CREATE if match["create"] else Kind.ABOUT
        if kind is Kind.CREATE and match["guard"]:
            return Statement(Kind.OTHER)
        database = unquoted(match["database"]) if match["database"] else self._database
        return Statement(kind, unquoted(match["table"]), database, match.end() - match.start())


def unquoted(name: bytes) -> str:
    """Return a name without its quotation marks."""
    if name[:1] in (b"`", b'"'):
        mark = name[:1]
        name = name[1:-1].replace(mark * 2, mark)
    return name.decode("utf-8", "backslashreplace")


def _is_line_comment(window: Window) -> bool:
    """Return whether only a comment is left; it needs no end of line where the file ends. Raises DamagedDump."""
    match = _COMMENT.match(window.data, window.place)
    if match and match[0].startswith(b"/*"):
        raise window.damaged("it ends in the middle of a comment; was it copied whole?")
    return bool(match)
