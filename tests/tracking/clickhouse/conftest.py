from collections.abc import Iterator
from pathlib import Path

import pytest

from completion_aggregator.tracking.clickhouse.target import Target
from tests.tracking.clickhouse.engine import Engine


@pytest.fixture(scope="session")
def engine(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return a server; skip the test where there is no engine."""
    found = Engine(shared_data, tmp_path_factory.mktemp("clickhouse"))
    yield found
    found.stop()


@pytest.fixture
def target(engine: Engine) -> Target:
    """Return a database that nobody used."""
    return engine.target()
