"""Open responses and their assessment, those of 2014 and after in full, of those before what they say."""

from typing import Any, Final

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.families.writing import keep, take_text
from completion_aggregator.tracking.values import (
    number,
    of_module,
    prune,
    take_integer,
    take_key,
    take_number,
    take_term,
    text,
    words,
)

_ANONYMOUS: Final = "edx-anonymous"


def responded(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a response: the texts of its parts, and how many files came with it."""
    length = None
    for key in ("answer", "saved_response"):
        if key in payload:
            answer = payload.pop(key)
            length = _response(answer, batch)
            files = _files(answer)
            if files:
                payload["files"] = files
    return _row(action, payload, batch, length)


def assessed(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take an assessment: one row, and one for each criterion."""
    length = take_text(payload, "feedback", "feedback", batch)
    parts = payload.pop("parts", None)
    rubric = payload.pop("rubric", None)
    if isinstance(rubric, dict) and (left := prune(rubric, 1)):
        payload["rubric"] = {key: value for key, value in left.items() if key in {"content_hash", "contenthash"}}
    submission = payload.get("submission_uuid")
    written = 0
    block = of_module(batch.module)
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            written += take_text(part, "feedback", "feedback", batch) or 0
            batch.assessment_part.append((batch.row, block or None, text(submission), *_criterion(part, batch)))
    if written or length is not None:
        length = (length or 0) + written
    return _row(action, payload, batch, length)


def fed_back(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what somebody thinks of the assessments that they got."""
    return _row(action, payload, batch, take_text(payload, "feedback_text", "feedback", batch))


def trained(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take the assessment of an example; which criteria were to be chosen otherwise stays in ``extra``."""
    chosen = payload.pop("options_selected", None)
    submission, block = text(payload.get("submission_uuid")), of_module(batch.module)
    if isinstance(chosen, dict):
        for criterion, option in chosen.items():
            batch.assessment_part.append((batch.row, block or None, submission, criterion, text(option), None, None))
    return _row(action, payload, batch, None)


def uploaded(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a file that was sent; its name is the learner's own and goes."""
    payload.pop("fileName", None)
    return _row(action, payload, batch, None)


def looked(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a step of the peer grading that there was until 2014."""
    return _row(action, payload, batch, take_text(payload, "feedback", "feedback", batch))


def _row(action: str, payload: dict[str, Any], batch: Batch, length: int | None) -> str:
    block = take_key(payload, "item_id", batch.course, "openassessment") or of_module(batch.module)
    if not block and isinstance(payload.get("location"), str):
        block = take_key(payload, "location", batch.course, "")
    returned = take_term(payload, "submission_returned_uuid", batch.clean)
    submission = (
        take_term(payload, "submission_uuid", batch.clean)
        or take_term(payload, "submission_id", batch.clean)
        or returned
    )
    kind, attempt = take_term(payload, "score_type", batch.clean), take_integer(payload, "attempt_number")
    if payload.get("course_id") == batch.course:
        payload.pop("course_id", None)
    known = None if submission in {None, "None"} else submission
    batch.assessment.append((batch.row, block or None, action, known, attempt, _scorer(payload, batch), kind, length))
    return block


def _scorer(payload: dict[str, Any], batch: Batch) -> bytes | None:
    """Return who scores, or asks for something to score."""
    found = [payload.pop(key, None) for key in ("scorer_id", "requesting_staff_id", "requesting_student_id")]
    named = next((each for each in found if isinstance(each, str) and each), None)
    payload.pop("student_id", None)
    return batch.keyed(_ANONYMOUS, named) if named else None


def _response(answer: object, batch: Batch) -> int | None:
    """Return how long a response is: of its parts together, or of its one text."""
    if isinstance(answer, str):
        keep(answer, "answer", batch)
        return len(answer)
    if not isinstance(answer, dict):
        return None
    parts = answer.get("parts")
    texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    written = [each for each in (*texts, answer.get("text")) if isinstance(each, str)]
    for each in written:
        keep(each, "answer", batch)
    return sum(map(len, written)) if written else None


def _files(answer: object) -> int:
    if not isinstance(answer, dict):
        return 0
    keys = answer.get("file_keys")
    return len(keys) if isinstance(keys, list) else int(bool(answer.get("file_upload_key") or answer.get("file_key")))


def _criterion(part: dict[str, Any], batch: Batch) -> tuple[str | None, str | None, float | None, float | None]:
    criterion, option = part.get("criterion"), part.get("option")
    name, possible, points = _told(criterion, batch), None, None
    if isinstance(criterion, dict):
        name = take_term(criterion, "name", batch.clean)
        possible = take_number(criterion, "points_possible")
        if possible is None:
            possible = take_number(criterion, "points possible")
    chosen = _told(option, batch)
    if isinstance(option, dict):
        chosen, points = take_term(option, "name", batch.clean), number(option.get("points"))
    return name, chosen, points, possible


def _told(value: object, batch: Batch) -> str | None:
    found = text(value)
    return batch.clean(found) if found else None


_STEPS: Final[dict[str, tuple[str, Transform | None]]] = {
    "create_submission": ("submit", responded),
    "save_submission": ("save", responded),
    "peer_assess": ("peer", assessed),
    "self_assess": ("self", assessed),
    "staff_assess": ("staff", assessed),
    "get_peer_submission": ("get", looked),
    "get_submission_for_staff_grading": ("get", looked),
    "submit_feedback_on_assessments": ("feedback", fed_back),
    "student_training_assess_example": ("training", trained),
    "upload_file": ("upload", uploaded),
    "upload_file_error": ("upload_error", uploaded),
}
_PEER_GRADING: Final = frozenset(
    words(
        "oe_feedback_response_selected oe_hide_question oe_hide_problem oe_show_question oe_show_problem"
        " oe_show_full_feedback oe_hide_full_feedback oe_show_respond_to_feedback oe_hide_respond_to_feedback"
        " peer_grading_hide_question peer_grading_hide_problem peer_grading_show_question peer_grading_show_problem"
        " staff_grading_hide_question staff_grading_hide_problem staff_grading_show_question staff_grading_show_problem"
        " rubric_select"
    )
)

#: Some are written both ways, depending on who sends them and when.
ACTIONS: Final[dict[str, tuple[str, Transform | None]]] = {
    **{f"openassessmentblock.{name}": step for name, step in _STEPS.items()},
    **{f"openassessment.{name}": step for name, step in _STEPS.items()},
    **{name: (name, looked) for name in _PEER_GRADING},
}
