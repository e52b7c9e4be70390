"""A class as a whole: who started, who finished, and the deciles."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.models import AggregatedCourse
from completion_aggregator.aggregation.summary import deciles_of
from tests.aggregation.builders import KEY, SMALL, complete, course, learners, small, usage
from tests.fakes.platform import FakePlatform


@given(st.lists(st.floats(0.0, 1.0) | st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=60))
def test_deciles_are_the_values_at_the_nearest_ranks(values):
    found, counts = np.unique(np.array(values), return_counts=True)
    ranks = [ceil(Fraction(tenth, 10) * len(values)) for tenth in range(1, 10)]
    assert deciles_of(found, counts) == tuple(sorted(values)[rank - 1] for rank in ranks)


def test_nobody_has_no_deciles():
    assert deciles_of([], []) == ()


def test_one_learner_is_every_decile():
    assert deciles_of([0.25], [1]) == (0.25,) * 9


@pytest.mark.django_db
def test_a_summary_counts_the_class_at_every_block_asked_for(platform: FakePlatform):
    small(platform)
    users = learners(platform, 10)
    for user in users[:4]:
        complete(user, "a")
    for user in users[:2]:
        for name in ("b", "c", "e", "f"):
            complete(user, name)
    api.refresh_course(KEY)
    summary = api.course_summary(KEY, levels={"chapter"})
    assert (summary.course_key, summary.title, summary.learners) == (KEY, "Course", 10)
    assert summary.mean == pytest.approx((2 * 1.0 + 2 * 0.2) / 10)
    assert summary.histogram == (6, 0, 2, 0, 0, 0, 0, 0, 0, 2)
    assert summary.deciles == (0.0,) * 6 + (0.2, 0.2, 1.0)
    assert (summary.started, summary.half, summary.finished) == (4, 2, 2)
    first, second = summary.blocks
    assert first == api.BlockSummary(
        block_key=str(usage("chapter", "c1")), block_type="chapter", title="c1", depth=1, learners=10, started=4,
        half=2, finished=2, mean=first.mean, deciles=(0.0,) * 6 + (1 / 3, 1 / 3, 1.0),
    )  # fmt: skip
    assert first.mean == pytest.approx((2 + 2 / 3) / 10)
    assert second == api.BlockSummary(
        block_key=str(usage("chapter", "c2")), block_type="chapter", title="c2", depth=1, learners=10, started=2,
        half=2, finished=2, mean=0.2, deciles=(0.0,) * 8 + (1.0,),
    )  # fmt: skip


@pytest.mark.django_db
def test_a_class_that_was_never_refreshed_counts_with_what_it_has_completed(platform: FakePlatform):
    small(platform)
    for user in learners(platform, 3):
        complete(user, "a")
    summary = api.course_summary(KEY, levels=())
    assert (summary.learners, summary.deciles) == (3, (0.2,) * 9)
    assert summary.mean == pytest.approx(0.2)
    assert summary.blocks == ()
    assert not AggregatedCourse.objects.exists()  # to ask writes nothing


@pytest.mark.django_db
def test_nobody_in_a_course_is_a_summary_of_nothing(platform: FakePlatform):
    platform.publish(course(*SMALL))
    assert api.course_summary(KEY) == api.CourseSummary(KEY, "Course", 0, 0.0, (), (0,) * 10, ())


@pytest.mark.django_db
def test_batches_of_one_give_the_summary_of_one_batch(platform: FakePlatform, settings):
    small(platform)
    users = learners(platform, 7)
    for nth, user in enumerate(users):
        for name in ("a", "b", "c", "e", "f")[: nth % 6]:
            complete(user, name, 1.0 if nth % 2 else 0.3)
    api.refresh_course(KEY)
    whole = api.course_summary(KEY, levels={"all"})
    settings.COMPLETION_AGGREGATOR_BATCH_SIZE = 1
    assert api.course_summary(KEY, levels={"all"}) == whole


@pytest.mark.django_db
def test_a_summary_takes_as_many_queries_for_a_hundred_learners_as_for_one(platform: FakePlatform):
    small(platform)
    users = learners(platform, 100)
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)
    counts = []
    for size in (1, 10, 100):
        platform.enrolled[str(KEY)] = [user.pk for user in users[:size]]
        with CaptureQueriesContext(
            connection,
        ) as caught:
            assert api.course_summary(KEY).learners == size
        counts.append(len(caught))
    assert len(set(counts)) == 1, counts
