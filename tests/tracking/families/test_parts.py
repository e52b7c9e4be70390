"""What is read in one pass is what comes out part by part, with the same left over and in the same order."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.tracking.families.parts import (
    each_graded,
    each_part,
    parts_of_state,
    usual_graded,
    usual_parts,
)
from completion_aggregator.tracking.values import prune

NAMES = ["a_2_1", "a_3_1", "a_4_1"]
VALUES = [
    *(None, "", " ", "text", "correct", "filesubmission", "a_2_1=b", 0, 1, 0.5, True, False),
    *([], {}, ["a", "b"], {"a": None}, {"correctness": "correct"}),
]
ODD = st.sampled_from(VALUES)
FIELDS = st.sampled_from(
    [
        *("correctness", "npoints", "hint", "msg", "hintmode", "queuestate", "answervariable", "other", *NAMES),
        *("input_type", "answer", "correct", "variant", "group_label", "question", "response_type"),
    ]
)


def grade() -> dict[str, Any]:
    nothing = dict.fromkeys(("hintmode", "queuestate", "answervariable"))
    return {"hint": "", **nothing, "correctness": "correct", "npoints": None, "msg": "<p>Yes</p>"}


def submitted() -> dict[str, Any]:
    said = {"input_type": "choicegroup", "question": "Which?", "response_type": "multiplechoiceresponse"}
    return {**said, "answer": "First", "variant": "", "correct": True, "group_label": ""}


def attempt(names: list[str]) -> dict[str, Any]:
    return {
        "submission": {name: submitted() for name in names},
        "correct_map": {name: grade() for name in reversed(names)},
        "answers": dict.fromkeys(names, "choice_0"),
        "attempts": 1,
    }


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return an object and all objects in it."""
    if not isinstance(value, dict):
        return []
    return [value, *(found for each in value.values() for found in _objects(each))]


@st.composite
def changed(draw: st.DrawFn, event: dict[str, Any]) -> dict[str, Any]:
    """Draw an event that differs from *event* in some fields, or in their order."""
    for _ in range(draw(st.integers(0, 3))):
        found = draw(st.sampled_from(_objects(event)))
        key = draw(st.sampled_from(sorted(found)) | FIELDS if found else FIELDS)
        value = found.pop(key, None)
        how = draw(st.sampled_from(["goes", "changes", "moves"]))
        if how != "goes":
            found[key] = copy.deepcopy(draw(ODD)) if how == "changes" else value
    return event


EVENTS = st.integers(1, 3).flatmap(lambda count: changed(attempt(NAMES[:count])))


def test_a_usual_attempt_is_read_in_one_pass():
    payload = attempt(NAMES[:1])
    found = usual_parts(payload)
    assert found == [("a_2_1", "choice_0", "choicegroup", "correct", None, "", "<p>Yes</p>")]
    assert payload == {"attempts": 1}


def compare(event: dict[str, Any]) -> None:
    passed, whole = copy.deepcopy(event), copy.deepcopy(event)
    parts = usual_parts(passed)
    if parts is None:
        assert json.dumps(passed) == json.dumps(event)
    else:
        assert parts == each_part(whole)
        assert json.dumps(passed) == json.dumps(whole)


@pytest.mark.parametrize("field", [*grade(), *submitted()])
def test_with_one_field_that_is_odd_one_pass_gives_what_each_part_gives(field):
    for place in ("correct_map", "submission"):
        for value in VALUES:
            event = attempt(NAMES[:2])
            event[place]["a_3_1"][field] = value
            compare(event)
        event = attempt(NAMES[:2])
        event[place]["a_3_1"].pop(field, None)
        compare(event)


@pytest.mark.parametrize("place", ["answers", "correct_map", "submission"])
def test_with_one_part_that_is_odd_one_pass_gives_what_each_part_gives(place):
    for value in VALUES:
        event = attempt(NAMES[:2])
        event[place]["a_3_1"] = copy.deepcopy(value)
        compare(event)


@settings(max_examples=500)
@given(EVENTS)
def test_one_pass_gives_what_each_part_gives(event):
    compare(event)


@given(EVENTS)
def test_of_grades_in_a_state_one_pass_gives_what_each_part_gives_and_leaves_nothing(event):
    answers, grades = event.get("answers"), event.get("correct_map")
    if isinstance(answers, dict) and isinstance(grades, dict):
        parts = usual_graded(answers, grades)
        if parts is not None:
            assert parts == each_graded(answers, grades)
            assert prune(grades) is None


def test_a_state_with_usual_grades_says_nothing_else():
    state = {"student_answers": {"a_2_1": ["b"]}, "correct_map": {"a_2_1": grade()}, "input_state": {"a_2_1": {}}}
    assert parts_of_state(state) == [("a_2_1", ["b"], None, "correct", None, "", "<p>Yes</p>")]
    assert state == {}
