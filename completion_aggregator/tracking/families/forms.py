"""Forms of problems, as browsers send them, and the marks in the pages that come back."""

import re
from functools import lru_cache
from itertools import islice
from typing import Final
from urllib.parse import unquote, unquote_plus

_MOST_FIELDS: Final = 1000
_LONGEST_REMEMBERED: Final = 200
_LONGEST_TAG: Final = 500
_PREFIX: Final = "input_"
_PREFIXES: Final = re.compile(r"\A(?:input_)+")
_STATUS_ID: Final = re.compile(r"\bid=[\"']status_([^\"'<>]+)[\"']")
_STATUS: Final = re.compile(r"\b(partially-correct|incorrect|correct|queued)\b")


def answers_of_form(form: str) -> dict[str, str | list[str]]:
    """Return the answers that a form has, by part; those of several choices, which end in ``[]``, are lists."""
    answers: dict[str, str | list[str]] = {}
    for field in form.split("&", _MOST_FIELDS):
        key, _, value = field.partition("=")
        name, is_listed = _remembered_part(key) if len(key) <= _LONGEST_REMEMBERED else _part(key)
        if not name:
            continue
        if "+" in value:
            value = value.replace("+", " ")
        if "%" in value:
            value = unquote(value)
        if not is_listed:
            answers[name] = value
            continue
        chosen = answers.setdefault(name, [])
        if type(chosen) is list:
            chosen.append(value)
    return answers


def marks_of_page(page: str) -> dict[str, str]:
    """Return the marks in a page, by part: a word in the tag that has the status of it."""
    marks = {}
    for found in islice(_STATUS_ID.finditer(page), _MOST_FIELDS) if "status_" in page else ():
        start, end = found.span()
        before = page[max(0, start - _LONGEST_TAG) : start].rpartition("<")[2]
        after = page[end : end + _LONGEST_TAG].partition(">")[0]
        mark = _STATUS.search(before) or _STATUS.search(after)
        if mark:
            marks[found[1]] = mark[1]
    return marks


def _part(key: str) -> tuple[str, bool]:
    """Return the part that a field is of, and whether it is one of several choices."""
    if "%" in key or "+" in key:
        key = unquote_plus(key)
    name = key.removesuffix("[]")
    is_listed = name != key
    name = name.removeprefix(_PREFIX).removeprefix(_PREFIX)  # of some browsers the first field has two
    return _PREFIXES.sub("", name) if name.startswith(_PREFIX) else name, is_listed


#: Fields come back with every learner who answers.
_remembered_part: Final = lru_cache(maxsize=16384)(_part)
