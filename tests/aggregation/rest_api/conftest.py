"""What every test of the REST API starts from."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

#: As a site of the LMS has it: inactive users may come in with their session; others are refused with 401.
AUTHENTICATION = (
    "rest_framework.authentication.TokenAuthentication",  # stands for JWT: it too makes an anonymous request a 401
    "rest_framework.authentication.SessionAuthentication",
)


@pytest.fixture
def as_in_the_lms(settings: Any) -> Any:
    """Use the authentication and the parsers that the LMS has."""
    settings.COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES = AUTHENTICATION
    return settings


@pytest.fixture(autouse=True)
def no_means_kept() -> Iterator[None]:
    """Let no test find the means of another."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def asynchronous(settings: Any) -> None:
    """Let nothing be refreshed but where a test says so."""
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
