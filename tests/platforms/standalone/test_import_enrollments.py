import csv
import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.platforms.standalone.models import Enrollment
from tests.platforms.standalone.builders import KEY, course, stale_rows

pytestmark = pytest.mark.django_db

WHEN = datetime(2026, 9, 1, tzinfo=UTC)
HEADER = "username,course_id,mode,is_active,created\n"
ANA = f"ana,{KEY},verified,true,2026-09-01T00:00:00Z\n"
BEN = f"ben,{KEY},,0,2026-09-01\n"


@pytest.fixture
def imported(tmp_path, capsys):
    def run(*lines: str, header: str = HEADER):
        file, rejects = tmp_path / "enrollments.csv", tmp_path / "rejects.csv"
        file.write_text(header + "".join(lines))
        status = 0
        try:
            call_command("import_enrollments", str(file), "--json", "--rejects", str(rejects))
        except SystemExit as ended:
            status = int(str(ended.code))
        summary = json.loads(capsys.readouterr().out)
        kept = list(csv.DictReader(rejects.read_text().splitlines())) if rejects.exists() else []
        return status, {k: v for k, v in summary.items() if isinstance(v, int) and v}, kept

    return run


def enrollments():
    rows = Enrollment.objects.order_by("user__username")
    return list(rows.values_list("user__username", "course__course_key", "mode", "is_active", "created"))


def test_rows_become_users_and_enrollments(imported):
    course()
    assert imported(ANA, BEN) == (0, {"rows": 2, "written": 2, "users_created": 2}, [])
    assert enrollments() == [("ana", KEY, "verified", True, WHEN), ("ben", KEY, "audit", False, WHEN)]
    assert stale_rows() == {("ana", str(KEY), None), ("ben", str(KEY), None)}
    assert not get_user_model().objects.get(username="ana").has_usable_password()


def test_the_same_file_again_changes_nothing_and_marks_nobody(imported):
    course()
    imported(ANA, f"cy,{KEY},,,\n")
    before = enrollments()
    StaleCompletion.objects.all().delete()
    assert imported(ANA, f"cy,{KEY},,,\n") == (0, {"rows": 2, "unchanged": 2}, [])
    assert (enrollments(), stale_rows()) == (before, set())


def test_a_change_is_written_and_marks_its_learner_alone(imported):
    course()
    imported(ANA, BEN)
    StaleCompletion.objects.all().delete()
    assert imported(ANA, BEN.replace(",0,", ",true,"))[1] == {"rows": 2, "written": 1, "unchanged": 1}
    assert enrollments()[1] == ("ben", KEY, "audit", True, WHEN)
    assert stale_rows() == {("ben", str(KEY), None)}


def test_the_later_of_two_rows_stands(imported):
    course()
    assert imported(ANA, ANA.replace("verified", "honor"))[1] == {
        "rows": 2, "written": 1, "superseded": 1, "users_created": 1
    }  # fmt: skip
    assert enrollments() == [("ana", KEY, "honor", True, WHEN)]


def test_only_two_columns_are_required(imported):
    course()
    assert imported(f"ana,{KEY}\n", header="username,course_id\n")[0] == 0
    assert [row[:4] for row in enrollments()] == [("ana", KEY, "audit", True)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (BEN.replace(str(KEY), "nonsense"), "not a course key"),
        (BEN.replace("Small", "Large"), "unknown course: import_course comes first"),
        (BEN.replace(",0,", ",perhaps,"), "is_active is neither true nor false"),
        (BEN.replace("2026-09-01", "soon"), "not an ISO 8601 time"),
        (BEN.replace(",,", f",{'m' * 101},"), "the mode is longer than 100 characters"),
        (BEN.replace("ben", "b/n"), "not a valid username"),
        (BEN.replace("ben", ""), "not a valid username"),
        (BEN.replace("ben", "b" * 151), "not a valid username"),
    ],
)
def test_a_bad_row_is_kept_and_makes_no_user(imported, line, reason):
    course()
    status, counts, rejects = imported(ANA, line)
    assert (status, counts) == (1, {"rows": 2, "written": 1, "rejected": 1, "users_created": 1})
    assert [(each["line"], each["reason"]) for each in rejects] == [("3", reason)]
    assert list(get_user_model().objects.values_list("username", flat=True)) == ["ana"]


def test_usernames_that_differ_in_case_are_two_users_or_a_reject(imported, vendor):
    course()
    status, counts, rejects = imported(ANA, ANA.replace("ana", "ANA"))
    if vendor == "mysql":
        assert [each["reason"] for each in rejects] == ["another username differs in case only"]
        assert (status, counts["written"]) == (1, 1)
    else:
        assert (status, counts["written"], rejects) == (0, 2, [])
