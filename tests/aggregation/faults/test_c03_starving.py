"""C3: the oldest stale rows were never reached while new ones arrived."""

from collections.abc import Iterable
from threading import Event

import pytest
from django.core.management import call_command
from django.db import transaction

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.state import lock
from completion_aggregator.models import AggregatedCourse, Aggregator
from tests.aggregation.builders import KEY, complete, learners, small, waiting
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.fakes.platform import FakePlatform


def done() -> list[str]:
    """Return the usernames of the learners with rows."""
    rows = Aggregator.objects.filter(aggregation_name="course", earned__gt=0)
    return sorted(rows.values_list("user__username", flat=True))


def names(numbers: Iterable[int]) -> list[str]:
    return [f"learner{n:05}" for n in numbers]


@pytest.mark.django_db
def test_c3_the_oldest_are_refreshed_first_also_with_a_limit(platform: FakePlatform) -> None:
    small(platform)
    users = learners(platform, 12)
    for user in reversed(users):
        complete(user, "a")

    assert api.refresh_course(KEY, limit=5, batch_size=2).learners == 6  # whole batches
    assert done() == names(range(6, 12))
    assert api.refresh_course(KEY, limit=5).learners == 5
    assert done() == names(range(1, 12))


@pytest.mark.django_db
def test_c3_nobody_starves_while_others_keep_completing(platform: FakePlatform) -> None:
    small(platform)
    users = learners(platform, 30)
    for user in users[:20]:
        complete(user, "a")
    # Ten busy learners complete something before every run; a run does four learners.
    for name in ("a", "b", "c", "e", "f", "a", "b", "c"):
        for user in users[20:]:
            complete(user, name, 0.5)
        call_command("run_aggregator_service", limit=4, batch_size=4)

    assert set(names(range(20))) <= set(done())


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_c3_learners_locked_elsewhere_are_passed_over_and_done_when_free(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    small(platform)
    users = learners(platform, 30)
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)
    for user in users:
        complete(user, "a")
    held, let_go = Event(), Event()
    course = AggregatedCourse.objects.get(course_key=KEY)

    def other_worker() -> None:
        with transaction.atomic():
            assert len(lock(course.pk, [user.pk for user in users[:10]])) == 10
            held.set()
            assert let_go.wait(PATIENCE)

    other, _ = crew.start(other_worker)
    assert held.wait(PATIENCE)
    crew.do(lambda: call_command("run_aggregator_service", limit=10, batch_size=5))
    meanwhile = done()
    let_go.set()
    other.result(PATIENCE)
    call_command("run_aggregator_service", limit=10, batch_size=5)

    assert meanwhile == names(range(10, 20))
    assert done() == names(range(20))
    call_command("run_aggregator_service")
    assert waiting().count() == 0
