"""What clients of the package we replace know beside the recorded answers: which of several faults is named."""

from typing import Any

import pytest

from tests.aggregation.builders import KEY, usage
from tests.aggregation.rest_api.school import answer, get, leave, person, post, small

pytestmark = pytest.mark.django_db

REFUSED = (400, {"detail": "Invalid requested_fields value(s): {'nonsense'}"})
NO_PAGE = (404, {"detail": "Invalid page."})


@pytest.fixture
def people() -> dict[str, Any]:
    """Ana is enrolled, bob has left, root is staff of the site."""
    key = small()
    found = {"ana": person("ana", key), "bob": person("bob", key), "root": person("root", is_staff=True)}
    leave(found["bob"], key)
    return found


@pytest.mark.parametrize(
    ("who", "username"),
    [("ana", None), ("ana", "bob"), ("ana", "nobody"), ("bob", "bob"), ("root", "nobody"), ("root", "bob")],
)
def test_fields_that_there_are_not_come_before_whom_they_are_asked_of(people: Any, who: str, username: Any) -> None:
    whose = {} if username is None else {"username": username}
    path = f"v1/course/{KEY}/"
    assert answer(get(people[who], path, requested_fields="nonsense", **whose)) == REFUSED
    assert answer(post(people[who], path, {"requested_fields": ["nonsense"], **whose})) == REFUSED


def test_in_figures_they_come_before_the_permission(people: Any) -> None:
    assert answer(get(people["ana"], f"v1/stats/{KEY}/", requested_fields="nonsense")) == REFUSED


def test_a_page_that_there_is_not_comes_before_the_fields_of_a_list_and_the_root_of_a_course(people: Any) -> None:
    own = {"username": "ana", "page": "9"}
    assert answer(get(people["ana"], "v1/course/", requested_fields="nonsense", **own)) == NO_PAGE
    assert answer(get(people["ana"], f"v1/course/{KEY}/", root_block="nonsense", **own)) == NO_PAGE


def test_fields_are_taken_to_the_letter(people: Any) -> None:
    for fields in (" chapter", "chapter, vertical", "Chapter"):
        status, _ = answer(get(people["ana"], f"v1/course/{KEY}/", username="ana", requested_fields=fields))
        assert status == 400
    refused = (400, {"detail": "Invalid requested_fields value(s): {'chapter,mean'}"})
    body = {"username": "ana", "requested_fields": ["chapter,mean"]}
    assert answer(post(people["ana"], f"v1/course/{KEY}/", body)) == refused


@pytest.mark.parametrize("path", ["v0/course/", f"v0/course/{KEY}/"])
def test_in_v0_an_empty_name_is_nobodys(people: Any, path: str) -> None:
    assert answer(get(people["ana"], path, username=""))[0] == 403
    assert answer(get(people["root"], path, username="")) == (404, {"detail": "Not found."})


@pytest.mark.parametrize(("cohort", "status"), [(" 11", 200), ("-1", 200), ("1.5", 400), ("eleven", 400)])
def test_a_cohort_is_a_whole_number(people: Any, cohort: str, status: int) -> None:
    assert answer(get(people["root"], f"v1/stats/{KEY}/", cohorts=cohort))[0] == status


@pytest.mark.parametrize("version", ["branch@draft", "version@519665f6223ebd6980884f2b"])
def test_a_version_of_a_course_is_no_course(people: Any, version: str) -> None:
    odd = f"{KEY}+{version}"
    for path in (f"v0/course/{odd}/", f"v1/course/{odd}/", f"v1/stats/{odd}/", f"v2/courses/{odd}/learners/ana/"):
        assert answer(get(people["root"], path)) == (404, {"detail": f"Invalid course key: '{odd}'."})
    block = f"v0/course/{odd}/blocks/{usage('html', 'a')}/"
    assert answer(post(people["ana"], block, {"completion": 1.0}))[0] == 404


@pytest.mark.parametrize("path", ["v1/course/", "v0/course/", f"v1/course/{KEY}/", f"v0/course/{KEY}/"])
def test_a_name_that_is_longer_than_any_is_nobodys(people: Any, path: str) -> None:
    assert answer(get(people["root"], path, username="a" * 60_000)) == (404, {"detail": "Not found."})
    long = get(people["root"], f"v2/courses/{KEY}/learners/{'a' * 60_000}/")
    assert long.status_code == 404


def test_staff_find_whoever_has_their_own_name_in_another_case(vendor: str) -> None:
    if vendor == "mysql":
        pytest.skip("on this database no two names differ in case alone")
    key = small()
    person("Maria", key)
    staff = person("maria", is_staff=True)
    for path in (
        f"v1/course/{KEY}/?username=Maria&requested_fields=username",
        "v1/course/?username=Maria&requested_fields=username",
    ):
        _, body = answer(get(staff, path))
        assert [entry["username"] for entry in body["results"]] == ["Maria"]
    assert answer(get(staff, f"v2/courses/{KEY}/learners/Maria/"))[1]["username"] == "Maria"
    assert answer(get(staff, "v2/courses/?username=Maria"))[1]["username"] == "Maria"
