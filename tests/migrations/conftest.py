"""What tests of migrations share."""

from collections.abc import Iterator

import pytest

from tests.migrations.schema import migrate


@pytest.fixture
def latest() -> Iterator[None]:
    """Leave the tables as they were, whatever becomes of the test."""
    yield
    migrate()
