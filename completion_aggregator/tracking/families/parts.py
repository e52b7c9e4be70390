"""The parts of a problem: what the answers, the grades and the state of an event say of each, by its name.

Nearly all events are written in one way, and their parts are read in one pass. All others go part by part, and these
could as well: what comes out is the same.
"""

from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, TypeGuard

from completion_aggregator.tracking.families.forms import answers_of_form

#: In the words of the event: name, answer, kind of input, mark, points, hint, message.
Part = tuple[str, Any, Any, Any, Any, Any, Any]

_NOTHING: Final = (None, "")
#: All fields of a grade; of the last three hardly one ever says anything.
_of_grade: Final = itemgetter("correctness", "npoints", "hint", "msg", "hintmode", "queuestate", "answervariable")
_GRADE_FIELDS: Final = 7
#: What a part asks is content of the course, which stands there once and not with every answer.
_CONTENT: Final = ("question", "response_type")
#: All fields of an input, which is a part of ``submission``; the first two hardly ever say anything.
_INPUT_FIELDS: Final = frozenset({"variant", "group_label", "input_type", "answer", "correct", *_CONTENT})


@dataclass(slots=True)
class _Found:
    """One part, while it is looked for in one place after the other."""

    answer: Any = None
    input_type: Any = None
    correct: Any = None
    points: Any = None
    hint: Any = None
    message: Any = None


def parts_of_event(payload: dict[str, Any]) -> list[Part]:
    """Take the parts out of an event; what it says of them that is no answer and no grade is left in it."""
    parts = usual_parts(payload)
    return each_part(payload) if parts is None else parts


def usual_parts(payload: dict[str, Any]) -> list[Part] | None:
    """Take parts out that each have an answer, a grade and an input, with the usual fields; of others take nothing."""
    answers, grades, inputs = payload.get("answers"), payload.get("correct_map"), payload.get("submission")
    if not (type(answers) is type(grades) is type(inputs) is dict and 0 < len(answers) == len(grades) == len(inputs)):
        return None
    parts: list[Part] = []
    for name, answer in answers.items():
        grade, sent = _usual_grade(grades.get(name)), inputs.get(name)
        if answer is None or grade is None or grade[0] is None or not _is_usual_input(sent):
            return None
        parts.append((name, answer, sent["input_type"], *grade))
    del payload["answers"], payload["correct_map"], payload["submission"]
    return parts


def each_part(payload: dict[str, Any]) -> list[Part]:
    """Take the parts out of an event, in whatever way it is written."""
    answers = payload.pop("answers", None)
    if isinstance(answers, str) and "=" in answers:
        answers = answers_of_form(answers)
    found = _answered(answers) if isinstance(answers, dict) else {}
    for key in ("correct_map", "submission"):
        grades = payload.pop(key, None)
        if isinstance(grades, dict):
            _add_grades(grades, found)
            if grades:
                payload[key] = grades
    return _parts(found)


def parts_of_state(state: dict[str, Any]) -> list[Part]:
    """Return the parts of a state that were answered, with how; what else it says is left in it."""
    answers = state.pop("student_answers", None)
    _drop_empty(state)
    if not isinstance(answers, dict) or not answers:
        if answers:
            state["student_answers"] = answers
        return []
    grades = state.get("correct_map")
    if not isinstance(grades, dict):
        return parts_of_answers(answers)
    parts = usual_graded(answers, grades)
    if parts is None:
        return each_graded(answers, grades)
    del state["correct_map"]  # what each_graded leaves of it says nothing
    return parts


def parts_of_answers(answers: dict[str, Any]) -> list[Part]:
    """Return parts of which nothing is known but the answer: a text each, or a list of them."""
    return [(name, answer, None, None, None, None, None) for name, answer in answers.items()]


def usual_graded(answers: dict[str, Any], grades: dict[str, Any]) -> list[Part] | None:
    """Return parts that each have an answer and a grade with the usual fields; None of others."""
    if len(answers) != len(grades):
        return None
    parts: list[Part] = []
    for name, answer in answers.items():
        grade = _usual_grade(grades.get(name))
        if grade is None:
            return None
        parts.append((name, answer, None, *grade))
    return parts


def each_graded(answers: dict[str, Any], grades: dict[str, Any]) -> list[Part]:
    """Take the grades of parts that were answered: others have not been given anything."""
    found = _answered(answers)
    _add_grades({name: grade for name, grade in grades.items() if name in answers}, found)
    return _parts(found)


def _usual_grade(grade: Any) -> tuple[Any, Any, Any, Any] | None:
    """Return mark, points, hint and message of a grade that has all fields, and says nothing in others."""
    if type(grade) is not dict or len(grade) != _GRADE_FIELDS:
        return None
    try:
        mark, points, hint, message, mode, queue, variable = _of_grade(grade)
    except KeyError:
        return None
    says_more = mode not in _NOTHING or queue not in _NOTHING or variable not in _NOTHING
    return None if says_more else (mark, points, hint, message)


def _is_usual_input(sent: Any) -> TypeGuard[dict[str, Any]]:
    """Tell whether it has all fields, and none that stays."""
    if type(sent) is not dict or sent.keys() != _INPUT_FIELDS:
        return False
    return sent["variant"] in _NOTHING and sent["group_label"] in _NOTHING


def _answered(answers: dict[str, Any]) -> dict[str, _Found]:
    return {name: _Found(answer) for name, answer in answers.items()}


def _parts(found: dict[str, _Found]) -> list[Part]:
    return [
        (name, part.answer, part.input_type, part.correct, part.points, part.hint, part.message)
        for name, part in found.items()
    ]


def _add_grades(grades: dict[str, Any], found: dict[str, _Found]) -> None:
    """Take what ``correct_map`` or ``submission`` says of parts; what else it says is left in it."""
    for name in tuple(grades):
        grade = grades[name]
        if not isinstance(grade, dict):
            continue
        part = found.get(name)
        if part is None:
            part = found[name] = _Found()
        _take_grade(grade, part)
        left = {key: value for key, value in grade.items() if value is not None and value != ""}
        if left:
            grades[name] = left
        else:
            del grades[name]


def _take_grade(grade: dict[str, Any], part: _Found) -> None:
    if "correctness" in grade:
        part.correct = grade.pop("correctness")
        part.points = grade.pop("npoints", None)
        part.hint = grade.pop("hint", None)
        part.message = grade.pop("msg", None)
        return
    for field in _CONTENT:
        grade.pop(field, None)
    part.input_type = grade.pop("input_type", None)
    answer = grade.pop("answer", None)
    if part.answer is None:
        part.answer = answer
    is_correct = grade.pop("correct", None)
    if part.correct is None and isinstance(is_correct, bool):
        part.correct = "correct" if is_correct else "incorrect"


def _drop_empty(state: dict[str, Any]) -> None:
    """Take out what most states hold and what says nothing."""
    inputs = state.get("input_state")
    if isinstance(inputs, dict) and not any(inputs.values()):
        del state["input_state"]
    if state.get("correct_map") == {}:
        del state["correct_map"]
    if state.get("has_saved_answers") is False:
        del state["has_saved_answers"]
