"""R4: ``root_block`` was ignored, or made the course's own value nothing."""

from typing import Any

import pytest

from tests.aggregation.builders import KEY, usage
from tests.aggregation.rest_api.school import answer, completed, get, person, post, refreshed, small

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["current", "stale"])
def ana(request: pytest.FixtureRequest, asynchronous: None) -> Any:
    learner = person("ana", small())
    completed(learner, "a", "e", "f")
    if request.param == "current":
        refreshed()
    return learner


def expected() -> dict[str, Any]:
    def block(kind: str, name: str, possible: float) -> dict[str, Any]:
        tally = {"earned": possible, "possible": possible, "percent": 1.0}
        return {"course_key": str(KEY), "block_key": str(usage(kind, name)), "completion": tally}

    return {
        "course_key": str(KEY),
        "completion": {"earned": 3.0, "possible": 5.0, "percent": 0.6},
        "chapter": [block("chapter", "c2", 2.0)],
        "vertical": [block("vertical", "v3", 2.0)],
    }


def test_r04_only_what_is_at_or_below_the_root_is_listed_and_the_course_keeps_its_value(ana: Any) -> None:
    asked = {"username": "ana", "requested_fields": "chapter,vertical", "root_block": str(usage("chapter", "c2"))}
    assert answer(get(ana, f"v1/course/{KEY}/", **asked))[1]["results"] == [expected()]
    asked["requested_fields"] = asked["requested_fields"].split(",")  # type: ignore[assignment]
    assert answer(post(ana, f"v1/course/{KEY}/", asked))[1]["results"] == [expected()]


def test_r04_nothing_is_at_or_below_a_block_that_is_none_of_the_course(ana: Any) -> None:
    asked = {"username": "ana", "requested_fields": "chapter,vertical"}
    for key in (str(usage("chapter", "c9")), "block-v1:Other+Course+1+type@chapter+block@c2"):
        found = answer(get(ana, f"v1/course/{KEY}/", **asked, root_block=key))[1]["results"]
        assert found == [{**expected(), "chapter": [], "vertical": []}]


def test_r04_what_is_no_block_key_is_a_404(ana: Any) -> None:
    refused = (404, {"detail": "Invalid block key: 'nonsense'."})
    assert answer(get(ana, f"v1/course/{KEY}/", username="ana", root_block="nonsense")) == refused


@pytest.mark.parametrize("path", ["v1/course/", "v0/course/", f"v0/course/{KEY}/"])
def test_r04_elsewhere_it_means_nothing(ana: Any, path: str) -> None:
    asked = {"username": "ana", "requested_fields": "chapter"}
    assert answer(get(ana, path, **asked, root_block="nonsense")) == answer(get(ana, path, **asked))
