"""The models that other software reads and writes, by the managers it knows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import Aggregator, CacheGroupInvalidation

pytestmark = pytest.mark.django_db

KEY = CourseKey.from_string("course-v1:Org+Course+Run")
CHAPTER = KEY.make_usage_key("chapter", "one")
MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
NUMBERS = ("earned", "possible", "percent", "optional_earned", "optional_possible", "optional_percent", "last_modified")


@pytest.fixture
def ana() -> User:
    return User.objects.create(username="ana")


def tally(user: User, earned: float, possible: float, **values: Any) -> Aggregator:
    return Aggregator(
        user=user,
        course_key=KEY,
        block_key=CHAPTER,
        aggregation_name="chapter",
        earned=earned,
        possible=possible,
        percent=earned / possible,
        **{"last_modified": MOMENT, **values},
    )


def stored() -> list[tuple[Any, ...]]:
    return list(Aggregator.objects.values_list(*NUMBERS))


def test_submit_completion_stores_a_tally_once_and_then_changes_it(ana: User) -> None:
    where: dict[str, Any] = {"user": ana, "course_key": KEY, "block_key": CHAPTER, "aggregation_name": "chapter"}

    _, is_new = Aggregator.objects.submit_completion(**where, earned=1.0, possible=4.0, last_modified=MOMENT)
    row, again = Aggregator.objects.submit_completion(
        **where, earned=3.0, possible=4.0, last_modified=MOMENT, optional_earned=1.0, optional_possible=2.0
    )

    assert (is_new, again, row.percent) == (True, False, 0.75)
    assert stored() == [(3.0, 4.0, 0.75, 1.0, 2.0, 0.5, MOMENT)]


def test_bulk_create_or_update_works_out_the_percentages(ana: User) -> None:
    Aggregator.objects.bulk_create_or_update([tally(ana, 1.0, 2.0)])
    Aggregator.objects.bulk_create_or_update([tally(ana, 2.0, 8.0, optional_earned=0.0, optional_possible=0.0)])

    assert stored() == [(2.0, 8.0, 0.25, 0.0, 0.0, 1.0, MOMENT)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None, KEY, CHAPTER), "user must be a user"),
        ((User(pk=1), str(KEY), CHAPTER), "course_key must be a CourseKey, not str"),
        ((User(pk=1), KEY, str(CHAPTER)), "block_key must be a UsageKey, not str"),
    ],
)
def test_validate_names_the_argument_that_is_wrong(arguments: tuple[Any, Any, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Aggregator.objects.validate(*arguments)


@pytest.mark.parametrize(
    "values",
    [{"percent": 1.5}, {"optional_earned": 2.0, "optional_possible": 1.0}, {"optional_percent": -0.1}],
)
def test_a_tally_that_makes_no_sense_is_refused_when_saved(ana: User, values: dict[str, float]) -> None:
    row = tally(ana, 1.0, 2.0)
    for name, value in values.items():
        setattr(row, name, value)

    with pytest.raises(ValidationError):
        row.save()

    assert stored() == []


def test_earning_more_than_is_possible_is_refused_when_saved(ana: User) -> None:
    row = tally(ana, 1.0, 2.0)
    row.earned, row.percent = 3.0, 1.0

    with pytest.raises(ValidationError):
        row.save()

    assert stored() == []


def test_a_group_that_was_invalidated_since_is_named() -> None:
    long_ago = timezone.now() - timedelta(days=91)
    CacheGroupInvalidation.objects.create(group="old", invalidated_at=long_ago)

    CacheGroupInvalidation.objects.invalidate("course")

    now = timezone.now()
    cached = {"course": now - timedelta(hours=1), "other": now}
    assert CacheGroupInvalidation.objects.get_invalidated_keys(cached) == ["course"]
    assert CacheGroupInvalidation.objects.get_invalidated_keys({"course": now + timedelta(hours=1)}) == []
    assert list(CacheGroupInvalidation.objects.values_list("group", flat=True)) == ["course"]
