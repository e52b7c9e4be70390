"""R7: documentation and behaviour differed; what clients saw is now what is written."""

from typing import Any

import pytest

from tests.aggregation.builders import KEY
from tests.aggregation.rest_api.school import answer, completed, get, person, post, refreshed, small

pytestmark = pytest.mark.django_db

TALLY = {"earned": 1.0, "possible": 5.0, "percent": 0.2}


@pytest.fixture
def ana(asynchronous: None) -> Any:
    learner = person("ana", small())
    completed(learner, "a")
    refreshed()
    return learner


def test_r07_a_list_without_username_is_denied_to_a_learner_and_ones_own_to_staff(ana: Any) -> None:
    assert get(ana, "v1/course/").status_code == 403
    root = person("root", KEY, is_staff=True)
    status, body = answer(get(root, "v1/course/", requested_fields="username"))
    assert (status, [entry["username"] for entry in body["results"]]) == (200, ["root"])


def test_r07_the_envelope_is_that_of_the_lms(ana: Any) -> None:
    _, body = answer(get(ana, "v1/course/", username="ana"))
    assert body == {
        "results": [{"course_key": str(KEY), "completion": TALLY}],
        "pagination": {"next": None, "previous": None, "count": 1, "num_pages": 1},
    }
    assert list(body) == ["results", "pagination"]


def test_r07_ratio_is_in_v0_alone(ana: Any) -> None:
    v0 = answer(get(ana, "v0/course/"))[1]["results"]
    assert v0 == [{"course_key": str(KEY), "completion": {**TALLY, "ratio": 0.2}}]


@pytest.mark.parametrize("fields", [["chapter", "vertical"], "chapter,vertical"])
def test_r07_fields_in_a_body_may_be_a_list_or_a_text_with_commas(ana: Any, fields: Any) -> None:
    _, body = answer(post(ana, f"v1/course/{KEY}/", {"username": "ana", "requested_fields": fields}))
    assert list(body["results"][0]) == ["course_key", "completion", "chapter", "vertical"]
