"""R8: pages had no upper size, ids were split at points too, and phones' courses were found by loading all."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.aggregation.builders import KEY
from tests.aggregation.rest_api.school import answer, get, keys, people, person, post, small

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(asynchronous: None) -> Any:
    small()
    return person("root", is_staff=True)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, 10), ("", 10), ("7", 7), ("100", 100), ("101", 100), ("1000", 100), ("9" * 30, 100), ("9" * 5000, 10),
        ("0", 10), ("-1", 10), ("ten", 10), ("1.5", 10),
    ],
)  # fmt: skip
def test_r08_no_page_is_larger_than_a_hundred(root: Any, asked: str | None, given: int) -> None:
    people(103)
    parameters = {} if asked is None else {"page_size": asked}
    status, body = answer(get(root, f"v1/course/{KEY}/", **parameters))
    assert (status, len(body["results"])) == (200, given)
    assert body["pagination"]["count"] == 103
    assert body["pagination"]["num_pages"] == -(-103 // given)


def test_r08_a_setting_says_how_large(root: Any, settings: Any) -> None:
    people(30)
    settings.COMPLETION_AGGREGATOR_MAX_PAGE_SIZE = 25
    assert len(answer(get(root, f"v1/course/{KEY}/", page_size=100))[1]["results"]) == 25
    settings.COMPLETION_AGGREGATOR_MAX_PAGE_SIZE = 5
    assert len(answer(get(root, f"v1/course/{KEY}/"))[1]["results"]) == 5


@pytest.mark.parametrize("page", ["0", "-1", "2", "x", "9" * 40, "1e3"])
def test_r08_a_page_that_is_not_there_is_a_404(root: Any, page: str) -> None:
    people(3)
    assert answer(get(root, f"v1/course/{KEY}/", page=page)) == (404, {"detail": "Invalid page."})


@pytest.mark.parametrize("text", ["{0},{2}", "{0}.{2}", " {0} , {2} ", "{0},,{2},", "{0},{2},{2},999999999"])
def test_r08_user_ids_are_separated_by_commas_or_as_ever_by_points(root: Any, text: str) -> None:
    users = people(3)
    ids = text.format(*(user.pk for user in users))
    _, body = answer(get(root, f"v1/course/{KEY}/", user_ids=ids))
    assert [entry["username"] for entry in body["results"]] == ["learner00000", "learner00002"]
    _, posted = answer(post(root, f"v1/course/{KEY}/", {"user_ids": [users[0].pk, str(users[2].pk)]}))
    assert posted["results"] == body["results"]


@pytest.mark.parametrize("ids", ["1.5e3", "--1", "1 2", "½", "1,x", "9" * 20, ",", "."])
def test_r08_what_is_no_id_is_a_400(root: Any, ids: str) -> None:
    status, body = answer(get(root, f"v1/course/{KEY}/", user_ids=ids))
    assert (status, body["detail"].startswith("Invalid user_ids value(s): {")) == (400, True)


@pytest.mark.parametrize("given", ["", [], None])
def test_r08_no_ids_narrow_nothing(root: Any, given: Any) -> None:
    path = f"v1/course/{KEY}/"
    assert answer(post(root, path, {"user_ids": given})) == answer(get(root, path))


def test_r08_an_id_below_zero_is_nobodys(root: Any) -> None:
    path = f"v1/course/{KEY}/"
    for status, body in (answer(get(root, path, user_ids="-5")), answer(post(root, path, {"user_ids": [-1]}))):
        assert (status, body["results"]) == (200, [])


def test_r08_courses_for_phones_are_chosen_by_the_database(root: Any) -> None:
    here, there, elsewhere = keys(3)
    person("ana", small(here, mobile=True), small(there), small(elsewhere, mobile=True))
    with CaptureQueriesContext(
        connection,
    ) as context:
        _, body = answer(get(root, "v1/course/", username="ana", mobile_only="True"))
    assert [entry["course_key"] for entry in body["results"]] == [str(here), str(elsewhere)]
    (statement,) = [each["sql"] for each in context if "enrollment" in each["sql"]]
    assert "mobile_available" in statement
    assert len(answer(get(root, "v0/course/", username="ana", mobile_only="no"))[1]["results"]) == 3
