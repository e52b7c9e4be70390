from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from completion_aggregator.exceptions import UnknownCourse
from completion_aggregator.tracking.refresh import RefreshSummary, refresh_all
from completion_aggregator.tracking.refresh import summary as summaries
from completion_aggregator.tracking.refresh.summary import Account, now
from completion_aggregator.tracking.refresh.tables import COURSE_ROLE
from tests.tracking.refresh.sources import T1, T2


def failing(error):
    def refresh():
        raise error

    return refresh


def test_one_failure_does_not_hide_the_others():
    good = RefreshSummary("grades", T1, T2, {"grade": 3})
    before = now()
    found = refresh_all(
        {
            "courses": failing(UnknownCourse("no course")),
            "grades": lambda: good,
            "platform": failing(OperationalError("gone away")),
            "forum": failing(PermissionError(13, "Permission denied")),
            "activity": failing(ImproperlyConfigured("no platform")),
        }
    )
    assert [(each.name, each.error) for each in found] == [
        ("courses", "no course"),
        ("grades", ""),
        ("platform", "gone away"),
        ("forum", "[Errno 13] Permission denied"),
        ("activity", "no platform"),
    ]
    assert found[1] is good
    assert before <= found[0].started <= found[0].ended <= before + timedelta(minutes=1)


def test_an_error_of_the_programme_is_not_taken_for_one_of_the_data():
    with pytest.raises(AttributeError):
        refresh_all({"courses": failing(AttributeError("no such method"))})


def test_rows_travel_some_at_a_time(target, written, monkeypatch):
    monkeypatch.setattr(summaries, "BATCH_ROWS", 2)
    account = Account("platform", target)
    account.write(COURSE_ROLE, ((None, None, "O", f"role {n}") for n in range(5)))
    account.counts["{} of them"] = 1234
    done = account.close()
    assert [row["role"] for row in written("course_role")] == [f"role {n}" for n in range(5)]
    assert (done.rows, done.notes) == ({"course_role": 5}, ("1,234 of them",))


def test_a_summary_is_json():
    assert RefreshSummary("forum", T1, T2, {"post": 1}, ("a note",)).as_json() == {
        "refresh": "forum",
        "started": T1.isoformat(),
        "ended": T2.isoformat(),
        "rows": {"post": 1},
        "notes": ["a note"],
        "error": None,
    }
