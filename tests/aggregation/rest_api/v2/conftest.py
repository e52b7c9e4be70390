"""Somebody who asks."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

ROOT = "/completion-aggregator/v2/courses/"

Ask = Callable[..., Any]


@pytest.fixture
def asking() -> Callable[[Any], Ask]:
    """Return what makes, for a user, a function that asks below v2/courses/."""

    def of(user: Any) -> Ask:
        client = APIClient()
        client.force_authenticate(user)
        return lambda path="", **parameters: client.get(
            ROOT + path, parameters.pop("query", None), headers=parameters.pop("headers", None)
        )

    return of


@pytest.fixture
def ask(asking: Callable[[Any], Ask]) -> Ask:
    """Return a function with which staff of the site asks."""
    staff = get_user_model()._default_manager.create(username="zz_staff", is_staff=True)
    return asking(staff)
