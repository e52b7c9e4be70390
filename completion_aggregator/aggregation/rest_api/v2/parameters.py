"""The query parameters of v2: what each means, how its text is read, and what a description of the API says of it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from completion_aggregator.aggregation.api import ALL_LEVELS
from completion_aggregator.conf import block_types, setting
from completion_aggregator.ports import get_platform

NO_LEVELS: Final = "none"
_WHOLE: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_DECIMAL: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
_ZONE_WITHOUT_PLUS: Final = re.compile(r" (\d\d:?\d\d)$", re.ASCII)
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter. ``read`` turns its text into a value, or raises ValueError with what to tell the client.

    ``schema``: its type, as JSON Schema has it. ``default``: its value where it is not given.
    """

    name: str
    description: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    default: Any = None


def read_all(given: QueryDict, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the value of each of *parameters*. Raises ValidationError that names every parameter that is wrong."""
    known = {parameter.name: parameter for parameter in parameters}
    values = {parameter.name: parameter.default for parameter in parameters}
    wrong: dict[str, list[str]] = {}
    for name, texts in given.lists():
        try:
            values[name] = _read(known, name, texts)
        except ValueError as error:
            wrong[name] = [str(error)]
    if wrong:
        raise ValidationError(wrong)
    return values


def _read(known: Mapping[str, Parameter], name: str, texts: Sequence[str]) -> Any:
    if name not in known:
        raise ValueError(f"There is no such parameter here; there are: {', '.join(sorted(known))}.")
    if len(texts) != 1:
        raise ValueError("Give it once.")
    return known[name].read(texts[0])


def text_of(text: str) -> str:
    """Return a text that can be looked up."""
    if not text or "\0" in text or len(text) > _LONGEST:
        raise ValueError(f"Expected a text of 1 to {_LONGEST} characters.")
    return text


def flag_of(text: str) -> bool:
    """Return what ``true`` or ``false`` says."""
    if text not in ("true", "false"):
        raise ValueError("Expected true or false.")
    return text == "true"


def id_of(text: str) -> int:
    """Return a whole number that may be an id."""
    if not _WHOLE.fullmatch(text):
        raise ValueError("Expected a whole number, 0 or more.")
    return int(text)


def percent_of(text: str) -> float:
    """Return a part of the whole, from 0 to 1."""
    if not _DECIMAL.fullmatch(text) or not 0.0 <= float(text) <= 1.0:
        raise ValueError("Expected a number from 0 to 1.")
    return float(text)


def moment_of(text: str) -> datetime:
    """Return a moment written in ISO 8601; without an offset it is UTC."""
    try:
        # A plus sign that was not escaped arrives as a space.
        moment = datetime.fromisoformat(_ZONE_WITHOUT_PLUS.sub(r"+\1", text) if "T" in text else text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Expected a date and time in ISO 8601, such as 2026-03-01T12:00:00Z.") from None


def levels_of(text: str) -> frozenset[str]:
    """Return the block types of a list with commas; ``all`` is ALL_LEVELS, ``none`` is nothing."""
    names = frozenset(filter(None, map(str.strip, text.split(","))))
    if not names:
        raise ValueError(f"Expected block types with commas between them, {_ALL} or {NO_LEVELS}.")
    if names & {_ALL, NO_LEVELS}:
        if len(names) > 1:
            raise ValueError(f"{_ALL} and {NO_LEVELS} stand alone.")
        return ALL_LEVELS if _ALL in names else frozenset()
    known = block_types() | get_platform().aggregator_types()
    if names - known:
        unknown, there = ", ".join(sorted(names - known)), ", ".join(sorted(known))
        raise ValueError(f"No block type that sums up others: {unknown}; there are: {there}.")
    return names


def page_size_of(text: str) -> int:
    """Return how many entries a page has."""
    most = setting("MAX_PAGE_SIZE")
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= most:
        raise ValueError(f"Expected a whole number from 1 to {most}.")
    return int(text)


def one_of(choices: type[StrEnum]) -> Callable[[str], StrEnum]:
    """Return what reads one of *choices*."""

    def read(text: str) -> StrEnum:
        try:
            return choices(text)
        except ValueError:
            raise ValueError(f"Expected one of: {', '.join(choices)}.") from None

    return read


(_ALL,) = ALL_LEVELS
