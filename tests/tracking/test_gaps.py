"""Gaps: when nothing was logged."""

from datetime import timedelta

from completion_aggregator.tracking import gaps, views
from completion_aggregator.tracking.gaps import Gap
from tests.tracking.builders import DAY, LOG, at, line, load, put


def found(store, **wanted):
    with views.connected(store) as connection:
        return gaps.gaps(connection, **wanted)


def minutes(number):
    return DAY + timedelta(minutes=number)


def test_times_without_events_are_told_to_the_minute(store, tmp_path):
    each = [line(second) for second in (0, 59, 61, 20 * 60 + 5, 21 * 60, 60 * 60)]
    load(store, put(tmp_path / LOG, b"\n".join(each) + b"\n"))
    assert found(store, seconds=900) == [Gap(minutes(2), minutes(20)), Gap(minutes(22), minutes(60))]
    assert [gap.seconds for gap in found(store, seconds=900)] == [18 * 60, 38 * 60]
    assert found(store, seconds=30 * 60) == [Gap(minutes(22), minutes(60))]


def test_clocks_that_were_wrong_end_no_gap(store, tmp_path):
    each = [line(0), line(1, time=at(0, days=-3650)), line(7200)]
    load(store, put(tmp_path / LOG, b"\n".join(each) + b"\n"))
    assert found(store, seconds=900) == [Gap(minutes(1), minutes(120))]


def test_gaps_of_some_courses_are_told_apart(store, tmp_path):
    other = {"user_id": 8, "path": "/event", "course_id": "course-v1:PolyX+C9+2024", "org_id": "PolyX"}
    each = [line(0), line(1800, context=other), line(3600)]
    load(store, put(tmp_path / LOG, b"\n".join(each) + b"\n"))
    assert found(store, seconds=900, course="course-v1:DemoU*") == [Gap(minutes(1), minutes(60))]
    assert found(store, seconds=900, course="course-v1:PolyX*") == []
    assert found(store, seconds=1700) == [Gap(minutes(1), minutes(30)), Gap(minutes(31), minutes(60))]


def test_an_empty_store_has_none(store):
    assert found(store, seconds=60) == []
