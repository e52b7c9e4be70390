from typing import Any

import pytest

from completion_aggregator.tracking.dump import AbsentColumn, AbsentTable
from completion_aggregator.tracking.refresh import REFRESHED, refresh_platform
from tests.tracking.refresh.sources import COURSE, T1, T2, table

ACCOUNTS = table(
    "id:int password:text last_login:time is_superuser:flag username:text first_name:text last_name:text email:text"
    " is_staff:flag is_active:flag date_joined:time",
    (7, "!", None, False, "ana", "Ana", "", "ana@example.com", False, True, T1),
    (666, "!", T2, False, "gone", "", "", "gone@example.com", True, False, T1),
)
TABLES = {
    "auth_user": ACCOUNTS,
    "auth_userprofile": table(
        "id:int user_id:int name:text gender:text year_of_birth:int level_of_education:text country:text",
        (1, 7, "Ana Ng", "f", 1990, "b", "NZ"),
        (2, 8, "", None, None, None, ""),
    ),
    "student_courseenrollment": table(
        "id:int user_id:int course_id:text mode:text is_active:flag created:time",
        (1, 7, COURSE, "audit", True, T1),
        (2, 666, COURSE, "verified", False, T2),
    ),
    "course_groups_courseusergroup": table(
        "id:int name:text course_id:text group_type:text", (3, "Late", COURSE, "cohort")
    ),
    "course_groups_cohortmembership": table(
        "id:int user_id:int course_id:text course_user_group_id:int", (1, 7, COURSE, 3), (2, 8, COURSE, 4)
    ),
    "teams_courseteam": table(
        "id:int team_id:text name:text course_id:text topic_id:text", (5, "reds-1", "Reds", COURSE, "set1")
    ),
    "teams_courseteammembership": table(
        "id:int user_id:int team_id:int date_joined:time last_activity_at:time", (1, 7, 5, T1, T2)
    ),
    "user_api_usercoursetag": table(
        "id:int user_id:int course_id:text key:text value:text",
        (1, 7, COURSE, "xblock.partition_service.partition_1812", "2"),
        (2, 7, COURSE, "some.plugin.note", "free words"),
    ),
    "student_courseaccessrole": table("id:int user_id:int course_id:text org:text role:text", (1, 7, "", "O", "staff")),
    "lti_provider_lticonsumer": table("id:int consumer_name:text", (1, "School")),
    "lti_provider_ltiuser": table(
        "id:int lti_consumer_id:int lti_user_id:text edx_user_id:int", (1, 1, "a-77", 7), (2, 1, "b-1", None)
    ),
    "student_anonymoususerid": table(
        "id:int user_id:int anonymous_user_id:text course_id:text", (1, 7, "ab12", COURSE), (2, 7, "cd34", "")
    ),
}
WRITTEN: dict[str, list[dict[str, Any]]] = {
    "enrollment_now": [
        {"person": 7, "course": COURSE, "mode": "audit", "is_active": True, "created": T1},
        {"person": None, "course": COURSE, "mode": "verified", "is_active": False, "created": T2},
    ],
    "cohort_member": [
        {"person": 7, "course": COURSE, "cohort_id": 3, "cohort_name": "Late"},
        {"person": 8, "course": COURSE, "cohort_id": 4, "cohort_name": None},
    ],
    "team_member": [
        {
            "person": 7,
            "course": COURSE,
            "team_id": "reds-1",
            "team_name": "Reds",
            "topic": "set1",
            "joined": T1,
            "last_activity": T2,
        }
    ],
    "partition_member": [{"person": 7, "course": COURSE, "partition_id": "1812", "group_id": "2"}],
    "course_role": [{"person": 7, "course": None, "org": "O", "role": "staff"}],
    "lti_person": [{"person": 7, "consumer": "School", "lti_user_id": "a-77", "user_id": 7}],
    "anonymous_id": [
        {"person": 7, "course": COURSE, "anonymous_id": "ab12", "user_id": 7},
        {"person": 7, "course": None, "anonymous_id": "cd34", "user_id": 7},
    ],
    "user": [
        {
            "person": 7,
            "user_id": 7,
            "username": "ana",
            "email": "ana@example.com",
            "is_active": True,
            "is_staff": False,
            "joined": T1,
            "last_login": None,
        }
    ],
    "profile": [
        {
            "person": 7,
            "user_id": 7,
            "name": "Ana Ng",
            "gender": "f",
            "year_of_birth": 1990,
            "level_of_education": "b",
            "country": "NZ",
            "language": None,
        },
        {"person": 8, "user_id": 8, **dict.fromkeys(("name", "gender", "year_of_birth"))}
        | dict.fromkeys(("level_of_education", "country", "language")),
    ],
}


def test_every_table_is_written_with_pseudonyms_or_in_private(opened, target, written, pseudonym):
    with opened(TABLES) as source:
        summary = refresh_platform(source, target, pseudonym=pseudonym)
    assert {name: written(name, private=REFRESHED[name].is_private) for name in WRITTEN} == WRITTEN
    assert summary.rows == {name: len(rows) for name, rows in WRITTEN.items()}
    assert summary.notes == (
        "2 rows are of nobody known, or of people who asked to be forgotten: not in the private tables",
    )


def test_open_tables_hold_no_name_and_no_address(opened, target, pseudonym):
    with opened(TABLES) as source:
        refresh_platform(source, target, pseudonym=pseudonym)
    files = b"".join(path.read_bytes() for path in target.tables_folder.iterdir())
    for said in ("ana", "Ana Ng", "a-77", "ab12", "free words"):
        assert said.encode() not in files


def test_tables_are_chosen_by_name(opened, target, pseudonym):
    with opened(TABLES) as source:
        summary = refresh_platform(source, target, pseudonym=pseudonym, wanted=["user", "course_role"])
    assert summary.rows == {"course_role": 1, "user": 1}


def test_without_names_what_the_source_lacks_is_left_and_said(opened, target, pseudonym):
    fewer = {name: each for name, each in TABLES.items() if not name.startswith(("teams_", "lti_"))}
    with opened(fewer) as source:
        summary = refresh_platform(source, target, pseudonym=pseudonym)
    assert [note.split(":")[0] for note in summary.notes[:2]] == [
        "team_member was left as it was",
        "lti_person was left as it was",
    ]
    assert summary.notes[0].endswith("has no table teams_courseteammembership")
    assert not target.path_of("team_member").exists()


def test_with_names_what_the_source_lacks_is_an_error(opened, target, pseudonym):
    with opened({"auth_user": ACCOUNTS}) as source:
        with pytest.raises(AbsentTable, match=r"has no table student_courseenrollment; it has .*auth_user"):
            refresh_platform(source, target, pseudonym=pseudonym, wanted=["enrollment_now", "user"])
        with pytest.raises(AbsentTable, match="has no table wages; it has anonymous_id, cohort_member"):
            refresh_platform(source, target, pseudonym=pseudonym, wanted=["wages"])
    assert not target.path_of("user", private=True).exists()


def test_a_column_that_the_source_lacks_is_named(opened, target, pseudonym):
    old = {"student_courseenrollment": table("id:int user_id:int course_id:text created:time")}
    with (
        opened(old) as source,
        pytest.raises(AbsentColumn, match="table student_courseenrollment, has no column is_active, mode"),
    ):
        refresh_platform(source, target, pseudonym=pseudonym, wanted=["enrollment_now"])
