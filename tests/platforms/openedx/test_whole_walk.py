"""The whole walk inside an LMS: what learners do, what authors publish, and what the API answers at each point."""

import pytest
from completion.models import BlockCompletion
from django.core.management import call_command

from completion_aggregator.models import Aggregator, CourseProgress, StaleCompletion
from tests.platforms.openedx import people
from tests.platforms.openedx.authoring import author, block, partition

pytestmark = pytest.mark.django_db(transaction=True)

BOTH, RED, BLUE = 100, 1, 2


@pytest.fixture(autouse=True)
def by_the_service(settings):
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


@pytest.fixture
def course():
    """Return a course of two chapters; half of the second is for the cohort of group RED alone."""
    course = author(
        block(
            "chapter",
            "first",
            block("sequential", "s1", block("vertical", "v1", block("html", "read"), block("problem", "solve"))),
        ),
        block(
            "chapter",
            "second",
            block(
                "sequential",
                "s2",
                block("vertical", "v2", block("html", "more"), block("html", "red", group_access={BOTH: [RED]})),
            ),
        ),
        partitions=[partition(BOTH, RED, BLUE)],
    )
    people.overview(course.key)
    return course


@pytest.fixture
def learners(course):
    ann, bob = people.learner("ann"), people.learner("bob")
    for each in (ann, bob):
        people.enroll(each, course.key)
    people.cohort(course.key, "reds", partition=BOTH, group=RED, members=[ann])
    return ann, bob


def complete(user, course, *block_ids):
    for block_id in block_ids:
        BlockCompletion.objects.submit_completion(user, course.usage(block_id), 1.0)


def serve():
    call_command("run_aggregator_service", verbosity=0)


def answer(client, user, course):
    """Return what the learner is told of the course and its chapters: earned and possible of each."""
    client.force_login(user)
    response = client.get(f"/completion-aggregator/v1/course/{course.key}/?username={user}&requested_fields=chapter")
    assert response.status_code == 200, response.content
    (entry,) = response.json()["results"]
    chapters = {each["block_key"].rpartition("@")[2]: each["completion"] for each in entry["chapter"]}
    return {
        name: (each["earned"], each["possible"])
        for name, each in ({"course": entry["completion"]} | dict(sorted(chapters.items()))).items()
    }


def rows(user):
    found = Aggregator.objects.filter(user=user, aggregation_name__in=["course", "chapter"])
    return {row.block_key.block_id: (row.earned, row.possible) for row in found}


def test_learners_are_told_of_what_they_see(course, learners, client):
    ann, bob = learners
    complete(ann, course, "read", "red")
    complete(bob, course, "read", "solve")
    serve()
    assert answer(client, ann, course) == {"course": (2, 4), "first": (1, 2), "second": (1, 2)}
    assert answer(client, bob, course) == {"course": (2, 3), "first": (2, 2), "second": (0, 1)}
    assert rows(ann) == answer(client, ann, course)
    assert rows(bob) == answer(client, bob, course)


def test_synchronously_nothing_has_to_run(course, learners, client, settings):
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = False
    ann, _ = learners
    complete(ann, course, "read", "red")
    assert rows(ann) == {"course": (2, 4), "first": (1, 2), "second": (1, 2)}


def test_a_publish_in_studio_reaches_those_who_see_it_once_it_is_collected(course, learners, client):
    ann, bob = learners
    complete(ann, course, "read")
    complete(bob, course, "read")
    serve()
    before = dict(CourseProgress.objects.values_list("user__username", "as_of"))

    course.add("v2", block("html", "new", group_access={BOTH: [RED]})).publish(as_studio=True)
    serve()
    assert answer(client, ann, course)["course"] == (1, 4)  # the LMS itself does not show it yet
    course.collect()
    serve()
    assert rows(ann) == answer(client, ann, course) == {"course": (1, 5), "first": (1, 2), "second": (0, 3)}
    assert rows(bob) == answer(client, bob, course) == {"course": (1, 3), "first": (1, 2), "second": (0, 1)}
    after = dict(CourseProgress.objects.values_list("user__username", "as_of"))
    assert {name for name in after if after[name] != before[name]} == {"ann"}


def test_a_publish_that_changes_nothing_visible_writes_nothing_for_learners(course, learners):
    ann, _ = learners
    complete(ann, course, "read")
    serve()
    before = list(CourseProgress.objects.values()), list(StaleCompletion.objects.values())
    course.set("read", display_name="Another title").release(as_studio=True)
    serve()
    assert (list(CourseProgress.objects.values()), list(StaleCompletion.objects.values())) == before


def test_a_publish_of_which_nobody_told_is_found(course, learners, client):
    ann, _ = learners
    complete(ann, course, "read")
    serve()
    course.delete("solve").release(as_studio=False)
    serve()
    assert rows(ann) == answer(client, ann, course) == {"course": (1, 3), "first": (1, 1), "second": (0, 2)}


def test_a_reset_of_a_learner_is_seen(course, learners, client):
    ann, _ = learners
    complete(ann, course, "read", "red")
    serve()
    BlockCompletion.objects.clear_learning_context_completion(ann, course.key)
    serve()
    assert rows(ann) == answer(client, ann, course) == {"course": (0, 4), "first": (0, 2), "second": (0, 2)}


def test_another_cohort_is_another_tree(course, learners, client):
    _, bob = learners
    complete(bob, course, "read", "solve")
    serve()
    people.cohort(course.key, "more reds", partition=BOTH, group=RED, members=[bob])
    serve()
    assert rows(bob) == answer(client, bob, course) == {"course": (2, 4), "first": (2, 2), "second": (0, 2)}


def test_completions_written_past_all_signals_are_found(course, learners, client):
    ann, _ = learners
    complete(ann, course, "read", "solve")
    serve()
    BlockCompletion.objects.filter(user=ann, block_key=course.usage("solve")).update(completion=0.25)
    call_command("aggregator_reconcile", str(course.key), verbosity=0)
    assert rows(ann) == answer(client, ann, course) == {"course": (1.25, 4), "first": (1.25, 2), "second": (0, 2)}


def test_who_has_left_is_not_answered_for(course, learners, client):
    ann, _ = learners
    people.unenroll(ann, course.key)
    client.force_login(ann)
    assert client.get(f"/completion-aggregator/v1/course/{course.key}/?username=ann").status_code == 404
