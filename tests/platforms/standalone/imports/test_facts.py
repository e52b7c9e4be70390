from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from completion_aggregator.platforms.standalone.imports.facts import STORED, Fact, locked_facts, store_newest
from tests.platforms.standalone.builders import KEY, course, facts, learner, usage

NOW = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
EARLIER = NOW - timedelta(microseconds=1)


@pytest.mark.django_db
def test_what_is_stored_is_read_back_exactly():
    course()
    ana, ben = learner("ana").pk, learner("ben").pk
    one, two = usage("html", "one"), usage("html", "two")
    given = {
        (ana, one): Fact(completion=1 / 3, modified=EARLIER, block_type="html"),
        (ben, two): Fact(completion=1.0, modified=None, block_type="html"),
    }
    with transaction.atomic():
        outcome = store_newest(str(KEY), given, now=NOW)
    assert (outcome.written, outcome.superseded) == (given.keys(), set())
    asked = [(ana, one), (ana, two), (ben, two)]
    assert locked_facts(str(KEY), asked) == {(ana, one): (1 / 3, EARLIER), (ben, two): (1.0, NOW)}
    assert locked_facts("course-v1:Other+Course+1", asked) == {}
    assert facts() == {("ana", one): 1 / 3, ("ben", two): 1.0}


@pytest.mark.django_db
def test_reading_takes_one_query_however_many_are_asked_for(django_assert_num_queries):
    ana = learner("ana").pk
    with django_assert_num_queries(1):
        assert locked_facts(str(KEY), [(ana, usage("html", f"b{number}")) for number in range(20_000)]) == {}


@pytest.mark.parametrize(
    ("completion", "modified", "news"),
    [
        (1.0, NOW, False),
        (0.5, NOW, True),
        (1.0, NOW + timedelta(seconds=1), True),
        (0.5, EARLIER, False),
        (1.0, None, False),
        (0.5, None, True),
    ],
)
def test_a_fact_is_news_when_it_is_newer_or_other(completion, modified, news):
    assert Fact(completion=completion, modified=modified, block_type="html").replaces(1.0, NOW, now=NOW) is news


def test_every_database_has_its_statement():
    assert set(STORED) == {"sqlite", "mysql", "postgresql"}


def test_a_fact_without_a_time_is_of_now():
    fact = Fact(completion=0.5, modified=None, block_type="html")
    later = NOW + timedelta(seconds=1)
    assert not fact.replaces(1.0, later, now=NOW)
    assert fact.is_behind(1.0, later, now=NOW)
    assert not fact.is_behind(0.5, later, now=NOW)
