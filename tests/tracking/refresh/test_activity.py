import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking.refresh import refresh_activity
from completion_aggregator.tracking.refresh.activity import parts_correctness, state_of
from tests.tracking.refresh.sources import COURSE, T1, T2, table

BLOCK = "block-v1:O+C+R+type@problem+block@9d251397874d4f0b947b606c81ccf83c"
HEX = "9d251397874d4f0b947b606c81ccf83c"
STATE = {
    "correct_map": {
        f"{HEX}_10_1": {"correctness": "incorrect", "npoints": None},
        f"{HEX}_2_1": {"correctness": "correct"},
        f"{HEX}_3_1": {"correctness": "partially-correct"},
        f"{HEX}_4_1": {"correctness": None},
    },
    "student_answers": {f"{HEX}_2_1": 'é "x"', f"{HEX}_3_1": ["choice_0", "choice_2"]},
    "attempts": 2,
    "done": True,
    "seed": 1,
    "last_submission_time": "2024-01-02T03:04:05Z",
}
COLUMNS = (
    "id:int student_id:int course_id:text module_id:text module_type:text grade:number max_grade:number state:text"
    " created:time modified:time"
)


def of(*states):
    rows = [
        (n, 7, COURSE, BLOCK, kind, grade, of_, state, T1, T2) for n, (kind, grade, of_, state) in enumerate(states, 1)
    ]
    return {"courseware_studentmodule": table(COLUMNS, *rows)}


def test_a_state_is_taken_apart(opened, target, written, pseudonym):
    with opened(of(("problem", 1.0, 4.0, json.dumps(STATE)))) as source:
        summary = refresh_activity(source, target, pseudonym=pseudonym)
    assert (summary.rows, summary.notes) == ({"activity": 1}, ())
    assert written("activity") == [
        {
            "person": 7,
            "course": COURSE,
            "block": BLOCK,
            "module_type": "problem",
            "earned": 1.0,
            "possible": 4.0,
            "percent": 25.0,
            "parts_correctness": "+~?-",
            "answers": f'{{"{HEX}_2_1":"é \\"x\\"","{HEX}_3_1":["choice_0","choice_2"]}}',
            "attempts": 2,
            "done": True,
            "seed": 1,
            "last_submit": T1.replace(microsecond=0),
            "state_quality": "ok",
            "created": T1,
            "modified": T2,
        }
    ]


def test_broken_states_are_kept_and_counted_and_other_blocks_are_not_problems(opened, target, written, pseudonym):
    states = (
        ("problem", 1.0, 2.0, '{"correct_map": {"a'),
        ("problem", None, None, ""),
        ("problem", None, None, '{"attempts": 1, "score": NaN}'),
        ("problem", None, None, "[" * 100_000),
        ("problem", None, None, '["a list"]'),
        ("sequential", None, None, '{"position": 2}'),
        ("drag-and-drop-v2", 1.0, 1.0, '{"attempts": true, "correct_map": []}'),
    )
    with opened(of(*states)) as source:
        summary = refresh_activity(source, target, pseudonym=pseudonym)
    rows = [
        (row["module_type"], row["earned"], row["state_quality"], row["attempts"], row["last_submit"], row["answers"])
        for row in written("activity")
    ]
    assert rows == [
        ("problem", 1.0, "broken", None, None, None),
        ("problem", None, "none", None, None, None),
        ("problem", None, "ok", 1, T2, None),
        ("problem", None, "broken", None, None, None),
        ("problem", None, "broken", None, None, None),
        ("drag-and-drop-v2", 1.0, "ok", None, None, None),
    ]
    assert summary.notes == (
        "3 states are no JSON object: their columns are NULL, `state_quality` is `broken`",
        "1 rows are of blocks that are neither problems nor graded: not in the table",
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(state=st.dictionaries(st.sampled_from(sorted(STATE)) | st.text(), JSON))
def test_any_object_that_python_writes_is_a_state(state):
    found, quality = state_of(json.dumps(state))
    assert quality == "ok"
    assert set(found) == set(state)


@given(written=st.text() | st.binary())
def test_any_text_is_a_state_or_a_broken_one(written):
    assert state_of(written)[1] in {"ok", "none", "broken"}


@given(correct_map=JSON | st.dictionaries(st.text(), JSON, max_size=3))
def test_signs_are_as_many_as_parts(correct_map):
    signs = parts_correctness(correct_map)
    assert (len(signs) if signs else 0) == (len(correct_map) if isinstance(correct_map, dict) else 0)


@pytest.mark.parametrize("name", ["²_1", "a_٣", "", "_2_"])
def test_odd_names_of_parts_have_an_order(name):
    assert parts_correctness({name: {"correctness": "correct"}, "a_1": {}}) in ("+?", "?+")
