"""From an id in a log, an address or a column to the block or course that it stands for."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from completion_aggregator.tracking.errors import TrackingError

#: What is asked is a line at most; a longer one is no id.
LONGEST: Final = 10_000

_HEX: Final = re.compile(r"(?<![0-9a-zA-Z])[0-9a-f]{32}(?![0-9a-zA-Z])")
_USAGE_KEY: Final = re.compile(
    r"block-v1:[\w.~:-]+\+[\w.~:-]+\+[\w.~:-]+\+type@[\w.~:-]+\+block@[\w.~:%-]+|i4x://[^/\s]+/[^/\s]+/[^/\s]+/[\w.~:@%-]+"
)
_COURSE_KEY: Final = re.compile(
    r"course-v1:[\w.~:-]+\+[\w.~:-]+\+[\w.~:-]+|(?<=block-v1:)[\w.~:-]+\+[\w.~:-]+\+[\w.~:-]+(?=\+type@)"
)
_PART: Final = re.compile(r"(?:_\d+)+$")
_TAIL: Final = r"(?P<tail>[^@/]*)$"
_COLUMNS: Final = ("course", "block", "type", "name", "path")


class NotRefreshed(TrackingError):
    """The store has no table of blocks yet."""


@dataclass(frozen=True, slots=True)
class Found:
    """A block, or a course. ``id``: its key; ``path``: the names from the section down to it."""

    id: str
    type: str
    name: str | None
    course: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked, and what it stands for: nothing, one thing, or one in each of several courses."""

    asked: str
    found: tuple[Found, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"asked": self.asked, "found": [asdict(each) for each in self.found]}


@dataclass(frozen=True, slots=True)
class _Question:
    """What a text may name: keys of blocks and courses in full, and ids, the last part of keys."""

    asked: str
    keys: frozenset[str] = frozenset()
    courses: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Index:
    """The blocks and courses that any question may be about."""

    by_key: dict[str, list[Found]] = field(default_factory=dict)
    by_id: dict[str, list[Found]] = field(default_factory=dict)
    courses: dict[str, Found] = field(default_factory=dict)


def lookup(asked: Iterable[str], tables_folder: Path) -> list[Answer]:
    """Return an answer for each text; the tables are read once. Raises NotRefreshed."""
    questions = [_question(text) for text in asked]
    index = _Index()
    wanted_keys = sorted({key for question in questions for key in question.keys})
    wanted_ids = sorted({each for question in questions for each in question.ids})
    for row, tail in _rows(tables_folder / "block.parquet", wanted_keys, wanted_ids):
        found = Found(row["block"], row["type"], row["name"], row["course"], row["path"])
        index.by_key.setdefault(found.id, []).append(found)
        index.by_id.setdefault(tail, []).append(found)
    wanted_courses = sorted({key for question in questions for key in question.courses})
    for course in _courses(tables_folder / "course.parquet", wanted_courses):
        index.courses[course.id] = course
    return [Answer(question.asked, _answer(question, index)) for question in questions]


def _question(asked: str) -> _Question:
    text = unquote(asked[:LONGEST]).strip()
    usage = {match[0] for match in _USAGE_KEY.finditer(text)}
    # The name of an input field is that of its problem, and some numbers.
    keys = usage | {_PART.sub("", key) for key in usage}
    courses = {match[0] if ":" in match[0] else f"course-v1:{match[0]}" for match in _COURSE_KEY.finditer(text)}
    ids = set(_HEX.findall(_PART.sub("", text).replace("_", " ")))
    if not usage and not ids and text and len(text.split()) == 1:
        courses.add(text)
        ids = {text, _PART.sub("", text)} - courses | {text}
    return _Question(asked, frozenset(keys), frozenset(courses), frozenset(ids))


def _answer(question: _Question, index: _Index) -> tuple[Found, ...]:
    """Return the blocks named in full; else those with such an id, in the course named beside if it has them."""
    if blocks := _distinct(found for key in sorted(question.keys) for found in index.by_key.get(key, ())):
        return blocks
    same_id = _distinct(found for each in sorted(question.ids) for found in index.by_id.get(each, ()))
    if same_id:
        return tuple(found for found in same_id if found.course in question.courses) or same_id
    return tuple(index.courses[key] for key in sorted(question.courses) if key in index.courses)


def _distinct(found: Iterable[Found]) -> tuple[Found, ...]:
    return tuple(dict.fromkeys(found))


def _rows(path: Path, keys: Sequence[str], ids: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the rows of these blocks, each with its id."""
    wanted_keys, wanted_ids = pa.array(keys, pa.string()), pa.array(ids, pa.string())
    for batch in _batches(path, _COLUMNS):
        tails = pc.struct_field(pc.extract_regex(batch["block"], pattern=_TAIL), "tail")
        either = pc.or_(pc.is_in(batch["block"], wanted_keys), pc.is_in(tails, wanted_ids))
        yield from zip(batch.filter(either).to_pylist(), tails.filter(either).to_pylist(), strict=True)


def _courses(path: Path, keys: Sequence[str]) -> Iterator[Found]:
    wanted = pa.array(keys, pa.string())
    for batch in _batches(path, ("course", "name")):
        for row in batch.filter(pc.is_in(batch["course"], wanted)).to_pylist():
            yield Found(row["course"], "course", row["name"], row["course"])


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(columns=list(columns))
    except FileNotFoundError:
        raise NotRefreshed(f"there is no {path}: `tracking refresh courses` makes it") from None
    except (OSError, pa.ArrowException) as error:
        raise NotRefreshed(f"{path} cannot be read ({error}): `tracking refresh courses` makes it anew") from error
