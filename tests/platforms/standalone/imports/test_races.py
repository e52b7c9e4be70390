"""Imports that meet each other, or a request, at the same rows: the newest completion stands."""

from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from completion.models import BlockCompletion
from django.db import transaction

from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.platforms.standalone.imports.completions import COLUMNS, CompletionsImport
from completion_aggregator.platforms.standalone.imports.facts import TABLE
from completion_aggregator.platforms.standalone.imports.rejects import Rejects
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.platforms.standalone.builders import KEY, course, facts, learner, stale_rows, usage

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

ONE, TWO = usage("html", "one"), usage("html", "two")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=2)
NEW = NOW - timedelta(days=1)


@pytest.fixture
def ana():
    course()
    user = learner("ana")
    StaleCompletion.objects.all().delete()
    return user


@pytest.fixture
def importing(tmp_path):
    def import_them(modified, completion, *blocks):
        def work():
            rows = ((2, ["ana", str(KEY), block, str(completion), modified.isoformat()]) for block in blocks)
            with Rejects(tmp_path / "rejects.csv", COLUMNS.names) as rejects:
                run = CompletionsImport(rejects, create_users=False, now=NOW)
                list(run.run(rows))
            return run.summary.written, run.summary.superseded

        return work

    return import_them


def test_a_newer_import_between_the_reading_and_the_writing_of_an_older_one_stands(ana, importing):
    with Crew() as crew:
        older, stop = crew.start(importing(OLD, 0.2, ONE, TWO), stop_at=f"INSERT INTO {TABLE}")
        stop.reached()
        assert crew.do(importing(NEW, 0.9, ONE)) == (1, 0)
        stop.release()
        assert older.result(PATIENCE) == (1, 1)
    assert facts() == {("ana", ONE): 0.9, ("ana", TWO): 0.2}
    assert BlockCompletion.objects.get(block_key=ONE).modified == NEW


def test_an_older_import_between_the_reading_and_the_writing_of_a_newer_one_is_replaced(ana, importing):
    with Crew() as crew:
        newer, stop = crew.start(importing(NEW, 0.9, ONE), stop_at=f"INSERT INTO {TABLE}")
        stop.reached()
        crew.do(importing(OLD, 0.2, ONE))
        stop.release()
        assert newer.result(PATIENCE) == (1, 0)
    assert facts() == {("ana", ONE): 0.9}


def test_two_imports_over_the_same_stored_rows_take_turns(ana, importing):
    importing(OLD - timedelta(days=1), 0.1, ONE, TWO)()
    with Crew() as crew:
        newer, stop = crew.start(importing(NEW, 0.9, ONE, TWO), stop_at=f"INSERT INTO {TABLE}")
        stop.reached()
        older, _ = crew.start(importing(OLD, 0.2, TWO, ONE))
        stop.release()
        assert newer.result(PATIENCE) == (2, 0)
        assert older.result(PATIENCE) == (0, 2)
    assert facts() == {("ana", ONE): 0.9, ("ana", TWO): 0.9}


def test_a_request_that_is_not_committed_yet_is_waited_for(ana, importing):
    importing(OLD - timedelta(days=1), 0.1, ONE)()
    StaleCompletion.objects.all().delete()
    saved, commit = Event(), Event()

    def request():
        with transaction.atomic():
            BlockCompletion.objects.filter(block_key=ONE).update(completion=0.9, modified=NEW)
            saved.set()
            assert commit.wait(PATIENCE)

    with Crew() as crew:
        slow, _ = crew.start(request)
        assert saved.wait(PATIENCE)
        older, _ = crew.start(importing(OLD, 0.2, ONE))
        commit.set()
        slow.result(PATIENCE)
        assert older.result(PATIENCE) == (0, 1)
    assert (facts(), stale_rows()) == ({("ana", ONE): 0.9}, set())
