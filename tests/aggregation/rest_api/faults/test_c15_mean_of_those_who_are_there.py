"""C15: ``mean`` counted learners who have left: three at 100 %, two of them unenrolled, made it 3.0."""

from typing import Any

import pytest
from django.core.cache import cache

from tests.aggregation.builders import KEY
from tests.aggregation.rest_api.school import answer, completed, get, give_role, leave, person, refreshed, small

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(asynchronous: None) -> Any:
    small()
    for name in ("ana", "bob", "cleo"):
        completed(person(name, KEY), "a", "b", "c", "e", "f")
    refreshed()
    return person("root", is_staff=True)


def means(root: Any) -> set[float]:
    cache.clear()
    asked = {"requested_fields": "mean", "username": "ana"}
    paths = ("v1/course/", f"v1/course/{KEY}/", "v0/course/", f"v0/course/{KEY}/", f"v1/stats/{KEY}/")
    bodies = [answer(get(root, path, **asked))[1] for path in paths]
    bodies.append(answer(get(root, f"v1/course/{KEY}/", requested_fields="mean"))[1])
    return {entry["mean"] for body in bodies for entry in body.get("results", [body])}


def test_c15_who_has_left_counts_no_more(root: Any) -> None:
    from django.contrib.auth import get_user_model

    assert means(root) == {1.0}
    person("dora", KEY)
    assert means(root) == {0.75}
    for user in get_user_model()._default_manager.filter(username__in=("bob", "cleo")):
        leave(user, KEY)
    assert means(root) == {0.5}


def test_c15_who_has_an_access_role_counts_on_neither_side(root: Any) -> None:
    from django.contrib.auth import get_user_model

    person("dora", KEY)
    give_role(get_user_model()._default_manager.get(username="ana"), "beta_testers")
    assert means(root) == {2 / 3}
