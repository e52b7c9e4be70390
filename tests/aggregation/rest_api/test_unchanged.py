"""A client that has an answer about one learner already is not sent it again."""

import pytest

from tests.aggregation.builders import KEY, complete
from tests.aggregation.rest_api.school import PREFIX, client_of, person, small

pytestmark = pytest.mark.django_db

ONE_LEARNER = {
    "v0": f"{PREFIX}v0/course/{KEY}/?requested_fields=chapter",
    "v1": f"{PREFIX}v1/course/{KEY}/?username=ana&requested_fields=chapter",
    "v2": f"{PREFIX}v2/courses/{KEY}/learners/ana/?levels=chapter",
}


@pytest.mark.parametrize("version", ONE_LEARNER)
def test_an_answer_that_would_be_the_same_has_no_body(version: str) -> None:
    ana = person("ana", small())
    client, path = client_of(ana), ONE_LEARNER[version]
    first = client.get(path)

    again = client.get(path, headers={"If-None-Match": first["ETag"]})
    complete(ana, "a")
    changed = client.get(path, headers={"If-None-Match": first["ETag"]})

    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert again["ETag"] == first["ETag"]
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]
    assert changed.json() != first.json()


def test_a_page_of_a_class_has_none() -> None:
    key = small()
    person("ana", key)
    staff = person("root", is_staff=True)

    assert not client_of(staff).get(f"{PREFIX}v1/course/{key}/").has_header("ETag")


def test_what_is_asked_for_by_post_is_always_sent() -> None:
    ana = person("ana", small())
    path, body = f"{PREFIX}v1/course/{KEY}/", {"username": "ana"}
    first = client_of(ana).get(path, body)

    posted = client_of(ana).post(path, body, content_type="application/json", headers={"If-None-Match": first["ETag"]})

    assert (posted.status_code, posted.json()) == (200, first.json())


def test_no_cache_that_others_share_keeps_a_progress_bar() -> None:
    ana = person("ana", small())
    headers = client_of(ana).get(f"{PREFIX}progress_bar/{KEY}/").headers
    assert (headers["Cache-Control"], headers["Vary"]) == ("private, no-cache", "Cookie")


@pytest.mark.parametrize("version", ONE_LEARNER)
def test_no_cache_that_others_share_keeps_an_answer(version: str) -> None:
    ana = person("ana", small())

    headers = client_of(ana).get(ONE_LEARNER[version]).headers

    assert headers["Cache-Control"] == "private, no-cache"
    assert {"Accept", "Authorization", "Cookie"} <= set(headers["Vary"].split(", "))
