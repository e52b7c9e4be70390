"""Grades, completions, certificates."""

from math import isfinite
from typing import Any, Final

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.values import flag, number, of_module, take_key, take_number, take_term, usage_key


def completed(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take the completion of a block: 0 to 1."""
    written = payload.pop("completion", None)
    value = number(written)
    if value is None and written is not None:
        payload["completion"] = written
    block = payload.pop("block_id", None)
    key = usage_key(block, batch.course, "") if type(block) is str else ""
    if key:
        # The key says so as well; where it does not, the type stays.
        kind = payload.get("block_type")
        if type(kind) is str and f"@{kind}+" in key:
            del payload["block_type"]
    elif block is not None:
        payload["block_id"] = block
    if payload.get("label") == "completion":
        del payload["label"]
    batch.progress.append((batch.row, action, key or None, value, None, value, None, None))
    return key


def toggled(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what a learner says to have done."""
    done = flag(payload.pop("done", None))
    value = None if done is None else float(done)
    block = of_module(batch.module)
    batch.progress.append((batch.row, action, block or None, value, None, value, None, None))
    return block


def scored(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take the points of a problem."""
    _of_platform(payload, batch)
    payload.pop("instructor_id", None)
    block = take_key(payload, "problem_id", batch.course, "problem")
    earned = take_number(payload, "new_weighted_earned" if "new_weighted_earned" in payload else "weighted_earned")
    possible = take_number(
        payload, "new_weighted_possible" if "new_weighted_possible" in payload else "weighted_possible"
    )
    ratio = _ratio(earned, possible)
    batch.progress.append((batch.row, action, block or None, earned, possible, ratio, None, None))
    return block


def subsection_graded(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take the points of a subsection; those of its graded problems alone stay in ``extra``."""
    _of_platform(payload, batch)
    block = take_key(payload, "block_id", batch.course, "sequential")
    earned, possible = take_number(payload, "weighted_total_earned"), take_number(payload, "weighted_total_possible")
    ratio = _ratio(earned, possible)
    batch.progress.append((batch.row, action, block or None, earned, possible, ratio, None, None))
    return block


def course_graded(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take the grade of a course: who has a letter has passed."""
    _of_platform(payload, batch)
    ratio = take_number(payload, "percent_grade" if "percent_grade" in payload else "percent")
    has_letter = "letter_grade" in payload
    letter = take_term(payload, "letter_grade", batch.clean)
    passed = letter is not None if has_letter and "letter_grade" not in payload else None
    batch.progress.append((batch.row, action, None, None, None, ratio, letter, passed))
    return ""


def passed(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take that a course is passed, or failed now."""
    _of_platform(payload, batch)
    is_pass = not batch.name.endswith("now_failed")
    batch.progress.append((batch.row, action, None, None, None, None, None, is_pass))
    return ""


def certified(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take that a certificate was given or taken back."""
    shared(action, payload, batch)
    is_pass = batch.name != "edx.certificate.revoked"
    batch.progress.append((batch.row, action, None, None, None, None, None, is_pass))
    return ""


def shared(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take out of a certificate or badge what leads to the page with the learner's name; it makes no row."""
    _of_platform(payload, batch)
    for key in _LEADING_TO_NAMES:
        payload.pop(key, None)
    return ""


def _of_platform(payload: dict[str, Any], batch: Batch) -> None:
    """Drop the learner and the course: they are the event's own."""
    payload.pop("user_id", None)
    if "course_id" in payload and payload["course_id"] == batch.course:
        del payload["course_id"]


def _ratio(earned: float | None, possible: float | None) -> float | None:
    if earned is None or not possible:
        return None
    ratio = earned / possible
    return ratio if isfinite(ratio) else None


_LEADING_TO_NAMES: Final = (
    "certificate_id",
    "certificate_url",
    "source_url",
    "assertion_id",
    "assertion_image_url",
    "assertion_json_url",
)

ACTIONS: Final[dict[str, tuple[str, Transform | None]]] = {
    "edx.completion.block_completion.changed": ("completion", completed),
    "edx.done.toggled": ("completion", toggled),
    "edx.grades.problem.submitted": ("problem", scored),
    "edx.grades.problem.rescored": ("problem", scored),
    "edx.grades.problem.score_overridden": ("problem", scored),
    "edx.grades.problem.state_deleted": ("problem", scored),
    "edx.grades.subsection.grade_calculated": ("subsection", subsection_graded),
    "edx.grades.course.grade_calculated": ("course", course_graded),
    "edx.course.grade.now_passed": ("course", passed),
    "edx.course.grade.now_failed": ("course", passed),
    "edx.course.grade.passed.first_time": ("course", passed),
    "edx.course.completed": ("course", passed),
    "edx.certificate.created": ("certificate", certified),
    "edx.certificate.revoked": ("certificate", certified),
    "edx.certificate.shared": ("", shared),
    "edx.certificate.evidence_visited": ("", shared),
    "edx.certificate.generation.enabled": ("", None),
    "edx.certificate.generation.disabled": ("", None),
    "edx.badge.assertion.created": ("", shared),
    "edx.badge.assertion.shared": ("", shared),
    "edx.badge.assertion.evidence_visited": ("", shared),
}
