"""C4: two workers at one learner wrote a wrong total, and left nothing to do."""

from threading import Barrier

import pytest
from django.db import connection

from completion_aggregator.aggregation import api
from tests.aggregation.builders import KEY, complete, everything, from_scratch, learner, small, tallies, waiting
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.services
def test_c4_a_second_worker_leaves_a_learner_to_the_first(platform: FakePlatform, crew: Crew, isolation: str) -> None:
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    complete(ana, "a")
    complete(ana, "c")
    first, stop = crew.start(lambda: api.refresh_course(KEY), stop_at="INSERT INTO completion_aggregator_aggregator")
    stop.reached()

    complete(ana, "e")
    complete(ben, "a")
    second = crew.do(lambda: api.refresh_course(KEY))
    stop.release()

    assert (second.learners, second.resolved) == (1, 1)  # ben alone
    assert first.result(PATIENCE).resolved == 2
    assert tallies(ana)["course"] == (2.0, 5.0)
    api.refresh_course(KEY)
    assert tallies(ana)["course"] == (3.0, 5.0)
    assert everything() == from_scratch()


@pytest.mark.services
def test_c4_who_waits_for_a_worker_starts_from_what_it_wrote(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    first, stop = crew.start(lambda: api.refresh_course(KEY), stop_at="INSERT INTO completion_aggregator_aggregator")
    stop.reached()
    complete(ana, "e")
    second, _ = crew.start(lambda: api.refresh_learner("ana", KEY))
    with pytest.raises(TimeoutError):
        second.result(0.3)
    stop.release()

    assert first.result(PATIENCE).resolved == 1
    assert second.result(PATIENCE).resolved == 1
    assert tallies(ana)["course"] == (2.0, 5.0)
    assert everything() == from_scratch()


def test_c4_many_workers_at_few_learners_end_in_the_right_totals(platform: FakePlatform, crew: Crew) -> None:
    small(platform)
    users = [learner(platform, name) for name in ("ana", "ben", "cem")]
    rounds = ("a", "b", "c", "e", "f")
    together = Barrier(4)

    def work() -> int:
        resolved = 0
        for _ in rounds:
            together.wait(PATIENCE)
            resolved += api.refresh_course(KEY, batch_size=2).resolved
        return resolved

    def learn() -> int:
        for name in rounds:
            together.wait(PATIENCE)
            for user in users:
                complete(user, name)
        return 0

    futures = [crew.start(each)[0] for each in (learn, work, work, work)]
    resolved = sum(future.result(PATIENCE) for future in futures)
    resolved += api.refresh_course(KEY).resolved

    assert resolved == len(rounds) * len(users)  # each row once, by one worker
    assert {tallies(user)["course"] for user in users} == {(5.0, 5.0)}
    assert waiting().count() == 0
    assert everything() == from_scratch()


@pytest.mark.services
def test_c4_workers_that_meet_new_learners_and_new_leaves_at_once_do_not_fail(
    platform: FakePlatform, crew: Crew, isolation: str
) -> None:
    small(platform)
    users = [learner(platform, f"l{n}") for n in range(40)]
    for user in users:
        complete(user, "a")
    start = Barrier(6)

    def work() -> int:
        connection.ensure_connection()
        start.wait(PATIENCE)
        return int(api.refresh_course(KEY, batch_size=7).resolved)

    futures = [crew.start(work)[0] for _ in range(6)]

    assert sum(future.result(PATIENCE) for future in futures) <= 40
    api.refresh_course(KEY)
    assert waiting().count() == 0
    assert everything() == from_scratch()
