"""A platform and a clean slate for every test of aggregation."""

from collections.abc import Iterator

import pytest

from completion_aggregator import ports
from completion_aggregator.aggregation import api
from tests.aggregation import processes
from tests.fakes.platform import FakePlatform


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Start without what an earlier test left in this process's caches."""
    api.forget()
    yield
    processes.end_all()
    api.forget()


@pytest.fixture
def platform(settings: object, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    """Put an empty platform in the place of the configured one."""
    fake = FakePlatform()
    monkeypatch.setitem(LOADED, "fake", fake)
    settings.COMPLETION_AGGREGATOR_PLATFORM = "tests.aggregation.conftest.loaded"  # type: ignore[attr-defined]
    ports._load.cache_clear()
    return fake


LOADED: dict[str, FakePlatform] = {}


def loaded() -> FakePlatform:
    """Return the platform of the running test."""
    return LOADED["fake"]
