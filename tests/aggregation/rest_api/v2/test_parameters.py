"""How the text of a parameter is read."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from completion_aggregator.aggregation.rest_api.v2 import parameters, queries
from completion_aggregator.aggregation.rest_api.v2.parameters import Parameter
from tests.fakes.platform import FakePlatform

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01T12:00:00", NOON),
        ("2026-03-01T14:00:00+02:00", NOON),
        ("2026-03-01T14:00:00 02:00", NOON),  # a plus sign that was not escaped
        ("2026-03-01T07:00:00.000001-05:00", NOON + timedelta(microseconds=1)),
        ("2026-03-01 12:00", NOON),
        ("2026-03-01", NOON - timedelta(hours=12)),
    ],
)
def test_a_moment_is_in_utc(text: str, moment: datetime):
    found = parameters.moment_of(text)
    assert (found, found.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    ("read", "texts"),
    [
        (parameters.moment_of, ["", "now", "12:00", "2026-02-30", "9999-12-31T23:00:00-14:00", "1772366400"]),
        (parameters.percent_of, ["", "-0.1", "1.01", "nan", "inf", "0,5", "50%", "1_0", "\u0661", "1e999", " 1"]),
        (parameters.id_of, ["", "-1", "1.0", "\u0661", "1" * 19, "0x1"]),
        (parameters.flag_of, ["", "True", "1", "yes"]),
        (parameters.text_of, ["", "\0", "a" * 256]),
        (parameters.page_size_of, ["", "0", "101", "-1", "ten"]),
    ],
)
def test_what_is_something_else_is_refused_with_what_was_expected(read: Callable[[str], Any], texts: list[str]):
    for text in texts:
        with pytest.raises(ValueError, match=r"^Expected "):
            read(text)


@pytest.mark.parametrize(
    ("text", "percent"), [("0", 0.0), ("1", 1.0), (".5", 0.5), ("0.1", 0.1), ("1.", 1.0), ("5e-1", 0.5)]
)
def test_a_percent_is_a_part_of_one(text: str, percent: float):
    assert parameters.percent_of(text) == percent


def test_the_largest_page_is_that_of_the_setting(settings: Any):
    settings.COMPLETION_AGGREGATOR_MAX_PAGE_SIZE = 7
    assert parameters.page_size_of("7") == 7
    with pytest.raises(ValueError, match="from 1 to 7"):
        parameters.page_size_of("8")


def test_everything_that_is_wrong_is_named_at_once(platform: FakePlatform):
    with pytest.raises(ValidationError) as caught:
        parameters.read_all(QueryDict("levels=html&colour=red&colour=blue&format=json&format=json"), queries.SUMMARY)
    types = "chapter, course, library_content, sequential, vertical"
    assert caught.value.detail == {
        "levels": [f"No block type that sums up others: html; there are: {types}."],
        "colour": ["There is no such parameter here; there are: format, levels."],
        "format": ["Give it once."],
    }


@pytest.mark.parametrize("declared", [queries.COURSES, queries.LEARNER, queries.CLASS, queries.SUMMARY])
def test_every_parameter_says_what_it_is(declared: tuple[Parameter, ...]):
    assert len({each.name for each in declared}) == len(declared)
    for each in declared:
        assert each.description.endswith(".")
        assert each.schema["type"] in ("string", "number", "integer", "boolean")
