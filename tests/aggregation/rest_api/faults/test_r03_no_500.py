"""R3: requests that ended in a 500."""

from typing import Any

import pytest

from tests.aggregation.builders import KEY
from tests.aggregation.rest_api.school import answer, completed, facts, get, person, post, refreshed, small

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> Any:
    return person("root", small(), is_staff=True)


def test_r03_a_cohort_that_is_no_number_is_a_400(root: Any) -> None:
    refused = (400, {"detail": "Invalid cohorts value(s): {'abc'}"})
    assert answer(get(root, f"v1/stats/{KEY}/", cohorts="abc")) == refused


@pytest.mark.parametrize("field", ["course", "chapter", "username"])
def test_r03_figures_take_any_field(root: Any, field: str) -> None:
    status, body = answer(get(root, f"v1/stats/{KEY}/", requested_fields=field))
    assert (status, [sorted(each) for each in body["results"]]) == (200, [["course_key", "mean_completion"]])


def test_r03_figures_have_the_mean_when_asked(root: Any) -> None:
    status, body = answer(get(root, f"v1/stats/{KEY}/", requested_fields="mean"))
    assert (status, body["results"][0]["mean"]) == (200, 0.0)


def test_r03_user_ids_that_are_no_numbers_are_a_400(root: Any) -> None:
    refused = (400, {"detail": "Invalid user_ids value(s): {'abc'}"})
    assert answer(get(root, f"v1/course/{KEY}/", user_ids="abc")) == refused
    assert answer(post(root, f"v1/course/{KEY}/", {"user_ids": ["abc"]})) == refused


def test_r03_user_ids_may_be_texts_in_a_body(root: Any) -> None:
    status, body = answer(post(root, f"v1/course/{KEY}/", {"user_ids": [str(root.pk)]}))
    assert (status, [entry["username"] for entry in body["results"]]) == (200, ["root"])


@pytest.mark.parametrize("path", [f"v1/course/{KEY}/", "v1/course/", f"v0/course/{KEY}/", "v0/course/"])
@pytest.mark.parametrize("begun", [False, True])
def test_r03_the_course_level_may_be_asked_for(root: Any, path: str, begun: bool) -> None:
    if begun:
        completed(root, "a")
    refreshed()

    status, body = answer(get(root, path, requested_fields="course", username="root"))

    entry = body["results"][0] if "results" in body else body
    block = {"course_key": str(KEY), "block_key": str(KEY.make_usage_key("course", "course"))}
    listed = [{**block, "completion": entry["completion"]}] if begun else []
    assert (status, entry["course"], entry["completion"]["earned"]) == (200, listed, float(begun))


def test_r03_a_malformed_course_key_is_a_404_in_v0(root: Any) -> None:
    refused = (404, {"detail": "Invalid course key: 'nonsense'."})
    assert answer(get(root, "v0/course/nonsense/")) == refused


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '"nan"', '"inf"', "1e999"])
def test_r03_no_number_is_no_completion(root: Any, text: str) -> None:
    from tests.aggregation.rest_api.school import PREFIX, client_of

    path = f"{PREFIX}v0/course/{KEY}/blocks/{KEY.make_usage_key('html', 'a')}/"
    response = client_of(root).post(path, f'{{"completion": {text}}}', content_type="application/json")
    assert (response.status_code, facts()) == (400, set())


@pytest.mark.parametrize(("value", "listed"), [(1, True), (True, True), ("TRUE", True), (0, False), ("1", False)])
def test_r03_include_optional_may_be_a_number(root: Any, value: Any, listed: bool) -> None:
    status, body = answer(post(root, f"v1/course/{KEY}/", {"include_optional": value}))
    assert (status, ["optional_completion" in each for each in body["results"]]) == (200, [listed])


def test_r03_a_list_as_body_is_a_400(root: Any) -> None:
    refused = (400, {"detail": "The body must be a JSON object."})
    assert answer(post(root, f"v1/course/{KEY}/", ["a"])) == refused
