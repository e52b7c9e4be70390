"""C16: an empty list of learners meant everybody, and enrolled learners without rows were left out."""

import pytest
from django.core.management import call_command

from completion_aggregator import tasks
from completion_aggregator.aggregation import api
from completion_aggregator.models import Aggregator
from tests.aggregation.builders import KEY, SMALL_ROWS, complete, learner, rows, small, waiting
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db


def test_c16_an_empty_list_marks_nobody(platform: FakePlatform) -> None:
    small(platform)
    learner(platform, "ana")

    assert api.mark_course_stale(KEY, user_ids=[]) == 0
    tasks.mark_all_stale(str(KEY), users=[])

    assert waiting().count() == 0


def test_c16_a_list_marks_those_it_names(platform: FakePlatform) -> None:
    small(platform)
    ana, ben, _ = (learner(platform, name) for name in ("ana", "ben", "cem"))

    assert api.mark_course_stale(KEY, user_ids=[ana.pk]) == 1
    tasks.mark_all_stale(str(KEY), users=["ben"])

    assert sorted(waiting().values_list("username", flat=True)) == [ana.username, ben.username]


@pytest.mark.parametrize("how", ["api", "task", "command"])
def test_c16_enrolled_learners_without_any_row_are_included(platform: FakePlatform, how: str) -> None:
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    gone = learner(platform, "gone")
    platform.enrolled[str(KEY)].remove(gone.pk)
    complete(ana, "a")
    api.refresh_course(KEY)

    if how == "api":
        api.mark_course_stale(KEY)
    elif how == "task":
        tasks.mark_all_stale(str(KEY))
    else:
        call_command("reaggregate_course", str(KEY))
    api.refresh_course(KEY)

    assert Aggregator.objects.filter(user=ben).count() == SMALL_ROWS
    assert {(user, earned) for user, earned, name in rows("user_id", "earned", "block_key") if name == root()} == {
        (ana.pk, 1.0),
        (ben.pk, 0.0),
    }
    assert waiting().count() == 0


def root() -> object:
    return KEY.make_usage_key("course", "course")
