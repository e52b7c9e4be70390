"""Problems: an attempt, and the answers to its parts.

An answer, its grade and its place in the state that it found are told apart in every form of event, and joined by the
name of the part, such as ``<id>_2_1``; the order in which they stand means nothing.
"""

import json
import re
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote_plus

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.families.parts import Part, parts_of_answers, parts_of_grades, parts_of_state
from completion_aggregator.tracking.values import (
    flag,
    integer,
    number,
    of_module,
    plain,
    prune,
    take_integer,
    take_key,
    take_number,
    take_term,
    text,
    usage_key,
)

_MOST_FIELDS: Final = 1000
_LONGEST_HINT: Final = 2000
_SUCCESS: Final = {"correct": True, "incorrect": False, "partially-correct": False}
_INPUTS: Final = re.compile(r"\A(?:input_)+")
#: ``<id>_2_1``: the problem, and which of its inputs.
_INPUT: Final = re.compile(r"(?:input_)*(.+)_\d+_\d+(?:_[a-z]\w*)?", re.ASCII)
_STATUS_ID: Final = re.compile(r"\bid=[\"']status_([^\"'<>]+)[\"']")
_LONGEST_TAG: Final = 500
_STATUS: Final = re.compile(r"\b(partially-correct|incorrect|correct|queued)\b")


def attempted(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what the server says of an attempt, and what the browser says that sends it."""
    if "form" in payload:
        return _form_sent(action, "given", payload, batch)
    return _stated(action, "given", payload, batch)


def saved(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take answers that were saved and not submitted."""
    if "form" in payload:
        return _form_sent(action, "saved", payload, batch)
    return _stated(action, "saved", payload, batch)


def reset(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what stood there before it was reset; of the browser that is what it sends."""
    if "form" in payload:
        return _form_sent(action, "before", payload, batch)
    answers = payload.get("answers")
    if isinstance(answers, str):
        payload["form"] = payload.pop("answers")
        return _form_sent(action, "before", payload, batch)
    return _stated(action, "before", payload, batch)


def graded(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take the form that was sent and the marks in the page that came back; of the page only its length is kept."""
    sent = payload.pop("list", None)
    if not (isinstance(sent, list) and sent and isinstance(sent[0], str)):
        if sent is not None:
            payload["list"] = sent
        return attempted(action, payload, batch)
    page = sent[1] if len(sent) > 1 and isinstance(sent[1], str) else ""
    if page:
        payload["page_length"] = len(page)
    marks = _marks(page)
    parts = _of_form(sent[0])
    for name, mark in marks.items():
        parts.setdefault(name, Part()).correct = mark
    success = all(mark == "correct" for mark in marks.values()) if marks else None
    block = _block(payload, batch) or _of_parts(parts, batch)
    batch.attempt.append((batch.row, block or None, action, None, success, None, None, None, None, None))
    _answered(parts, "given", block, batch)
    return block


def shown(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take that the answer was asked for, or given."""
    block = _block(payload, batch)
    batch.attempt.append((batch.row, block or None, action, None, None, None, None, None, None, None))
    return block


def hinted(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a hint that was asked for: it belongs to no part and to no answer."""
    hint = _cleaned(payload.pop("hint_text", None), batch)
    block = shown(action, payload, batch)
    nothing = (None, None, None, None, None, None)
    batch.response.append((batch.row, block or None, *nothing, hint, None, None, None))
    return block


def commented(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take the feedback to an answer."""
    given = Part(answer=payload.pop("student_answer", None), hint=payload.pop("hint_label", None))
    name = take_term(payload, "problem_part_id") or ""
    given.input_type = take_term(payload, "question_type")
    is_correct = flag(payload.pop("correctness", None))
    given.correct = None if is_correct is None else "correct" if is_correct else "incorrect"
    hints = payload.pop("hints", None)
    told = [hint.get("text") for hint in hints if isinstance(hint, dict)] if isinstance(hints, list) else []
    given.message = " ".join(part for part in told if isinstance(part, str))
    block = shown(action, payload, batch)
    _answered({name: given}, "given", block, batch)
    return block


def dropped(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take an item that was put on a zone: an answer to a part, not an attempt at the whole."""
    item, zone = take_term(payload, "item_id"), take_term(payload, "location_id")
    is_correct = flag(payload.pop("is_correct", None))
    correct = None if is_correct is None else "correct" if is_correct else "incorrect"
    block = of_module(batch.module)
    answer = zone if zone is not None else take_term(payload, "location")
    batch.response.append(
        (batch.row, block or None, item, action, answer, "drag_and_drop", correct, None, None, None, None, None)
    )
    return block


def _stated(action: str, seat: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take an event of the server, or a browser's that has the server's form."""
    before = payload.pop("old_state", None)
    state = payload.pop("state", None)
    if not isinstance(state, dict):
        state = before if isinstance(before, dict) else {}
    found = integer(state.pop("seed", None)), flag(state.pop("done", None))
    parts = _parts(payload)
    block = _block(payload, batch) or _of_parts(parts, batch)
    batch.attempt.append((batch.row, block or None, action, *_result(payload)))
    _answered(parts, seat, block, batch, found)
    _answered(parts_of_state(state), "before", block, batch, found)
    if state and (left := prune(state)):
        payload["state"] = left
    payload.pop("student", None)  # the name of somebody else
    return block


def _result(payload: dict[str, Any]) -> tuple[Any, ...]:
    """Everything that a row of ``attempt`` holds after the action."""
    success = payload.pop("success", None)
    told = _SUCCESS.get(success) if isinstance(success, str) else None
    if told is None and success is not None:
        payload["success"] = success
    earned = take_number(payload, "new_score" if "new_score" in payload else "grade")
    possible = take_number(payload, "new_total" if "new_total" in payload else "max_grade")
    attempts = take_integer(payload, "attempts")
    old = take_number(payload, "orig_score"), take_number(payload, "orig_total")
    return attempts, told, earned, possible, *old, take_term(payload, "failure")


def _parts(payload: dict[str, Any]) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    answers = payload.pop("answers", None)
    if isinstance(answers, dict):
        parts_of_answers(answers, parts)
    elif isinstance(answers, str) and "=" in answers:
        parts = _of_form(answers)
    for key in ("correct_map", "submission"):
        found = payload.pop(key, None)
        if isinstance(found, dict):
            parts_of_grades(found, parts)
            if found:
                payload[key] = found
    return parts


def _form_sent(action: str, seat: str, payload: dict[str, Any], batch: Batch) -> str:
    form = payload.pop("form")
    parts = _of_form(form) if isinstance(form, str) else {}
    block = _block(payload, batch) or _of_parts(parts, batch)
    batch.attempt.append((batch.row, block or None, action, None, None, None, None, None, None, None))
    _answered(parts, seat, block, batch)
    return block


def _of_form(form: str) -> dict[str, Part]:
    """Return the parts that a form has; those of several choices end in ``[]``."""
    parts: dict[str, Part] = {}
    for field in form.split("&", _MOST_FIELDS):
        key, _, value = field.partition("=")
        if "%" in field or "+" in field:
            key, value = unquote_plus(key), unquote_plus(value)
        name = key.removesuffix("[]")
        if name.startswith("input_"):
            name = _INPUTS.sub("", name)
        if not name:
            continue
        if name == key or not key.endswith("[]"):
            parts[name] = Part(value)
        else:
            chosen = parts.setdefault(name, Part([]))
            if isinstance(chosen.answer, list):
                chosen.answer.append(value)
    return parts


def _marks(page: str) -> dict[str, str]:
    """Return the marks in a page: a word in the tag that has the status of a part."""
    marks = {}
    for found in islice(_STATUS_ID.finditer(page), _MOST_FIELDS) if "status_" in page else ():
        start, end = found.span()
        before = page[max(0, start - _LONGEST_TAG) : start].rpartition("<")[2]
        after = page[end : end + _LONGEST_TAG].partition(">")[0]
        mark = _STATUS.search(before) or _STATUS.search(after)
        if mark:
            marks[found[1]] = mark[1]
    return marks


def _answered(
    parts: dict[str, Part], seat: str, block: str, batch: Batch, state: tuple[int | None, bool | None] = (None, None)
) -> None:
    row, place = batch.row, block or None
    for name, part in parts.items():
        batch.response.append(
            (
                row,
                place,
                name or None,
                seat,
                _answer(part, batch),
                text(part.input_type),
                text(part.correct),
                None if part.points is None else number(part.points),
                _cleaned(part.hint, batch) if part.hint else None,
                _cleaned(part.message, batch) if part.message else None,
                *state,
            )
        )


def _answer(part: Part, batch: Batch) -> str | None:
    answer = part.answer
    if answer is None or part.input_type == "filesubmission":
        return None
    if not isinstance(answer, str):
        answer = json.dumps(answer, ensure_ascii=False, default=str)
    return batch.clean(answer)


def _cleaned(markup: object, batch: Batch) -> str | None:
    if not isinstance(markup, str) or not markup:
        return None
    told = plain(markup, _LONGEST_HINT)
    return batch.clean(told)[:_LONGEST_HINT] if told else None


def _block(payload: dict[str, Any], batch: Batch) -> str:
    for key in ("problem_id", "module_id"):
        if key in payload:
            block = take_key(payload, key, batch.course, "problem")
            if block:
                return block
    named = payload.get("problem")
    if isinstance(named, str):
        block = _of_input(named, batch)
        if block:
            del payload["problem"]
            return block
    return of_module(batch.module)


def _of_parts(parts: dict[str, Part], batch: Batch) -> str:
    """Return the problem that the first part is of."""
    for name in parts:
        found = _INPUT.fullmatch(name[:500])
        return usage_key(found[1], batch.course, "problem") if found else ""
    return ""


def _of_input(named: str, batch: Batch) -> str:
    """``problem_show`` names a problem, or one of its inputs."""
    found = _INPUT.fullmatch(named[:500]) if "://" not in named and ":" not in named else None
    return usage_key(found[1] if found else named, batch.course, "problem")


ACTIONS: Final[dict[str, tuple[str, Transform | None]]] = {
    "problem_check": ("submit", attempted),
    "problem_graded": ("graded", graded),
    "problem_save": ("save", saved),
    "problem_reset": ("reset", reset),
    "problem_show": ("show", shown),
    "save_problem_check": ("submit", attempted),
    "save_problem_success": ("save", saved),
    "problem_rescore": ("rescore", attempted),
    "reset_problem": ("reset", reset),
    "showanswer": ("answer_shown", shown),
    "show_answer": ("answer_shown", shown),
    "edx.problem.completed": ("graded", attempted),
    "edx.problem.hint.demandhint_displayed": ("hint", hinted),
    "edx.problem.hint.feedback_displayed": ("hint", commented),
    "problem_fail": ("fail", attempted),
    "problem_check_fail": ("fail", attempted),
    "problem_rescore_fail": ("fail", attempted),
    "reset_problem_fail": ("fail", attempted),
    "save_problem_fail": ("fail", attempted),
    "save_problem_check_fail": ("fail", attempted),
    "edx.drag_and_drop_v2.item.dropped": ("given", dropped),
    "edx.drag_and_drop_v2.item.picked_up": ("", None),
    "edx.drag_and_drop_v2.loaded": ("", None),
    "edx.drag_and_drop_v2.feedback.opened": ("", None),
    "edx.drag_and_drop_v2.feedback.closed": ("", None),
}
