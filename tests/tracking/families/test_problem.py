import json

import pytest

from tests.tracking.families.events import COURSE, HEX, OLD_COURSE, Taken, key, taken
from tests.tracking.limits import ends

BLOCK = key("problem")
PART, OTHER = f"{HEX}_2_1", f"{HEX}_3_1"
OLD_BLOCK = "i4x://MITx/6.00x/problem/L15:L15_Problem_2"
OLD_PART = "i4x-MITx-6_00x-problem-L15_L15_Problem_2_2_1"


def attempt(**values):
    return {"attempt": [{"block": BLOCK, **values}]}


def response(part=PART, block=BLOCK, **values):
    return {"block": block, "part": part, **values}


def test_the_server_tells_all_of_an_attempt_joined_by_the_names_of_parts():
    sent = {
        "problem_id": BLOCK,
        "attempts": 2,
        "grade": 1,
        "max_grade": 2,
        "success": "incorrect",
        # Not in one order, and not all parts everywhere.
        "answers": {OTHER: ["choice_0", "choice_2"], PART: "alice said 4"},
        "correct_map": {
            PART: {
                "correctness": "correct",
                "npoints": 1,
                "hint": "",
                "hintmode": None,
                "msg": "<p>Well&nbsp;done, <b>alice</b></p>",
                "queuestate": None,
                "answervariable": None,
            },
            OTHER: {"correctness": "incorrect", "npoints": None, "hint": "Think", "msg": ""},
        },
        "submission": {
            OTHER: {
                "answer": ["First", "Third"],
                "question": "Which?",
                "response_type": "choiceresponse",
                "input_type": "checkboxgroup",
                "correct": False,
                "variant": "",
                "group_label": "",
            },
            PART: {"answer": "4", "question": "How many?", "input_type": "textline", "correct": True},
        },
        "state": {
            "student_answers": {PART: "3"},
            "seed": 1,
            "done": True,
            "correct_map": {PART: {"correctness": "incorrect", "npoints": 0, "msg": "No"}},
            "input_state": {PART: {}, OTHER: {}},
        },
    }
    seen = {"seed": 1, "done": True}
    assert taken("problem_check", sent) == Taken(
        BLOCK,
        {
            "attempt": [
                {"block": BLOCK, "action": "submit", "attempt": 2, "success": False, "earned": 1.0, "possible": 2.0}
            ],
            "response": [
                response(
                    OTHER,
                    seat="given",
                    answer='["choice_0", "choice_2"]',
                    input_type="checkboxgroup",
                    correct="incorrect",
                    hint="Think",
                    **seen,
                ),
                response(
                    seat="given",
                    answer="[name] said 4",
                    input_type="textline",
                    correct="correct",
                    points=1.0,
                    message="Well done, [name]",
                    **seen,
                ),
                response(seat="before", answer="3", correct="incorrect", points=0.0, message="No", **seen),
            ],
        },
        {},  # what the parts ask is content of the course
    )


@pytest.mark.parametrize(
    ("name", "action", "seat"),
    [
        ("problem_check", "submit", "given"),
        ("problem_save", "save", "saved"),
        ("problem_reset", "reset", "before"),
    ],
)
def test_a_browser_sends_a_form(name, action, seat):
    form = f"input_{PART}=choice_0+a%26b&input_{OTHER}%5B%5D=choice_1&input_{OTHER}%5B%5D=choice_2"
    assert taken(name, {"form": form}, source="browser") == Taken(
        BLOCK,
        {
            **attempt(action=action),
            "response": [
                response(seat=seat, answer="choice_0 a&b"),
                response(OTHER, seat=seat, answer='["choice_1", "choice_2"]'),
            ],
        },
        {},
    )


def test_a_form_of_2012_tells_the_problem_by_its_parts():
    found = taken("problem_check", {"form": f"input_{OLD_PART}=42"}, source="browser", course=OLD_COURSE)
    block = "i4x://MITx/6.00x/problem/L15_L15_Problem_2"
    rows = {
        "attempt": [{"block": block, "action": "submit"}],
        "response": [response(OLD_PART, block, seat="given", answer="42")],
    }
    assert found == Taken(block, rows, {})


def test_a_reset_of_2013_has_the_form_in_a_field():
    found = taken("problem_reset", {"answers": f"input_{PART}=7"}, source="browser")
    assert found == Taken(BLOCK, {**attempt(action="reset"), "response": [response(seat="before", answer="7")]}, {})


def test_a_browser_that_saves_may_send_nothing():
    assert taken("problem_save", {}, source="browser") == Taken("", {"attempt": [{"action": "save"}]}, {})


def test_a_graded_problem_has_its_marks_in_the_page():
    page = (
        f'<div><span class="status correct" id="status_{PART}"><p>Sure</p></span>'
        f"<div id='status_{OTHER}' class='incorrect'></div></div>"
    )
    found = taken("problem_graded", {"list": [f"input_{PART}=3&input_{OTHER}=4", page]}, source="browser")
    assert found == Taken(
        BLOCK,
        {
            **attempt(action="graded", success=False),
            "response": [
                response(seat="given", answer="3", correct="correct"),
                response(OTHER, seat="given", answer="4", correct="incorrect"),
            ],
        },
        {"page_length": len(page)},
    )


def test_a_graded_problem_without_marks_says_nothing_of_success():
    found = taken("problem_graded", {"list": [f"input_{PART}=3"]}, source="browser")
    assert found == Taken(BLOCK, {**attempt(action="graded"), "response": [response(seat="given", answer="3")]}, {})


@pytest.mark.parametrize("problem", [HEX, f"{HEX}_2_1", f"input_{HEX}_2_1", BLOCK], ids=["id", "part", "input", "key"])
def test_an_answer_is_asked_for_by_any_name_of_the_problem(problem):
    found = taken("problem_show", {"problem": problem}, source="browser")
    assert found == Taken(BLOCK, attempt(action="show"), {})


def test_an_answer_is_asked_for_by_the_key_of_2012():
    found = taken("problem_show", {"problem": OLD_BLOCK}, source="browser", course=OLD_COURSE)
    assert found == Taken(OLD_BLOCK, {"attempt": [{"block": OLD_BLOCK, "action": "show"}]}, {})


@pytest.mark.parametrize("name", ["showanswer", "show_answer"])
def test_an_answer_is_shown(name):
    assert taken(name, {"problem_id": BLOCK}) == Taken(BLOCK, attempt(action="answer_shown"), {})


def test_answers_that_are_saved_have_a_seat_of_their_own():
    sent = {"problem_id": BLOCK, "answers": {PART: "3"}, "state": {"seed": 1, "done": None, "student_answers": {}}}
    assert taken("save_problem_success", sent) == Taken(
        BLOCK, {**attempt(action="save"), "response": [response(seat="saved", answer="3", seed=1)]}, {}
    )


@pytest.mark.parametrize(
    "name", ["problem_check_fail", "save_problem_check_fail", "save_problem_fail", "problem_rescore_fail"]
)
def test_a_failure_has_its_reason(name):
    sent = {"problem_id": BLOCK, "answers": {PART: "3"}, "failure": "closed", "state": {"done": True}, "student": "bob"}
    assert taken(name, sent) == Taken(
        BLOCK,
        {**attempt(action="fail", reason="closed"), "response": [response(seat="given", answer="3", done=True)]},
        {},
    )


def test_the_server_check_of_2012_is_an_attempt():
    sent = {
        "problem_id": OLD_BLOCK,
        "success": "correct",
        "attempts": 1,
        "answers": {OLD_PART: "42"},
        "correct_map": {OLD_PART: {"correctness": "correct", "npoints": None}},
        "state": {"student_answers": {}, "seed": 1, "done": None, "correct_map": {}, "input_state": {OLD_PART: {}}},
    }
    rows = {
        "attempt": [{"block": OLD_BLOCK, "action": "submit", "attempt": 1, "success": True}],
        "response": [response(OLD_PART, OLD_BLOCK, seat="given", answer="42", correct="correct", seed=1)],
    }
    assert taken("save_problem_check", sent, course=OLD_COURSE) == Taken(OLD_BLOCK, rows, {})


def test_a_rescored_problem_has_points_before_and_after_and_not_whose_they_are():
    sent = {
        "problem_id": BLOCK,
        "student": "bob",
        "success": "correct",
        "attempts": 1,
        "orig_score": 1,
        "orig_total": 3,
        "new_score": 3,
        "new_total": 3,
        "correct_map": {PART: {"correctness": "correct", "npoints": 3}},
        "state": {"student_answers": {PART: "3"}, "seed": 1, "done": True},
        "task_id": "t",
    }
    seen = {"seed": 1, "done": True}
    assert taken("problem_rescore", sent) == Taken(
        BLOCK,
        {
            **attempt(
                action="rescore", attempt=1, success=True, earned=3.0, possible=3.0, old_earned=1.0, old_possible=3.0
            ),
            "response": [
                response(seat="given", correct="correct", points=3.0, **seen),
                response(seat="before", answer="3", **seen),
            ],
        },
        {"task_id": "t"},
    )


def test_a_reset_has_what_was_there_before():
    sent = {
        "problem_id": BLOCK,
        "old_state": {"student_answers": {PART: "3"}, "seed": 5, "done": True, "correct_map": {}},
        "new_state": {"student_answers": {}, "seed": 9, "done": None},
    }
    assert taken("reset_problem", sent) == Taken(
        BLOCK,
        {**attempt(action="reset"), "response": [response(seat="before", answer="3", seed=5, done=True)]},
        {"new_state": {"student_answers": {}, "seed": 9, "done": None}},
    )


def test_a_reset_that_failed():
    sent = {"problem_id": BLOCK, "failure": "not_done", "old_state": {"student_answers": {PART: "3"}, "done": False}}
    assert taken("reset_problem_fail", sent) == Taken(
        BLOCK,
        {**attempt(action="fail", reason="not_done"), "response": [response(seat="before", answer="3", done=False)]},
        {},
    )


def test_a_hint_that_was_asked_for_belongs_to_no_answer():
    sent = {"hint_index": 0, "hint_len": 2, "hint_text": "Ask <i>alice</i>", "module_id": BLOCK}
    assert taken("edx.problem.hint.demandhint_displayed", sent) == Taken(
        BLOCK,
        {**attempt(action="hint"), "response": [{"block": BLOCK, "hint": "Ask [name]"}]},
        {"hint_index": 0, "hint_len": 2},
    )


def test_feedback_belongs_to_the_answer():
    sent = {
        "module_id": BLOCK,
        "problem_part_id": PART,
        "question_type": "stringresponse",
        "student_answer": ["blue"],
        "correctness": True,
        "hint_label": "Correct:",
        "hints": [{"text": "Yes."}, {"text": "Indeed."}],
        "trigger_type": "single",
    }
    assert taken("edx.problem.hint.feedback_displayed", sent) == Taken(
        BLOCK,
        {
            **attempt(action="hint"),
            "response": [
                response(
                    seat="given",
                    answer='["blue"]',
                    input_type="stringresponse",
                    correct="correct",
                    hint="Correct:",
                    message="Yes. Indeed.",
                )
            ],
        },
        {"trigger_type": "single"},
    )


def test_an_item_that_is_dropped_is_an_answer_to_a_part():
    sent = {
        "item_id": 0,
        "item": "Venus",
        "location": "Zone A",
        "location_id": 2,
        "is_correct": True,
        "is_correct_location": True,
        "input": None,
    }
    block = key("drag-and-drop-v2")
    found = taken("edx.drag_and_drop_v2.item.dropped", sent, module={"usage_key": block, "display_name": "Planets"})
    row = {
        "block": block,
        "part": "0",
        "seat": "given",
        "answer": "2",
        "input_type": "drag_and_drop",
        "correct": "correct",
    }
    left = {"item": "Venus", "location": "Zone A", "is_correct_location": True, "input": None}
    assert found == Taken(block, {"response": [row]}, left)


def test_of_a_file_the_answer_is_not_kept():
    sent = {
        "problem_id": BLOCK,
        "answers": {PART: ["essay-by-alice.pdf"]},
        "submission": {PART: {"answer": "essay-by-alice.pdf", "input_type": "filesubmission", "correct": False}},
    }
    found = taken("problem_check", sent)
    row = response(seat="given", input_type="filesubmission", correct="incorrect")
    assert found == Taken(BLOCK, {**attempt(action="submit"), "response": [row]}, {})


def test_the_module_of_the_context_tells_the_problem_if_the_payload_does_not():
    found = taken("showanswer", {}, module={"usage_key": BLOCK})
    assert found == Taken(BLOCK, attempt(action="answer_shown"), {})


def test_a_message_has_at_most_2000_characters():
    sent = {"problem_id": BLOCK, "correct_map": {PART: {"correctness": "correct", "msg": "<p>x</p>" * 9000}}}
    found = taken("problem_check", sent, course=COURSE)
    message = found.rows["response"][0]["message"]
    assert message == ("x " * 1000)[: len(message)]
    assert 1900 < len(message) <= 2000


def test_each_part_has_its_own_message_though_others_say_the_same():
    said = ["<p>One</p>", "<p>One</p>", "", "One", "<p></p>", None, 5, ["One"], ["One"], "<p>One</p>", "Two"]
    parts = [f"{HEX}_{number}_1" for number in range(len(said))]
    sent = {
        "correct_map": {part: {"correctness": "correct", "msg": msg} for part, msg in zip(parts, said, strict=True)}
    }
    found = [row.get("message") for row in taken("problem_check", sent).rows["response"]]
    assert found == ["One", "One", None, "One", None, None, None, None, None, "One", "Two"]


@pytest.mark.parametrize(
    "answer", [[], ["a"], ['"a\\', "é\n", "\ud800"], ["a", 5], ["a", None], [["a"]], {"a": "b"}, 5, True, 1.5]
)
def test_an_answer_that_is_no_text_is_kept_as_json(answer):
    found = taken("problem_check", {"problem_id": BLOCK, "answers": {PART: answer}})
    assert found.rows["response"][0]["answer"] == json.dumps(answer, ensure_ascii=False)


def test_parts_tell_the_problem_that_the_server_does_not():
    rows = {**attempt(action="submit"), "response": [response(seat="given", answer="3")]}
    assert taken("problem_check", {"answers": {PART: "3"}}) == Taken(BLOCK, rows, {})


def test_forms_and_pages_made_to_take_long_do_not():
    with ends(within=60):
        for form in ("input_" * 100_000, "&" * 100_000, "%" * 100_000, "_1" * 100_000 + "=", "=" * 100_000):
            taken("problem_check", {"form": form}, source="browser")
        for page in ("<" * 100_000, ' id="status_a"' * 10_000, 'id="status_' * 10_000):
            taken("problem_graded", {"list": ["input_a_2_1=3", page]}, source="browser")


@pytest.mark.parametrize("wrong", ["text", 5, ["a"], None, {"a": 5}, {"a": None}])
def test_what_has_another_form_never_stops_a_load(wrong):
    sent = dict.fromkeys(("answers", "correct_map", "submission", "state", "problem_id", "success", "attempts"), wrong)
    found = taken("problem_check", sent, course="")
    assert found.rows["attempt"][0]["action"] == "submit"
