"""Clients of the package we replace notice nothing: its recorded answers, and what it should have answered.

COMPLETION_AGGREGATOR_TRANSCRIPTS names other files of the same form, with ``:`` between them, to replay as well.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import transaction

from completion_aggregator.aggregation import api
from tests.aggregation.rest_api.replay import RecordedSite, answer, comparable, same, submit
from tests.conftest import NO_SHARED, SHARED, skip_unless_required

# So that pytest-django makes the database; the transaction of each test is ours, inside that of the module.
pytestmark = pytest.mark.django_db

AUTHENTICATION = (
    "rest_framework.authentication.TokenAuthentication",  # stands for JWT: it too makes an anonymous request a 401
    "rest_framework.authentication.SessionAuthentication",
)


def transcripts() -> list[dict[str, Any]]:
    named = [Path(path) for path in os.environ.get("COMPLETION_AGGREGATOR_TRANSCRIPTS", "").split(":") if path]
    ours = SHARED / "golden" / "rest_transcripts.json"
    return [json.loads(path.read_text()) for path in ([ours] if ours.is_file() else []) + named]


TRANSCRIPTS = transcripts()
RECORDS = [record for each in TRANSCRIPTS for record in each.get("records", ())]
SCENARIOS = [each["incremental_scenario"] for each in TRANSCRIPTS if "incremental_scenario" in each]


@pytest.fixture
def _django_db_helper() -> None:
    """Leave the database to ``site``: one that is built anew for each record would take minutes."""


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker: Any) -> Any:
    """Build the recorded site once; every test starts from it, and undoes what it changed."""
    if not TRANSCRIPTS:
        skip_unless_required(NO_SHARED, "CI_REQUIRE_SHARED")
    with django_db_blocker.unblock(), transaction.atomic():
        api.forget()
        RecordedSite(SHARED / "golden", TRANSCRIPTS[0]["header"]).build()
        yield
        transaction.set_rollback(True)
    api.forget()


@pytest.fixture(autouse=True)
def as_recorded(site: None, settings: Any) -> Any:
    """Answer as the recorded site was set up to; undo what the test changes."""
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    settings.COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES = AUTHENTICATION
    cache.clear()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def expected(record: dict[str, Any]) -> tuple[list[int], Any]:
    """Return the statuses that are right, and the body where it is known."""
    if record["kind"] == "contract":
        return [record["status"]], record.get("percentage", record["body"])
    statuses = record["should_status"]
    return statuses if isinstance(statuses, list) else [statuses], record.get("should_body")


def test_there_are_records(site: None) -> None:
    assert len(RECORDS) >= 121


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_a_recorded_request_is_answered_as_it_was_or_should_have_been(record: dict[str, Any]) -> None:
    for before in record.get("before", ()):
        status, _ = answer({"login": record["login"], **before})
        assert 200 <= status < 300

    status, body = answer(record)

    statuses, right = expected(record)
    assert status in statuses
    if right is not None or record["kind"] == "contract":
        assert same(comparable(body), comparable(right)), body


@pytest.mark.parametrize("scenario", SCENARIOS, ids=["incremental"] * len(SCENARIOS))
def test_a_learners_own_answers_are_current_at_once_and_pages_once_the_service_has_run(
    scenario: dict[str, Any],
) -> None:
    steps = scenario["steps"]
    for position, step in enumerate(steps):
        if step["do"] == "submit_completion":
            submit(step)
        elif step["do"] == "run_aggregator_service":
            call_command("run_aggregator_service", verbosity=0)
            cache.clear()
        else:
            status, body = answer(step)
            good = [expected(step)[1]]
            if step.get("may_be_fresher"):
                good += [each["body"] for each in steps[position:] if each.get("path") == step["path"]]
            assert status in expected(step)[0]
            if good != [None]:
                assert any(same(comparable(body), comparable(right)) for right in good), (position, body)


def test_root_block_lists_what_is_at_or_below_it() -> None:
    record = next(each for each in RECORDS if each["id"] == "v1.detail-20")
    _, body = answer({**record, "path": record["path"].replace("=chapter&", "=chapter,vertical&")})
    chapter = "block-v1:BenchU+GOLDEN+2026+type@chapter+block@c1"
    assert [block["block_key"] for block in body["results"][0]["chapter"]] == [chapter]
    verticals = [block["block_key"].rpartition("@")[2] for block in body["results"][0]["vertical"]]
    assert verticals == ["v111", "v112", "v121", "v122"]
    assert body["results"][0]["completion"] == {"earned": 20.0, "possible": 47.0, "percent": 0.425531914893617}


def test_a_block_with_two_parents_is_listed_once_even_while_it_is_stale() -> None:
    step = next(each for each in SCENARIOS[0]["steps"] if each.get("kind") == "fault")
    for each in SCENARIOS[0]["steps"]:
        if each["do"] == "submit_completion":
            submit(each)
    _, body = answer(step)
    keys = [block["block_key"] for block in body["results"][0]["vertical"]]
    assert len(keys) == len(set(keys)) == len(step["body"]["results"][0]["vertical"]) - 1
