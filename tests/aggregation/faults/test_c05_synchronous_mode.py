"""C5: in synchronous mode requests failed with deadlocks, and learners ended with wrong rows and nothing stale."""

import statistics
from typing import Any

import pytest

from completion_aggregator.aggregation import api
from tests.aggregation.builders import KEY, SMALL, complete, course, everything, from_scratch, learner, small, waiting
from tests.aggregation.processes import Child
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def synchronous(settings: Any, asynchronous: None) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = False


def run(children: list[Child]) -> list[Any]:
    """Let all start at once; return what each hands back."""
    for child in children:
        assert child.receive() == "ready"
    for child in children:
        child.say("go")
    found = [child.receive() for child in children]
    for child in children:
        child.join()
    return found


def play(platform: FakePlatform, *, processes: int, learners_each: int, seconds: float) -> None:
    small(platform)
    names = [[f"p{process}l{n}" for n in range(learners_each)] for process in range(processes)]
    for each in names:
        for name in each:
            learner(platform, name)
    work = "tests.aggregation.work.request_completions"
    found = run([Child(work, each, seconds, graph=course(*SMALL)) for each in names])

    times = [time for _, each in found for time in each]
    assert [error for failed, _ in found for error in failed] == []
    assert len(times) > 10 * processes
    assert statistics.median(times) < 2.0
    # Nothing is left for a service that a synchronous site may not run.
    assert waiting().count() == 0
    assert everything() == from_scratch()


@pytest.mark.services
@pytest.mark.slow
def test_c5_six_processes_of_requests_never_fail_and_leave_nothing_stale(
    platform: FakePlatform, isolation: str
) -> None:
    play(platform, processes=6, learners_each=3, seconds=5.0)


@pytest.mark.slow
def test_c5_processes_share_one_database_file_or_server(platform: FakePlatform) -> None:
    play(platform, processes=2, learners_each=3, seconds=2.0)


def test_c5_a_completion_is_aggregated_once_its_transaction_is_committed(platform: FakePlatform) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    assert waiting().count() == 0
    assert everything() == from_scratch()


def test_c5_a_refresh_that_is_impossible_now_leaves_the_request_alone_and_the_row_stale(platform: FakePlatform) -> None:
    ana = learner(platform, "ana")
    complete(ana, "a")  # of a course that the platform does not know

    assert waiting().count() == 1
    small(platform)
    assert api.refresh_course(KEY).resolved == 1
