"""Of all families at once: whatever a payload holds, nothing is raised and rows have the types of their columns."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.batch import Batch
from completion_aggregator.tracking.catalogue import NAMES, entry
from completion_aggregator.tracking.tables import Kind
from completion_aggregator.tracking.values import words

TYPES = {
    Kind.ID: bytes,
    Kind.TERM: str,
    Kind.TEXT: str,
    Kind.INTEGER: int,
    Kind.NUMBER: float,
    Kind.FLAG: bool,
}
#: Each has a function of its own, and so has each unknown name here.
KNOWN = sorted({(known.transform, known.action): name for name, known in NAMES.items() if known.transform}.values())
UNKNOWN = [
    "edx.forum.thread.summoned",
    "openassessmentblock.dreamt",
    "edx.ui.lms.other.selected",
    "edx.special_exam.practice.lost",
    "/courses/a/b/c/modx/i4x://a/b/problem/c/problem_get",
]
#: Fields by which functions look, so that most examples go past the first test of a type.
FIELDS = words(
    "id module_id currentTime current_time duration old_time new_time type old_speed new_speed speed code"
    " host_component_id answers correct_map submission state old_state problem_id problem success attempts grade"
    " max_grade failure form list hint_text student_answer correctness hints hint_label problem_part_id"
    " question_type item_id location_id is_correct old new current_tab target_tab tab_count target_url current_url"
    " current_id chapter page query bookmark_id component_usage_id tool_name url search_term block_id completion"
    " block_type label done user_id course_id weighted_earned weighted_total_earned weighted_total_possible"
    " percent_grade letter_grade mode answer saved_response feedback parts rubric submission_uuid scorer_id"
    " score_type attempt_number item_id options_selected feedback_text title body response discussion"
    " commentable_id category_id total_results corrected_text cohort_id cohort_name group_id group_name"
    " partition_id child_id team_id field search_text GET POST setting username note_text tags rationale"
    " exam_content_id location text"
)
PARTS = ["a_2_1", "0b9e39477cf34507a7a48f74be381fdd_2_1", "i4x-a-b-problem-c_2_1"]
INNER = [
    *("correctness", "npoints", "msg", "hint", "answer", "input_type", "correct", "student_answers", "correct_map"),
    *("seed", "done", "parts", "text", "criterion", "option", "name", "points", "points_possible", "id", *PARTS),
]
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["correct", "block-v1:a+b+c+type@video+block@d", "i4x://a/b/video/c", "i4x-a-b-video-c", "a=b&c[]=d"]
    ),
    st.sampled_from(["<b>", "%2B", "00:01:02", "1e3", "nan", "html5", "/u/alice", "x" * 600]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
PAYLOADS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), VALUES, max_size=8)
COURSES = st.sampled_from(["", "course-v1:a+b+c", "a/b/c", "ccx-v1:a+b+c+ccx@1", "///", "odd"])
MODULES = st.none() | st.sampled_from([{}, {"usage_key": 5}, {"usage_key": "block-v1:a+b+c+type@problem+block@d"}])


@settings(max_examples=400)
@given(st.sampled_from([*KNOWN, *UNKNOWN]), PAYLOADS, COURSES, MODULES, st.booleans())
def test_whatever_a_payload_holds_rows_have_the_types_of_their_columns(name, payload, course, module, keeps_text):
    batch = Batch(keyed=lambda _, value: value.encode(), clean=str, place=str, keeps_text=keeps_text)
    batch.row, batch.name, batch.course, batch.module = 3, name, course, module
    known = entry(name, "server")
    assert known.transform
    block = known.transform(known.action, payload, batch)
    assert isinstance(block, str)
    assert isinstance(payload, dict)
    for table in (*tables.TYPED, tables.ACCOUNT, tables.TEXT):
        types = [TYPES[column.kind] for column in table.columns if column.name in table.own]
        for row in getattr(batch, table.name):
            assert row[0] == 3
            assert [(value is None or type(value) is kind) for value, kind in zip(row[1:], types, strict=True)] == (
                [True] * len(types)
            )
