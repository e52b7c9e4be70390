import pytest

from tests.tracking.families.events import COURSE, OLD_COURSE, Taken, taken


@pytest.mark.parametrize(("name", "action"), [("activated", "on"), ("deactivated", "off"), ("mode_changed", "mode")])
def test_an_enrollment_has_its_mode(name, action):
    sent = {"course_id": COURSE, "user_id": 12, "mode": "audit"}
    found = taken(f"edx.course.enrollment.{name}", sent)
    assert found == Taken("", {"enrollment": [{"action": action, "mode": "audit"}]}, {})


def test_an_enrollment_into_another_course_than_the_events_keeps_its_course():
    found = taken("edx.course.enrollment.activated", {"course_id": OLD_COURSE, "user_id": 12, "mode": None})
    assert found == Taken("", {"enrollment": [{"action": "on"}]}, {"course_id": OLD_COURSE})


def test_a_click_on_an_upgrade_changes_nothing():
    assert taken("edx.course.enrollment.upgrade.clicked", {"a": 1}, source="browser") == Taken("", {}, {"a": 1})
