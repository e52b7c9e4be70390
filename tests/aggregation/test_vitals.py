"""What a monitor is told of the queue is so, and costs no more where more waits."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api, vitals
from completion_aggregator.aggregation.api import Outbox, Vitals
from completion_aggregator.models import AggregatedCourse, CourseProgress, Delivery, StaleCompletion
from tests.aggregation.builders import KEY, complete, learner, small
from tests.aggregation.receiving import endpoint
from tests.fakes.platform import FakePlatform

OTHER = CourseKey.from_string("course-v1:Test+Other+1")
WELL = Vitals(0, 0, 0.0, 0, 0, 0, 0.0, 0, Outbox(), Outbox())
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def waiting_for_the_service(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


def wait(name: str, *, minutes: float, course_key: CourseKey = KEY) -> None:
    row = StaleCompletion.objects.create(username=name, course_key=course_key, block_key=None, force=True)
    StaleCompletion.objects.filter(pk=row.pk).update(created=timezone.now() - timedelta(minutes=minutes))


def oldest_in_minutes() -> float:
    return round(api.vitals().oldest_age / 60, 1)


def test_nothing_waits_on_an_empty_site():
    assert api.vitals() == WELL


def test_the_backlog_is_counted_with_the_age_of_its_oldest_row():
    wait("ana", minutes=3)
    wait("bo", minutes=5, course_key=OTHER)
    wait("ana", minutes=1, course_key=OTHER)
    StaleCompletion.objects.create(username="cy", course_key=KEY, resolved=True)
    found = api.vitals()
    assert (found.waiting, found.waiting_courses) == (3, 2)
    assert oldest_in_minutes() == 3.0  # the row that was written first, whatever its clock said


def test_it_is_counted_no_further_than_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vitals, "MOST_ROWS", 2)
    monkeypatch.setattr(vitals, "MOST_COURSES", 1)
    for _ in range(3):
        wait("ana", minutes=1)
    wait("ana", minutes=1, course_key=OTHER)
    found = api.vitals()
    assert (found.waiting, found.waiting_courses) == (2, 1)


def test_what_cannot_be_done_does_not_make_the_queue_old(platform: FakePlatform):
    key = small(platform)
    ana, bo = learner(platform, "ana"), learner(platform, "bo")
    wait("ana", minutes=60)
    wait("bo", minutes=2)
    wait("cy", minutes=90, course_key=OTHER)
    row = AggregatedCourse.objects.create(course_key=key)
    AggregatedCourse.objects.create(course_key=OTHER, failures=3, error="There is no course.")
    assert oldest_in_minutes() == 60.0
    CourseProgress.objects.create(course=row, user=ana, set_aside_at=timezone.now(), attempts=5)
    found = api.vitals()
    assert (found.set_aside, found.failing_courses, found.waiting) == (1, 1, 3)
    assert oldest_in_minutes() == 2.0
    CourseProgress.objects.create(course=row, user=bo, set_aside_at=timezone.now(), attempts=5)
    assert oldest_in_minutes() == 0.0


def test_courses_that_changed_and_that_were_never_compared_are_counted():
    AggregatedCourse.objects.create(course_key=KEY, changed_at=timezone.now() - timedelta(minutes=4))
    AggregatedCourse.objects.create(course_key=OTHER, reconciled_at=timezone.now())
    found = api.vitals()
    assert (found.changed_courses, round(found.changed_age / 60), found.never_reconciled) == (1, 4, 1)


def test_deliveries_are_counted_by_whom_they_are_for(platform: FakePlatform, settings: Any):
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"chapter": [1.0]}
    with endpoint() as hook:
        settings.COMPLETION_AGGREGATOR_WEBHOOKS = [hook.setting]
        key = small(platform)
        ana = learner(platform, "ana")
        for name in ("e", "f"):
            complete(ana, name)
        api.refresh_learner("ana", key)
        (delivery,) = Delivery.objects.exclude(endpoint="receivers")
        delivery.crossing.reached_at = timezone.now() - timedelta(minutes=7)
        delivery.crossing.save()
        found = api.vitals().webhooks
        assert (found.waiting, found.failing, found.given_up, round(found.oldest_age / 60)) == (1, 0, 0, 7)
        Delivery.objects.filter(pk=delivery.pk).update(attempts=2, error="answered 500")
        assert api.vitals().webhooks.failing == 1
        Delivery.objects.filter(pk=delivery.pk).update(due_at=None)
        assert api.vitals().webhooks == Outbox(given_up=1)
        api.take_back_deliveries()
        api.deliver()
        assert (api.vitals().webhooks, len(hook.posts)) == (Outbox(), 1)


def test_the_cost_does_not_grow_with_what_waits(platform: FakePlatform):
    counts = []
    for rows in (1, 50):
        for number in range(rows):
            wait(f"learner{number}", minutes=1)
        with CaptureQueriesContext(connection) as queries:
            api.vitals()
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 11
