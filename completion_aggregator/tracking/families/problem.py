"""Problems: an attempt, and the answers to its parts.

An answer, its grade and its place in the state that it found are told apart in every form of event, and joined by the
name of the part, such as ``<id>_2_1``; the order in which they stand means nothing.
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.families.forms import answers_of_form, marks_of_page
from completion_aggregator.tracking.families.parts import Part, parts_of_event, parts_of_state
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

_LONGEST_HINT: Final = 2000
_LONGEST_NAME: Final = 500
_SUCCESS: Final = {"correct": True, "incorrect": False, "partially-correct": False}
#: The input whose answers are the names of files.
_FILE: Final = "filesubmission"
#: ``<id>_2_1``: the problem, and which of its inputs.
_INPUT: Final = re.compile(r"(?:input_)*(.+)_\d+_\d+(?:_[a-z]\w*)?", re.ASCII)
#: A text as JSON, which is what json.dumps makes of it.
_quoted: Final = json.JSONEncoder(ensure_ascii=False).encode


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
    answers, marks = answers_of_form(sent[0]), marks_of_page(page)
    success = all(mark == "correct" for mark in marks.values()) if marks else None
    block = _block(payload, batch) or _of_parts(answers or marks, batch)
    batch.attempt.append((batch.row, block or None, action, None, success, None, None, None, None, None))
    _sent(answers, marks, "given", block, batch)
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
    answer, label = payload.pop("student_answer", None), payload.pop("hint_label", None)
    name = take_term(payload, "problem_part_id", batch.clean) or ""
    kind = take_term(payload, "question_type", batch.clean)
    is_correct = flag(payload.pop("correctness", None))
    mark = None if is_correct is None else "correct" if is_correct else "incorrect"
    hints = payload.pop("hints", None)
    told = [hint.get("text") for hint in hints if isinstance(hint, dict)] if isinstance(hints, list) else []
    message = " ".join(part for part in told if isinstance(part, str))
    block = shown(action, payload, batch)
    _answered([(name, answer, kind, mark, None, label, message)], "given", block, batch)
    return block


def dropped(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take an item that was put on a zone: an answer to a part, not an attempt at the whole."""
    item, zone = take_term(payload, "item_id", batch.clean), take_term(payload, "location_id", batch.clean)
    is_correct = flag(payload.pop("is_correct", None))
    correct = None if is_correct is None else "correct" if is_correct else "incorrect"
    block = of_module(batch.module)
    answer = zone if zone is not None else take_term(payload, "location", batch.clean)
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
    seen = integer(state.pop("seed", None)), flag(state.pop("done", None))
    parts = parts_of_event(payload)
    block = _block(payload, batch) or _of_parts([part[0] for part in parts], batch)
    batch.attempt.append((batch.row, block or None, action, *_result(payload, batch)))
    _answered(parts, seat, block, batch, seen)
    if state:
        _answered(parts_of_state(state), "before", block, batch, seen)
        left = prune(state)
        if left:
            payload["state"] = left
    payload.pop("student", None)  # the name of somebody else
    return block


def _result(payload: dict[str, Any], batch: Batch) -> tuple[Any, ...]:
    """Everything that a row of ``attempt`` holds after the action."""
    success = payload.pop("success", None)
    told = _SUCCESS.get(success) if isinstance(success, str) else None
    if told is None and success is not None:
        payload["success"] = success
    earned = take_number(payload, "new_score" if "new_score" in payload else "grade")
    possible = take_number(payload, "new_total" if "new_total" in payload else "max_grade")
    attempts = take_integer(payload, "attempts")
    old = take_number(payload, "orig_score"), take_number(payload, "orig_total")
    return attempts, told, earned, possible, *old, take_term(payload, "failure", batch.clean)


def _form_sent(action: str, seat: str, payload: dict[str, Any], batch: Batch) -> str:
    form = payload.pop("form")
    answers = answers_of_form(form) if isinstance(form, str) else {}
    block = _block(payload, batch) or _of_parts(answers, batch)
    batch.attempt.append((batch.row, block or None, action, None, None, None, None, None, None, None))
    _sent(answers, {}, seat, block, batch)
    return block


def _sent(answers: dict[str, str | list[str]], marks: dict[str, str], seat: str, block: str, batch: Batch) -> None:
    """Add the answers of a form, and the marks that they got."""
    row, place, add, clean = batch.row, block or None, batch.response.append, batch.clean
    for name, answer in answers.items():
        told = clean(answer if type(answer) is str else _written(answer))
        add((row, place, clean(name), seat, told, None, marks.get(name), None, None, None, None, None))
    for name, mark in marks.items():
        if name not in answers:
            add((row, place, clean(name), seat, None, None, mark, None, None, None, None, None))


def _answered(
    parts: list[Part], seat: str, block: str, batch: Batch, seen: tuple[int | None, bool | None] = (None, None)
) -> None:
    row, place, add, clean = batch.row, block or None, batch.response.append, batch.clean
    seed, done = seen
    said = told_message = None
    for name, answer, kind, mark, points, hint, message in parts:
        if type(answer) is str and kind != _FILE:
            told: str | None = clean(answer)
        else:
            told = None if answer is None or kind == _FILE else clean(_written(answer))
        if message != said:  # many problems say the same to each part
            told_message = _cleaned(message, batch) if message else None
            said = message if told_message else None
        add(
            (
                row,
                place,
                clean(name) if name else None,
                seat,
                told,
                None if kind is None else text(kind),
                None if mark is None else text(mark),
                None if points is None else number(points),
                _cleaned(hint, batch) if hint else None,
                told_message,
                seed,
                done,
            )
        )


def _written(answer: Any) -> str:
    """Return an answer that is no text as JSON."""
    if type(answer) is list and all(type(each) is str for each in answer):
        return f"[{', '.join(map(_quoted, answer))}]"
    return json.dumps(answer, ensure_ascii=False, default=str)


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


def _of_parts(names: Iterable[str], batch: Batch) -> str:
    """Return the problem that the first of the parts is of."""
    for name in names:
        return _of_part(name[:_LONGEST_NAME], batch.course)
    return ""


@lru_cache(maxsize=16384)
def _of_part(name: str, course: str) -> str:
    found = _INPUT.fullmatch(name)
    return usage_key(found[1], course, "problem") if found else ""


def _of_input(named: str, batch: Batch) -> str:
    """``problem_show`` names a problem, or one of its inputs."""
    found = _INPUT.fullmatch(named[:_LONGEST_NAME]) if "://" not in named and ":" not in named else None
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
