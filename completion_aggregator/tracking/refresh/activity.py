"""What learners last did with each problem: the state that the platform keeps, taken apart."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from completion_aggregator.tracking.refresh.grades import ratio
from completion_aggregator.tracking.refresh.source import (
    Pseudonym,
    Row,
    Source,
    flag,
    integer,
    lenient,
    moment,
    number,
    text,
)
from completion_aggregator.tracking.refresh.summary import Account, RefreshSummary
from completion_aggregator.tracking.refresh.tables import ACTIVITY
from completion_aggregator.tracking.refresh.target import Target

_STATES: Final = "courseware_studentmodule"
#: What is read of the platform.
SOURCES: Final = (_STATES,)
#: States of open responses and drawings have some hundred kilobytes each.
_AT_ONCE: Final = 2_000
_SIGNS: Final = {"correct": "+", "incorrect": "-", "partially-correct": "~"}
_DIGITS: Final = re.compile(r"(\d+)")
_COLUMNS: Final = (
    "student_id", "course_id", "module_id", "module_type", "grade", "max_grade", "state", "created", "modified",
)  # fmt: skip
_BROKEN: Final = "{} states are no JSON object: their columns are NULL, `state_quality` is `broken`"
_OTHERS: Final = "{} rows are of blocks that are neither problems nor graded: not in the table"

_State = Mapping[str, Any]


def refresh_activity(source: Source, target: Target, *, pseudonym: Pseudonym) -> RefreshSummary:
    """Write ``activity``: one row per learner and problem, or other block with a grade. Raises AbsentTable."""
    account = Account("activity", target)
    account.write(ACTIVITY, _activities(source, lenient(pseudonym), account), at_once=_AT_ONCE)
    return account.close()


def _activities(source: Source, pseudonym: Pseudonym, account: Account) -> Iterator[Row]:
    for rows in source.rows(_STATES, _COLUMNS, at_once=_AT_ONCE):
        for user, course, block, module_type, grade, max_grade, written, created, modified in rows:
            if module_type != "problem" and grade is None and max_grade is None:
                account.counts[_OTHERS] += 1
                continue
            state, quality = state_of(written)
            if quality == "broken":
                account.counts[_BROKEN] += 1
            earned, possible = number(grade), number(max_grade)
            share = ratio(earned, possible)
            yield (
                pseudonym(user), text(course), text(block), text(module_type), earned, possible,
                None if share is None else 100 * share, *_columns_of(state, modified), quality, moment(created),
                moment(modified),
            )  # fmt: skip


def state_of(written: Any) -> tuple[_State, str]:
    """Return the state, and whether it is ``ok``, ``none`` or ``broken``."""
    if written in (None, "", b"", "NULL"):
        return {}, "none"
    try:
        state = _decode(written)
    except (ValueError, RecursionError, TypeError):
        return {}, "broken"
    return (state, "ok") if isinstance(state, dict) else ({}, "none" if state is None else "broken")


def _decode(written: str | bytes) -> Any:
    try:
        return msgspec.json.decode(written)
    except (msgspec.DecodeError, UnicodeEncodeError):
        # What Python's own writer writes, msgspec does not read: NaN, and halves of characters.
        return json.loads(written)


def _columns_of(state: _State, modified: Any) -> Row:
    """Return signs of correctness, answers, attempts, done, seed and the time of the last submission."""
    attempts = _whole(state.get("attempts"))
    submitted = moment(state.get("last_submission_time")) or (moment(modified) if attempts else None)
    done = state.get("done")
    return (
        parts_correctness(state.get("correct_map")),
        _answers(state.get("student_answers")),
        attempts,
        flag(done) if isinstance(done, bool | int) else None,
        _whole(state.get("seed")),
        submitted,
    )


def parts_correctness(correct_map: Any) -> str | None:
    """Return a sign for each part, in the order of their names, of which the numbers count as numbers."""
    if not isinstance(correct_map, Mapping) or not correct_map:
        return None
    parts = sorted(correct_map.items(), key=lambda item: _natural(str(item[0])))
    return "".join(_sign(part) for _, part in parts)


def _sign(part: Any) -> str:
    correctness = part.get("correctness") if isinstance(part, Mapping) else None
    return _SIGNS.get(correctness, "?") if isinstance(correctness, str) else "?"


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(piece), "") if piece.isascii() and piece.isdigit() else (-1, piece) for piece in _DIGITS.split(name)]


def _answers(answers: Any) -> str | None:
    if not isinstance(answers, Mapping) or not answers:
        return None
    return text(json.dumps(answers, ensure_ascii=False, separators=(",", ":")))


def _whole(value: Any) -> int | None:
    return integer(value) if not isinstance(value, bool) else None
