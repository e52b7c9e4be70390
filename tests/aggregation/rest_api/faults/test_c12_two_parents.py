"""C12: while stale, a block with two parents was listed twice; an update sent two events for it."""

from typing import Any

import pytest

from completion_aggregator.aggregation import api
from tests.aggregation.builders import KEY, chapter, html, sequential, usage, vertical
from tests.aggregation.rest_api.school import answer, completed, get, person, refreshed, small

pytestmark = pytest.mark.django_db(transaction=True)

SHARED = vertical("shared", html("a"), html("b"))
TWICE = (chapter("c1", sequential("s1", SHARED)), chapter("c2", sequential("s2", SHARED, vertical("v", html("c")))))


@pytest.fixture
def ana(asynchronous: None) -> Any:
    return person("ana", small(chapters=TWICE))


def listed(user: Any, path: str) -> list[tuple[str, float, float]]:
    _, body = answer(get(user, path, username="ana", requested_fields="vertical"))
    entry = body["results"][0] if "results" in body else body
    assert entry["completion"]["earned"] == 2.0  # once for each way, as children are summed
    assert entry["completion"]["possible"] == 5.0
    return [
        (block["block_key"].rpartition("@")[2], block["completion"]["earned"], block["completion"]["possible"])
        for block in entry["vertical"]
    ]


@pytest.mark.parametrize("path", ["v1/course/", f"v1/course/{KEY}/", "v0/course/", f"v0/course/{KEY}/"])
def test_c12_a_block_with_two_parents_is_listed_once_stale_or_not(ana: Any, path: str) -> None:
    completed(ana, "a")
    once = [("shared", 1.0, 2.0), ("v", 0.0, 1.0)]
    assert listed(ana, path) == once
    refreshed()
    assert listed(ana, path) == once


def test_c12_an_update_of_a_block_with_two_parents_is_one_event(
    ana: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eventtracking import tracker

    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = {"vertical", "course"}
    completed(ana, "c")
    api.refresh_course(KEY)
    told: list[tuple[str, str, float]] = []
    monkeypatch.setattr(
        tracker.get_tracker(), "emit", lambda name, data: told.append((name, data["block_id"], data.get("earned", 0.0)))
    )
    completed(ana, "a")
    before = [each for each in told if "aggregator" in each[0]]
    api.refresh_course(KEY)
    name = "openedx.completion_aggregator.progress."
    assert before == []
    assert sorted(each for each in told if "aggregator" in each[0]) == [
        (name + "course", str(usage("course", "course")), 3.0),
        (name + "vertical", str(usage("vertical", "shared")), 1.0),
    ]
