"""Threads with connections of their own, at every isolation level that a site may run at."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests.aggregation.interleaving import Crew


@pytest.fixture
def crew() -> Iterator[Crew]:
    with Crew() as each:
        yield each


@pytest.fixture(autouse=True)
def asynchronous(settings: Any) -> None:
    """Let nothing be refreshed but by the workers of a test."""
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True


@pytest.fixture(params=["read committed", "repeatable read"])
def isolation(request: pytest.FixtureRequest, needs_server: str) -> Iterator[str]:
    """Run the test once at each isolation level; every connection opened in it has that level."""
    level = request.param
    if needs_server == "postgresql":
        from psycopg import IsolationLevel

        level = IsolationLevel[request.param.replace(" ", "_").upper()]
    options = connection.settings_dict["OPTIONS"]
    before = options.get("isolation_level")
    options["isolation_level"] = level
    connection.close()
    yield request.param
    if before is None:
        del options["isolation_level"]
    else:
        options["isolation_level"] = before
    connection.close()
