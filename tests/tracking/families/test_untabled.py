import pytest

from tests.tracking.families.events import COURSE, Taken, key, taken


def test_of_notes_only_the_length_is_open():
    block = key("html")
    sent = {
        "note_id": "n",
        "note_text": "alice was here",
        "old_note_text": "alice",
        "highlighted_content": "Energy",
        "tags": ["me"],
        "old_tags": [],
        "truncated": [],
        "component_usage_id": block,
    }
    texts = [{"kind": "body", "text": text} for text in ("alice was here", "alice", "Energy")]
    found = taken("edx.course.student_notes.edited", sent, source="browser", keeps_text=True)
    assert found == Taken(
        block,
        {"text": texts},
        {
            "note_id": "n",
            "note_text_length": 14,
            "old_note_text_length": 5,
            "highlighted_content_length": 6,
            "tags_count": 1,
            "truncated": [],
        },
    )


def test_a_search_in_notes():
    found = taken("edx.course.student_notes.searched", {"search_string": "alice", "number_of_results": 0})
    assert found == Taken("", {}, {"number_of_results": 0, "query": "[name]"})


def test_an_exam_has_its_subsection_and_neither_who_sat_it_nor_the_film():
    sent = {
        "exam_content_id": key("sequential"),
        "attempt_user_id": 12,
        "review_video_url": "https://x.org/film",
        "attempt_status": "submitted",
    }
    found = taken("edx.special_exam.proctored.attempt.submitted", sent)
    assert found == Taken(key("sequential"), {}, {"attempt_status": "submitted"})


def test_what_is_drawn_from_a_library():
    block = key("library_content")
    found = taken("edx.librarycontentblock.content.removed", {"location": block, "max_count": 1, "reason": "invalid"})
    assert found == Taken(block, {}, {"max_count": 1, "reason": "invalid"})


def test_a_vote_stays_and_its_reasons_are_private():
    block = key("ubcpi")
    sent = {"answer": 1, "rationale": "Because alice said so", "truncated": False}
    found = taken("ubc.peer_instruction.original_submitted", sent, module={"usage_key": block})
    assert found == Taken(block, {}, {"answer": 1, "truncated": False, "rationale_length": 21})


@pytest.mark.parametrize("name", ["reset-student-attempts", "add-forum-mod", "edx.instructor.report.requested"])
def test_what_staff_does_has_nothing_of_whom_it_is_done_to(name):
    sent = {
        "problem": key("problem"),
        "student": "bob",
        "instructor": "carol",
        "text": "reset attempts of bob",
        "username": "bob",
        "report_type": "grades",
        "course": COURSE,
        "report_url": "https://x.org/signed?key=1",
    }
    assert taken(name, sent) == Taken(key("problem"), {}, {"report_type": "grades"})
