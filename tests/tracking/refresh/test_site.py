from datetime import UTC, datetime

import pytest

from completion_aggregator.ports import ListedEnrollment
from completion_aggregator.tracking.dump import AbsentTable
from completion_aggregator.tracking.refresh import refresh_site
from tests.fakes.platform import FakePlatform

THEN = datetime(2024, 1, 1, tzinfo=UTC)
COURSE = "course-v1:Org+Course+Run"
LEFT = "all else was left as it was: this site is no LMS, and lists enrollments and cohorts alone"
LISTED = (
    ListedEnrollment(7, "ana", COURSE, "audit", True, THEN, (3, "Red")),
    ListedEnrollment(8, "", COURSE, "verified", False, THEN),
    ListedEnrollment(None, "Ben", COURSE, "", True, None, (4, "Blue")),
    ListedEnrollment(666, "eve", COURSE, "audit", True, THEN, (3, "Red")),
)


class Listing(FakePlatform):
    def listed_enrollments(self):
        return iter(LISTED)


@pytest.fixture
def refresh(target):
    def run(*wanted):
        return refresh_site(Listing(), target, person=person, wanted=wanted)

    return run


def person(user_id, username):
    """By number, else by name: here its first letter; none for 666."""
    number = ord(username[0].lower()) if user_id is None else user_id
    return None if number == 666 else number.to_bytes(16, "big")


def test_enrollments_and_cohorts_of_a_site_have_the_persons_of_the_logs(refresh, written):
    summary = refresh()
    assert (summary.name, summary.rows) == ("platform", {"enrollment_now": 4, "cohort_member": 3})
    assert summary.notes[0] == LEFT
    assert summary.notes[1].startswith(
        "1 enrollments are of learners whose number in the LMS was not told: `person` is"
    )
    assert [tuple(row.values()) for row in written("enrollment_now")] == [
        (7, COURSE, "audit", True, THEN),
        (8, COURSE, "verified", False, THEN),
        (ord("b"), COURSE, None, True, None),
        (None, COURSE, "audit", True, THEN),
    ]
    assert [tuple(row.values()) for row in written("cohort_member")] == [
        (7, COURSE, 3, "Red"),
        (ord("b"), COURSE, 4, "Blue"),
        (None, COURSE, 3, "Red"),
    ]


def test_one_of_the_tables_can_be_chosen(refresh, target):
    summary = refresh("cohort_member")
    assert (summary.rows, summary.notes) == ({"cohort_member": 3}, ())
    assert not target.path_of("enrollment_now").exists()


def test_what_a_site_cannot_tell_is_refused(refresh):
    with pytest.raises(AbsentTable, match="no LMS, has no table user; it has cohort_member, enrollment_now"):
        refresh("user", "cohort_member")
