"""Families without a table of their own: what is theirs stays in ``event.extra``, but for persons and their texts."""

from typing import Any, Final

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.families.writing import take_query, take_text
from completion_aggregator.tracking.values import of_module, take_key, words

#: Of what staff does to others, these say nothing of the others.
_OF_STAFF: Final = frozenset(
    words("course delete event_name failure group_action mode report_type role rolename success task_type")
)
_OF_EXAMINEE: Final = ("attempt_user_id", "review_video_url", "user_id", "allowance_user_id")
_NOTE_TEXTS: Final = ("note_text", "old_note_text", "highlighted_content")


def noted(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take notes: of what somebody wrote the length stays."""
    for key in _NOTE_TEXTS:
        if key in payload and (length := take_text(payload, key, "body", batch)) is not None:
            payload[f"{key}_length"] = length
    for key in ("tags", "old_tags"):
        tags = payload.pop(key, None)
        if isinstance(tags, list) and tags:
            payload[f"{key}_count"] = len(tags)
    if "search_string" in payload and (query := take_query(payload, "search_string", batch)):
        payload["query"] = query
    return take_key(payload, "component_usage_id", batch.course, "html")


def examined(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take an exam with a limit of time; who sat it, and the film of it, are dropped."""
    for key in _OF_EXAMINEE:
        payload.pop(key, None)
    return take_key(payload, "exam_content_id", batch.course, "sequential")


def drawn(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what somebody was given of a library."""
    return take_key(payload, "location", batch.course, "library_content")


def polled(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a vote; the reasons that are given for it are texts."""
    for key in ("rationale", "explanation"):
        if key in payload and (length := take_text(payload, key, "answer", batch)) is not None:
            payload[f"{key}_length"] = length
    return of_module(batch.module)


def administered(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what staff did; whom it was done to is not kept, and free text of it may say."""
    block = take_key(payload, "problem" if "problem" in payload else "location", batch.course, "problem")
    for key in tuple(payload):
        if key not in _OF_STAFF:
            del payload[key]
    if payload.get("course") == batch.course:
        payload.pop("course", None)
    return block


def _exam_names() -> tuple[str, ...]:
    attempts = words("created deleted ready_to_submit started submitted")
    watched = [*attempts, "download_software_clicked", "error", "ready_to_start"]
    steps = {
        "timed": attempts,
        "practice": watched,
        "proctored": [*watched, "declined", "rejected", "review_received", "verified"],
    }
    return tuple(
        f"edx.special_exam.{kind}.{name}"
        for kind, of_attempts in steps.items()
        for name in (
            "created",
            "updated",
            "allowance.created",
            "allowance.deleted",
            *(f"attempt.{step}" for step in of_attempts),
            *(["option-presented"] if kind == "proctored" else []),
        )
    )


_STAFF: Final = words(
    "add-forum-admin add-forum-community-TA add-forum-mod add-instructor add-or-remove-user-group"
    " delete-student-module-state dump-answer-dist-csv dump-graded-assignments-config dump-grades dump-grades-csv"
    " dump-grades-csv-raw dump-grades-raw edx.instructor.report.downloaded edx.instructor.report.requested"
    " get-student-progress-page list-beta-testers list-forum-admins list-forum-community-TAs list-forum-mods"
    " list-instructors list-staff list-students psychometrics-histogram-generation remove-forum-admin"
    " remove-forum-community-TA remove-forum-mod remove-instructor rescore-all-submissions"
    " rescore-student-submission reset-all-attempts reset-student-attempts"
)
_NOTES: Final = words("added deleted edited notes_page_viewed searched used_unit_link viewed")
_PEER_INSTRUCTION: Final = words("accessed original_submitted revised_submitted")
_POLLS: Final = words("poll.submitted poll.view_results survey.submitted survey.view_results")

#: By family.
ACTIONS: Final[dict[str, dict[str, tuple[str, Transform | None]]]] = {
    "note": {f"edx.course.student_notes.{name}": (name, noted) for name in _NOTES},
    "exam": dict.fromkeys(_exam_names(), ("", examined)),
    "library": {
        "edx.librarycontentblock.content.assigned": ("assigned", drawn),
        "edx.librarycontentblock.content.removed": ("removed", drawn),
    },
    "poll": {
        **{f"xblock.{name}": ("", polled) for name in _POLLS},
        **{f"ubc.peer_instruction.{name}": ("", polled) for name in _PEER_INSTRUCTION},
    },
    "staff": dict.fromkeys(_STAFF, ("", administered)),
}
