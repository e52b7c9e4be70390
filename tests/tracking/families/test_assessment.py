import pytest

from tests.tracking.families.events import COURSE, Taken, key, taken

BLOCK = key("openassessment")
MODULE = {"usage_key": BLOCK, "display_name": "Essay"}
UUID = "d83ba0df-4938-498d-8ac6-5b19fde96507"


def assessment(**values):
    return {"assessment": [{"block": BLOCK, **values}]}


@pytest.mark.parametrize(
    ("name", "field", "action"),
    [
        ("openassessmentblock.create_submission", "answer", "submit"),
        ("openassessmentblock.save_submission", "saved_response", "save"),
    ],
)
def test_of_a_response_of_today_the_parts_are_counted_and_private(name, field, action):
    sent = {
        field: {
            "parts": [{"text": "My name is"}, {"text": " alice"}],
            "file_keys": ["12/course/a"],
            "files_names": ["alice.pdf"],
        },
        "attempt_number": 1,
        "submission_uuid": UUID,
        "created_at": "2024-02-01T00:32:51+00:00",
    }
    row = assessment(action=action, submission=UUID, attempt=1, text_length=16)
    left = {"created_at": "2024-02-01T00:32:51+00:00", "files": 1}
    assert taken(name, sent, module=MODULE) == Taken(BLOCK, row, left)
    texts = [{"kind": "answer", "text": "My name is"}, {"kind": "answer", "text": " alice"}]
    assert taken(name, sent, module=MODULE, keeps_text=True) == Taken(BLOCK, {**row, "text": texts}, left)


def test_a_response_of_2014_is_one_text():
    sent = {"answer": {"text": "Alice", "file_upload_key": "s3/12/a"}, "attempt_number": 1, "submission_uuid": UUID}
    found = taken("openassessmentblock.create_submission", sent, module=MODULE)
    assert found == Taken(BLOCK, assessment(action="submit", submission=UUID, attempt=1, text_length=5), {"files": 1})


@pytest.mark.parametrize(
    ("name", "action", "kind"), [("peer", "peer", "PE"), ("self", "self", "SE"), ("staff", "staff", "ST")]
)
def test_an_assessment_has_a_row_for_each_criterion(name, action, kind):
    sent = {
        "feedback": "Well done",
        "parts": [
            {
                "criterion": {"name": "Ideas", "points_possible": 5},
                "option": {"name": "Fair", "points": 3},
                "feedback": "Hm",
            },
            {"criterion": {"name": "Style", "points possible": 2}, "option": "Good", "feedback": ""},
            {"criterion": {"name": "Remarks", "points_possible": 0}, "feedback": "None"},
        ],
        "rubric": {"content_hash": "b7c5", "name": "x"},
        "scored_at": "2024-02-01T03:59:51+00:00",
        "scorer_id": "0255",
        "score_type": kind,
        "submission_uuid": UUID,
    }
    part = {"block": BLOCK, "submission": UUID}
    assert taken(f"openassessmentblock.{name}_assess", sent, module=MODULE, keeps_text=True) == Taken(
        BLOCK,
        {
            **assessment(action=action, submission=UUID, scorer=b"edx-anonymous|0255", score_type=kind, text_length=15),
            "assessment_part": [
                {**part, "criterion": "Ideas", "option": "Fair", "points": 3.0, "possible": 5.0},
                {**part, "criterion": "Style", "option": "Good", "possible": 2.0},
                {**part, "criterion": "Remarks", "possible": 0.0},
            ],
            "text": [{"kind": "feedback", "text": text} for text in ("Well done", "Hm", "None")],
        },
        {"rubric": {"content_hash": "b7c5"}, "scored_at": "2024-02-01T03:59:51+00:00"},
    )


def test_who_asks_for_a_response_is_the_scorer_to_be():
    sent = {
        "requesting_student_id": "a04e",
        "course_id": COURSE,
        "item_id": BLOCK,
        "submission_returned_uuid": UUID,
    }
    assert taken("openassessmentblock.get_peer_submission", sent) == Taken(
        BLOCK, assessment(action="get", submission=UUID, scorer=b"edx-anonymous|a04e"), {}
    )


def test_staff_that_gets_nothing_to_grade_has_no_submission():
    sent = {
        "requesting_staff_id": "b1",
        "requesting_student_id": "c2",
        "item_id": BLOCK,
        "submission_returned_uuid": "None",
        "type": "full-grade",
    }
    assert taken("openassessmentblock.get_submission_for_staff_grading", sent) == Taken(
        BLOCK, assessment(action="get", scorer=b"edx-anonymous|b1"), {"type": "full-grade"}
    )


def test_what_somebody_thinks_of_assessments_is_private():
    sent = {"feedback_text": "Unfair", "options": ["This was useful"], "submission_uuid": UUID}
    assert taken("openassessmentblock.submit_feedback_on_assessments", sent, module=MODULE) == Taken(
        BLOCK, assessment(action="feedback", submission=UUID, text_length=6), {"options": ["This was useful"]}
    )


def test_an_example_has_the_options_that_were_chosen():
    sent = {"corrections": {"Ideas": "Good"}, "options_selected": {"Ideas": "Fair"}, "submission_uuid": UUID}
    assert taken("openassessment.student_training_assess_example", sent, module=MODULE) == Taken(
        BLOCK,
        {
            **assessment(action="training", submission=UUID),
            "assessment_part": [{"block": BLOCK, "submission": UUID, "criterion": "Ideas", "option": "Fair"}],
        },
        {"corrections": {"Ideas": "Good"}},
    )


def test_a_file_has_no_name():
    sent = {"fileName": "alice.pdf", "fileSize": 12, "fileType": "application/pdf"}
    assert taken("openassessment.upload_file", sent, source="browser", module=MODULE) == Taken(
        BLOCK, assessment(action="upload"), {"fileSize": 12, "fileType": "application/pdf"}
    )


def test_a_file_that_did_not_arrive():
    found = taken("openassessment.upload_file_error", {"statusText": "Forbidden"}, source="browser")
    assert found == Taken("", {"assessment": [{"action": "upload_error"}]}, {"statusText": "Forbidden"})


def test_peer_grading_of_2013():
    block = "i4x://MITx/6.00x/combinedopenended/Essay"
    sent = {"location": block, "category": "1", "selection": "2"}
    found = taken("rubric_select", sent, source="browser")
    row = {"block": block, "action": "rubric_select"}
    assert found == Taken(block, {"assessment": [row]}, {"category": "1", "selection": "2"})


@pytest.mark.parametrize("wrong", ["text", 5, [5], {"parts": {"a": 1}}, {"parts": [5, {"text": 5}]}, None])
def test_an_answer_of_another_form_is_dropped_for_nobody_knows_what_was_written(wrong):
    found = taken("openassessmentblock.create_submission", {"answer": wrong}, module=MODULE)
    assert found.left == {}
