import pytest

from completion_aggregator.tracking.dump import AbsentTable
from completion_aggregator.tracking.refresh import refresh_grades
from tests.tracking.refresh.sources import COURSE, T1, T2, table

BLOCK = "block-v1:O+C+R+type@sequential+block@s1"
TABLES = {
    "grades_persistentcoursegrade": table(
        "id:int user_id:int course_id:text percent_grade:number letter_grade:text passed_timestamp:time created:time"
        " modified:time",
        (1, 7, COURSE, 0.8, "B", T1, T1, T2),
        (2, 8, COURSE, 0.0, "", None, T1, T1),
        (3, 666, COURSE, 1.0, "A", T1, T1, T1),
    ),
    "grades_persistentsubsectiongrade": table(
        "id:int user_id:int course_id:text usage_key:text earned_all:number possible_all:number earned_graded:number"
        " possible_graded:number first_attempted:time created:time modified:time",
        (1, 7, COURSE, BLOCK, 3.0, 4.0, 1.0, 2.0, T1, T1, T2),
        (2, 8, COURSE, BLOCK, 0.0, 0.0, 0.0, 0.0, None, T1, T2),
    ),
    "grades_persistentsubsectiongradeoverride": table(
        "id:int grade_id:int earned_all_override:number possible_all_override:number earned_graded_override:number"
        " possible_graded_override:number created:time modified:time system:text override_reason:text",
        (1, 2, 5.0, 10.0, 4.0, 8.0, T1, T2, "GRADEBOOK", "she was ill"),
        (2, 9, 1.0, 1.0, 1.0, 1.0, T1, T1, None, None),
    ),
    "certificates_generatedcertificate": table(
        "id:int user_id:int course_id:text grade:text mode:text status:text created_date:time modified_date:time",
        (1, 7, COURSE, "0.8", "verified", "downloadable", T1, T2),
        (2, 8, COURSE, "", "audit", "notpassing", T1, T2),
    ),
}
NOTHING = dict.fromkeys(
    ("block", "earned", "possible", "earned_graded", "possible_graded", "ratio", "letter", "passed", "passed_at",
     "attempted", "mode", "status")
)  # fmt: skip


def row(person, kind, created, modified, **others):
    return {"person": person, "course": COURSE, "kind": kind, **NOTHING, **others} | {
        "created": created,
        "modified": modified,
    }


def test_grades_of_courses_and_subsections_what_overrides_them_and_certificates_are_one_table(
    opened, target, written, pseudonym
):
    with opened(TABLES) as source:
        summary = refresh_grades(source, target, pseudonym=pseudonym)
    instead = {"earned": 5.0, "possible": 10.0, "earned_graded": 4.0, "possible_graded": 8.0}
    points = {"earned": 3.0, "possible": 4.0, "earned_graded": 1.0, "possible_graded": 2.0}
    assert (summary.name, summary.rows, summary.notes, summary.error) == ("grades", {"grade": 8}, (), "")
    assert written("grade") == [
        row(7, "course", T1, T2, ratio=0.8, letter="B", passed=True, passed_at=T1),
        row(8, "course", T1, T1, ratio=0.0, passed=False),
        row(None, "course", T1, T1, ratio=1.0, letter="A", passed=True, passed_at=T1),
        row(7, "subsection", T1, T2, block=BLOCK, **points, ratio=0.75, attempted=T1),
        row(8, "subsection", T1, T2, block=BLOCK, **dict.fromkeys(points, 0.0)),
        row(8, "override", T1, T2, block=BLOCK, **instead, ratio=0.5, status="GRADEBOOK"),
        row(7, "certificate", T1, T2, ratio=0.8, mode="verified", status="downloadable", passed=True),
        row(8, "certificate", T1, T2, mode="audit", status="notpassing", passed=False),
    ]


def test_a_platform_without_overrides_has_all_other_grades(opened, target, written, pseudonym):
    fewer = {name: each for name, each in TABLES.items() if not name.endswith("override")}
    with opened(fewer) as source:
        summary = refresh_grades(source, target, pseudonym=pseudonym)
        name = source.name
    assert summary.rows == {"grade": 7}
    assert summary.notes == (
        f"no grades that override others: {name} has no table grades_persistentsubsectiongradeoverride",
    )
    assert {each["kind"] for each in written("grade")} == {"course", "subsection", "certificate"}


def test_overrides_of_a_release_that_names_no_system_are_read(opened, target, written, pseudonym):
    older = table(
        "id:int grade_id:int earned_all_override:number possible_all_override:number earned_graded_override:number"
        " possible_graded_override:number created:time modified:time",
        (1, 1, None, None, 2.0, 2.0, T1, T2),
    )
    with opened({**TABLES, "grades_persistentsubsectiongradeoverride": older}) as source:
        refresh_grades(source, target, pseudonym=pseudonym)
    (found,) = (each for each in written("grade") if each["kind"] == "override")
    assert found == row(7, "override", T1, T2, block=BLOCK, earned_graded=2.0, possible_graded=2.0)


def test_without_one_of_the_tables_the_old_grades_stay(opened, target, written, pseudonym):
    with opened(TABLES) as source:
        refresh_grades(source, target, pseudonym=pseudonym)
    before = written("grade")
    fewer = {name: each for name, each in TABLES.items() if not name.startswith("certificates")}
    with opened(fewer) as source, pytest.raises(AbsentTable, match="no table certificates_generatedcertificate"):
        refresh_grades(source, target, pseudonym=pseudonym)
    assert written("grade") == before
