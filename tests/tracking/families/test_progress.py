import pytest

from tests.tracking.families.events import COURSE, OLD_COURSE, Taken, key, taken

BLOCK = key("problem")
SEQUENCE = key("sequential")


def progress(**values):
    return {"progress": [values]}


def test_a_completion_is_a_share():
    sent = {"block_id": BLOCK, "block_type": "problem", "completion": 0.5, "is_new": True, "label": "completion"}
    assert taken("edx.completion.block_completion.changed", sent) == Taken(
        BLOCK, progress(kind="completion", block=BLOCK, earned=0.5, ratio=0.5), {"is_new": True}
    )


def test_a_completion_in_an_old_course():
    block = "i4x://MITx/6.00x/html/a"
    found = taken("edx.completion.block_completion.changed", {"block_id": block, "completion": 1}, course=OLD_COURSE)
    assert found == Taken(block, progress(kind="completion", block=block, earned=1.0, ratio=1.0), {})


def test_a_completion_that_is_none_stays():
    found = taken("edx.completion.block_completion.changed", {"block_id": 5, "completion": "much"})
    assert found == Taken("", progress(kind="completion"), {"block_id": 5, "completion": "much"})


@pytest.mark.parametrize(("done", "value"), [(True, 1.0), (False, 0.0)])
def test_what_a_learner_says_to_have_done(done, value):
    found = taken("edx.done.toggled", {"done": done}, module={"usage_key": key("done")})
    row = progress(kind="completion", block=key("done"), earned=value, ratio=value)
    assert found == Taken(key("done"), row, {})


def test_a_problem_that_was_submitted_has_points():
    sent = {
        "user_id": "12",
        "course_id": COURSE,
        "problem_id": BLOCK,
        "weighted_earned": 1,
        "weighted_possible": 4,
        "event_transaction_type": "edx.grades.problem.submitted",
    }
    assert taken("edx.grades.problem.submitted", sent) == Taken(
        BLOCK,
        progress(kind="problem", block=BLOCK, earned=1.0, possible=4.0, ratio=0.25),
        {"event_transaction_type": "edx.grades.problem.submitted"},
    )


@pytest.mark.parametrize("name", ["edx.grades.problem.rescored", "edx.grades.problem.score_overridden"])
def test_points_that_staff_gave_have_no_staff(name):
    sent = {
        "user_id": "12",
        "instructor_id": "3",
        "problem_id": BLOCK,
        "new_weighted_earned": 2,
        "new_weighted_possible": 2,
        "only_if_higher": False,
    }
    assert taken(name, sent) == Taken(
        BLOCK,
        progress(kind="problem", block=BLOCK, earned=2.0, possible=2.0, ratio=1.0),
        {"only_if_higher": False},
    )


def test_points_that_were_deleted():
    sent = {"user_id": "12", "instructor_id": "3", "problem_id": BLOCK}
    found = taken("edx.grades.problem.state_deleted", sent)
    assert found == Taken(BLOCK, progress(kind="problem", block=BLOCK), {})


def test_a_subsection_has_all_its_points_and_those_that_count_stay():
    sent = {
        "user_id": "12",
        "course_id": COURSE,
        "block_id": SEQUENCE,
        "weighted_total_earned": 3,
        "weighted_total_possible": 0,
        "weighted_graded_earned": 3,
        "weighted_graded_possible": 6,
    }
    assert taken("edx.grades.subsection.grade_calculated", sent) == Taken(
        SEQUENCE,
        progress(kind="subsection", block=SEQUENCE, earned=3.0, possible=0.0),
        {"weighted_graded_earned": 3, "weighted_graded_possible": 6},
    )


@pytest.mark.parametrize(
    ("sent", "row"),
    [
        ({"percent_grade": 0.97, "letter_grade": "Pass"}, {"ratio": 0.97, "letter": "Pass", "passed": True}),
        ({"percent_grade": 0.2, "letter_grade": ""}, {"ratio": 0.2, "passed": False}),
        ({"percent": 0.2, "letter_grade": None}, {"ratio": 0.2, "passed": False}),
        ({"percent": 0.2}, {"ratio": 0.2}),
    ],
)
def test_who_has_a_letter_has_passed(sent, row):
    found = taken("edx.grades.course.grade_calculated", {"user_id": "12", "course_id": COURSE, **sent})
    assert found == Taken("", progress(kind="course", **row), {})


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        ("edx.course.grade.now_passed", True),
        ("edx.course.grade.now_failed", False),
        ("edx.course.grade.passed.first_time", True),
    ],
)
def test_a_course_is_passed_or_failed(name, passed):
    found = taken(name, {"user_id": "12", "course_id": COURSE})
    assert found == Taken("", progress(kind="course", passed=passed), {})


@pytest.mark.parametrize(("name", "passed"), [("created", True), ("revoked", False)])
def test_a_certificate_has_nothing_that_leads_to_the_name_on_it(name, passed):
    sent = {
        "user_id": 12,
        "course_id": COURSE,
        "certificate_id": "f" * 32,
        "certificate_url": "https://x.org/certificates/f",
        "enrollment_mode": "verified",
        "generation_mode": "self",
    }
    assert taken(f"edx.certificate.{name}", sent) == Taken(
        "",
        progress(kind="certificate", passed=passed),
        {"enrollment_mode": "verified", "generation_mode": "self"},
    )


@pytest.mark.parametrize("name", ["edx.certificate.shared", "edx.certificate.evidence_visited"])
def test_a_certificate_that_is_shown_makes_no_row(name):
    sent = {"certificate_id": "f", "social_network": "LinkedIn", "source_url": "https://linkedin.com/in/alice"}
    assert taken(name, sent) == Taken("", {}, {"social_network": "LinkedIn"})


@pytest.mark.parametrize("ending", ["created", "shared", "evidence_visited"])
def test_a_badge_makes_no_row(ending):
    sent = {"assertion_id": 4, "assertion_json_url": "https://x.org/4", "issuer": "https://x.org", "user_id": 12}
    assert taken(f"edx.badge.assertion.{ending}", sent) == Taken("", {}, {"issuer": "https://x.org"})
