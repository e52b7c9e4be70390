"""The parts of a problem: what the answers, the grades and the state of an event say of each, by its name."""

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Part:
    """One part of a problem, in the words of the event."""

    answer: Any = None
    input_type: Any = None
    correct: Any = None
    points: Any = None
    hint: Any = None
    message: Any = None


def parts_of_answers(answers: dict[str, Any], parts: dict[str, Part]) -> None:
    """Add answers: a text each, or a list of them."""
    for name, answer in answers.items():
        parts[name] = Part(answer=answer)


def parts_of_grades(grades: dict[str, Any], parts: dict[str, Part]) -> None:
    """Take what ``correct_map`` or ``submission`` says of parts; what else it says is left in it."""
    for name in tuple(grades):
        grade = grades[name]
        if not isinstance(grade, dict):
            continue
        part = parts.get(name)
        if part is None:
            part = parts[name] = Part()
        _grade(grade, part)
        left = {key: value for key, value in grade.items() if value is not None and value != ""}
        if left:
            grades[name] = left
        else:
            del grades[name]


def parts_of_state(state: dict[str, Any]) -> dict[str, Part]:
    """Return the parts of a state that were answered, with how; what else it says is left in it."""
    answers = state.pop("student_answers", None)
    _drop_empty(state)
    if not isinstance(answers, dict) or not answers:
        if answers:
            state["student_answers"] = answers
        return {}
    parts: dict[str, Part] = {}
    parts_of_answers(answers, parts)
    grades = state.get("correct_map")
    if isinstance(grades, dict):
        # Parts that it grades and that nobody answered have not been given anything.
        parts_of_grades({name: grade for name, grade in grades.items() if name in answers}, parts)
    return parts


def _drop_empty(state: dict[str, Any]) -> None:
    """Take out what most states hold and what says nothing."""
    inputs = state.get("input_state")
    if isinstance(inputs, dict) and not any(inputs.values()):
        del state["input_state"]
    if state.get("correct_map") == {}:
        del state["correct_map"]
    if state.get("has_saved_answers") is False:
        del state["has_saved_answers"]


def _grade(grade: dict[str, Any], part: Part) -> None:
    if "correctness" in grade:
        part.correct = grade.pop("correctness")
        part.points = grade.pop("npoints", None)
        part.hint = grade.pop("hint", None)
        part.message = grade.pop("msg", None)
        return
    part.input_type = grade.pop("input_type", None)
    answer = grade.pop("answer", None)
    if part.answer is None:
        part.answer = answer
    is_correct = grade.pop("correct", None)
    if part.correct is None and isinstance(is_correct, bool):
        part.correct = "correct" if is_correct else "incorrect"
