from datetime import UTC, datetime, timedelta

import pytest

from completion_aggregator.platforms.standalone.imports.facts import STORED, Fact, store_facts, stored_facts
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
    store_facts(str(KEY), given, now=NOW)
    asked = [(ana, one), (ana, two), (ben, two)]
    assert stored_facts(str(KEY), asked) == {(ana, one): (1 / 3, EARLIER), (ben, two): (1.0, NOW)}
    assert stored_facts("course-v1:Other+Course+1", asked) == {}
    assert facts() == {("ana", one): 1 / 3, ("ben", two): 1.0}


@pytest.mark.django_db
def test_reading_takes_one_query_however_many_are_asked_for(django_assert_num_queries):
    ana = learner("ana").pk
    with django_assert_num_queries(1):
        assert stored_facts(str(KEY), [(ana, usage("html", f"b{number}")) for number in range(20_000)]) == {}


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
    assert Fact(completion=completion, modified=modified, block_type="html").replaces(1.0, NOW) is news


def test_every_database_has_its_statement():
    assert set(STORED) == {"sqlite", "mysql", "postgresql"}
