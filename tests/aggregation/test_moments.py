"""Moments survive to the microsecond on every database, the last half millisecond of a second included."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import completions, projection
from completion_aggregator.aggregation.projection import Projected
from completion_aggregator.course_graph.visibility import microseconds
from completion_aggregator.upsert import upsert

pytestmark = pytest.mark.django_db

COURSE = CourseKey.from_string("course-v1:O+C+R")
BLOCK = "block-v1:O+C+R+type@vertical+block@v"
MOMENTS = [
    datetime(2026, 2, 28, 23, 59, 59, micros, tzinfo=UTC) for micros in (0, 1, 499_999, 999_499, 999_500, 999_999)
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_time_of_a_completion_is_read_exactly(moment: datetime) -> None:
    user = get_user_model()._default_manager.create(username="ana")
    columns = ("user_id", "course_key", "block_key", "block_type", "completion", "created", "modified")
    row = (user.pk, str(COURSE), BLOCK, "html", 1.0, moment, moment)
    upsert(completions.TABLE, columns, ("course_key", "block_key", "user_id"), [row])

    assert completions.of_learner(user.pk, [COURSE])[COURSE].times.tolist() == [microseconds(moment)]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_row_that_was_written_does_not_differ(moment: datetime) -> None:
    user: Any = get_user_model()._default_manager.create(username="ana")
    values = np.array([0.1, 1.0, 0.1, 0.0, 0.0, 1.0]).reshape(6, 1, 1)
    wanted = Projected([user.pk], [BLOCK], ["vertical"], values, np.array([[microseconds(moment)]]))
    projection.write(COURSE, [(wanted, np.array([[True]]))], now=moment)

    stored = projection.stored(COURSE, [user.pk])

    assert not projection.differing(wanted, stored).any()
    assert projection.vanished([wanted], stored) == []
