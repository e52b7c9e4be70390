"""R1: ``cohorts`` left out the cohort's members instead of selecting them; roles held in any course counted."""

from typing import Any

import pytest

from tests.aggregation.builders import KEY
from tests.aggregation.rest_api.school import answer, cohort, completed, get, give_role, keys, person, refreshed, small

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(asynchronous: None) -> Any:
    """Ana has all five, bob one, cleo (in another course staff) none."""
    small()
    other = small(keys(1)[0])
    ana, bob, cleo = (person(name, KEY) for name in ("ana", "bob", "cleo"))
    completed(ana, "a", "b", "c", "e", "f")
    completed(bob, "a")
    give_role(cleo, "staff", other)
    refreshed()
    return person("root", is_staff=True)


def mean(root: Any, **parameters: Any) -> tuple[int, dict[str, float]]:
    status, body = answer(get(root, f"v1/stats/{KEY}/", **parameters))
    assert [result["course_key"] for result in body["results"]] == [str(KEY)]
    return status, body["results"][0]["mean_completion"]


def test_r01_a_cohort_is_its_members(root: Any) -> None:
    from django.contrib.auth import get_user_model

    ana, bob, _ = get_user_model()._default_manager.exclude(pk=root.pk).order_by("pk")
    first, second, empty = cohort("first", ana), cohort("second", bob), cohort("empty")
    assert mean(root, cohorts=first) == (200, {"earned": 5.0, "possible": 5.0, "percent": 1.0})
    assert mean(root, cohorts=second) == (200, {"earned": 1.0, "possible": 5.0, "percent": 0.2})
    assert mean(root, cohorts=empty) == (200, {"earned": 0.0, "possible": 0.0, "percent": 0.0})


def test_r01_only_roles_in_this_course_leave_somebody_out_and_only_when_asked_for(root: Any) -> None:
    everybody = (200, {"earned": 2.0, "possible": 5.0, "percent": 0.4})
    assert mean(root) == everybody
    assert mean(root, exclude_roles="staff") == everybody
    ana = person("dora", KEY)
    give_role(ana, "beta_testers")
    assert mean(root)[1]["earned"] == 1.5
    assert mean(root, exclude_roles="staff, beta_testers") == everybody
