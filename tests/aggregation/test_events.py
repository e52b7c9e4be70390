"""Progress events: for changes alone, when they are committed, and never for what was undone."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from eventtracking import tracker
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.models import Aggregator
from tests.aggregation.builders import KEY, SMALL, complete, course, learner, small, usage, waiting
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "openedx.completion_aggregator.progress."


class Memory:
    """A tracking backend that keeps our events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.stored: list[int] = []
        self.broken = False

    def send(self, event: dict[str, Any]) -> None:
        if not event["name"].startswith(NAME):
            return
        if self.broken:
            raise RuntimeError("the backend is down")
        self.events.append(event)
        self.stored.append(Aggregator.objects.count())

    def take(self) -> list[tuple[str, str]]:
        """Return what was sent since the last time: level and block."""
        taken = [(event["name"].removeprefix(NAME), event["data"]["block_id"]) for event in self.events]
        self.events.clear()
        return sorted(taken)


@pytest.fixture
def memory(settings: Any) -> Iterator[Memory]:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = ["course", "vertical"]
    backends, memory = tracker.get_tracker().backends, Memory()
    backends["memory"] = memory
    yield memory
    del backends["memory"]


def test_each_row_that_changed_is_told_with_its_numbers(platform: FakePlatform, memory: Memory) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.refresh_course(KEY)
    root, verticals = str(usage("course", "course")), [str(usage("vertical", name)) for name in ("v1", "v2", "v3")]
    assert memory.take() == [("course", root), *(("vertical", key) for key in verticals)]

    complete(ana, "e", 0.5)
    api.refresh_course(KEY)
    (event,) = (event for event in memory.events if event["data"]["type"] == "course")
    row = Aggregator.objects.get(aggregation_name="course")
    assert event["data"] == {
        "user_id": ana.pk, "username": "ana", "course_id": str(KEY), "block_id": root, "type": "course",
        "earned": 1.5, "possible": 5.0, "percent": 0.3, "modified": row.modified, "created": row.modified,
    }  # fmt: skip
    assert memory.take() == [("course", root), ("vertical", verticals[2])]


def test_an_event_carries_its_course_and_learner_in_the_context(platform: FakePlatform, memory: Memory) -> None:
    key = CourseKey.from_string("course-v1:Other+Course+2")
    platform.publish(course(*SMALL, key=key))
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    complete(ana, "a")
    complete(ben, "a", key=key)
    for each in (KEY, key):
        api.refresh_course(each)

    assert sorted({(e["data"]["username"], *sorted(e["context"].items())) for e in memory.events}) == [
        ("ana", ("course_id", str(KEY)), ("org_id", "Test"), ("user_id", ana.pk)),
        ("ben", ("course_id", str(key)), ("org_id", "Other"), ("user_id", ben.pk)),
    ]
    assert len(memory.events) == 8
    assert tracker.get_tracker().resolve_context() == {}


def test_in_a_request_the_context_keeps_who_acts(platform: FakePlatform, memory: Memory) -> None:
    small(platform)
    complete(learner(platform, "ana"), "a")
    request = {"user_id": 4711, "session": "s1", "course_id": "another", "path": "/here"}
    with tracker.get_tracker().context("edx.request", request):
        api.refresh_course(KEY)

    expected = {"user_id": 4711, "session": "s1", "course_id": str(KEY), "org_id": "Test", "path": "/here"}
    assert [event["context"] for event in memory.events] == [expected] * 4


def test_levels_that_are_not_wanted_are_not_told(platform: FakePlatform, memory: Memory, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = ["chapter", "sequential"]
    small(platform)
    complete(learner(platform, "ana"), "a")
    api.refresh_course(KEY)
    assert memory.take() == [
        (kind, str(usage(kind, name)))
        for kind, names in (("chapter", ("c1", "c2")), ("sequential", ("s1", "s2")))
        for name in names
    ]


def test_what_did_not_change_is_not_told(platform: FakePlatform, memory: Memory) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")
    api.refresh_course(KEY)
    memory.take()

    api.mark_course_stale(KEY, force=True)
    api.refresh_course(KEY)
    api.mark_stale("ana", KEY, usage("html", "a"))
    api.refresh_course(KEY)

    assert memory.take() == []


def test_events_come_after_the_commit(platform: FakePlatform, memory: Memory) -> None:
    small(platform)
    complete(learner(platform, "ana"), "a")
    with transaction.atomic():
        api.refresh_course(KEY)
        assert Aggregator.objects.exists()
        assert memory.events == []
    assert len(memory.take()) == 4
    assert set(memory.stored) == {Aggregator.objects.count()}


def test_nothing_is_told_of_what_was_rolled_back(platform: FakePlatform, memory: Memory) -> None:
    small(platform)
    ana = learner(platform, "ana")
    complete(ana, "a")

    def broken_off() -> None:
        with transaction.atomic():
            api.refresh_course(KEY)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert memory.take() == []
    assert (Aggregator.objects.count(), waiting().count()) == (0, 1)


def test_nothing_is_told_of_a_learner_whose_refresh_fails_nor_twice_of_the_others(
    platform: FakePlatform, memory: Memory
) -> None:
    small(platform)
    ana, ben = learner(platform, "ana"), learner(platform, "ben")
    for user in (ana, ben):
        complete(user, "a")
    platform.failing.add(ana.pk)
    api.refresh_course(KEY)

    assert [event["data"]["username"] for event in memory.events] == ["ben"] * 4


def test_a_backend_that_fails_undoes_nothing(platform: FakePlatform, memory: Memory, caplog: Any) -> None:
    memory.broken = True
    small(platform)
    complete(learner(platform, "ana"), "a")
    assert api.refresh_course(KEY).failed == 0
    assert waiting().count() == 0
    assert "the backend is down" in caplog.text


@pytest.mark.parametrize("types", [None, [], frozenset()])
def test_without_types_nothing_is_told(platform: FakePlatform, memory: Memory, settings: Any, types: Any) -> None:
    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = types
    small(platform)
    complete(learner(platform, "ana"), "a")
    api.refresh_course(KEY)
    assert memory.take() == []
