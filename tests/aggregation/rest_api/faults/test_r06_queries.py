"""R6: one query per row in v0, lists and stale reads; now a fixed number, however many courses, learners and blocks."""

from collections.abc import Iterable
from typing import Any, Final

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from tests.aggregation.builders import KEY, usage
from tests.aggregation.rest_api.school import PREFIX, client_of, completed, give_role, keys, people, person, small

#: Within a transaction nothing is kept in memory, so a test that runs in one would count what no site does.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("asynchronous")]

ALL: Final = "requested_fields=course,chapter,sequential,vertical,username,mean&include_optional=true&page_size=100"
#: What a page and a list may take, whatever is asked of them.
LIMIT: Final = 8

#: What each statement is for, by what only it has: the first that fits.
PURPOSES: Final = {
    "session": "django_session",
    "means": "WITH e0",
    "figures": "WITH e(user_id)",
    "sights": "'person'",
    "begun or stale": " UNION ",
    "vectors": '"vector"',
    "facts": "FROM completion_blockcompletion",
    "count": "COUNT(*)",
    "role": "standalone_courserole",
    "graphs": '"graph"',
    "versions": '"content_hash"',
    "enrolled": "SELECT 1 AS",
    "page": "IN (SELECT U0",
    "courses": "standalone_enrollment",
    "user": '"password"',
}

LOGIN: Final = ["session", "user"]
OWN_LIST: Final = [*LOGIN, "courses", "versions", "sights", "facts"]
OWN_DETAIL: Final = [*LOGIN, "enrolled", "versions", "sights", "facts"]
CLASS: Final = [*LOGIN, "means", "count", "page", "versions", "sights", "vectors"]


def asked(client: Client, path: str) -> list[str]:
    """Return what the second of two equal requests asks the database for, sorted; the means are cold."""
    client.get(PREFIX + path)
    cache.clear()
    with CaptureQueriesContext(connection) as context:
        response = client.get(PREFIX + path)
    assert response.status_code == 200, response.content
    return sorted(purpose(each["sql"]) for each in context)


def purpose(statement: str) -> str:
    quoted = statement.replace("`", '"')
    return next((name for name, part in PURPOSES.items() if part in quoted), statement)


def enrolled_in(count: int, *, touched: Iterable[CourseKey], refreshed: Iterable[CourseKey]) -> Client:
    """Ana is enrolled in *count* courses; in these she has completed something, and these were refreshed since."""
    for key in keys(count):
        small(key)
    ana = person("ana", *keys(count))
    for key in touched:
        completed(ana, "a", key=key)
    for key in refreshed:
        api.refresh_course(key)
    return client_of(ana)


@pytest.mark.parametrize("count", [1, 5, 20])
@pytest.mark.parametrize("state", ["stale", "refreshed"])
@pytest.mark.parametrize("path", ["v1/course/", "v0/course/"])
def test_r06_a_list_takes_seven_queries(path: str, state: str, count: int) -> None:
    client = enrolled_in(count, touched=keys(count), refreshed=keys(count) if state == "refreshed" else ())
    assert asked(client, f"{path}?username=ana&{ALL}") == sorted([*OWN_LIST, "means"])


@pytest.mark.parametrize("count", [1, 5, 20])
@pytest.mark.parametrize("path", ["v1/course/", "v0/course/"])
def test_r06_one_more_where_the_learner_has_completed_nothing_yet_in_some_course(path: str, count: int) -> None:
    client = enrolled_in(count, touched=keys(count)[1:], refreshed=keys(count)[2:])
    found = asked(client, f"{path}?username=ana&{ALL}")
    assert found == sorted([*OWN_LIST, "begun or stale", "means"])
    assert len(found) <= LIMIT


def test_r06_one_more_where_there_are_more_courses_than_a_process_keeps(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_GRAPH_CACHE_SIZE = 3
    client = enrolled_in(20, touched=keys(20), refreshed=keys(20))
    found = asked(client, f"v1/course/?{ALL}&username=ana")
    assert found == sorted([*OWN_LIST, "graphs", "means"])
    assert len(found) <= LIMIT


@pytest.mark.parametrize("count", [1, 20])
def test_r06_another_learners_list_takes_one_more_to_find_her(count: int) -> None:
    enrolled_in(count, touched=keys(count), refreshed=())
    root = client_of(person("root", is_staff=True))
    for path in ("v1/course/", "v0/course/"):
        assert asked(root, f"{path}?username=ana&{ALL}") == sorted([*LOGIN, "user", *OWN_LIST[2:], "means"])


@pytest.mark.parametrize("refresh", [True, False])
def test_r06_one_course_takes_seven_queries(refresh: bool) -> None:
    client = enrolled_in(2, touched=keys(1), refreshed=keys(1) if refresh else ())
    key = keys(1)[0]
    assert asked(client, f"v1/course/{key}/?username=ana&{ALL}") == sorted([
        *LOGIN, "enrolled", "means", "versions", "sights", "facts",
    ])  # fmt: skip
    assert asked(client, f"v0/course/{key}/?{ALL}") == sorted(
        [*LOGIN, "enrolled", "means", "versions", "sights", "facts"]
    )
    rooted = f"{ALL}&root_block={usage('chapter', 'c2', key)}".replace("+", "%2B")
    assert asked(client, f"v1/course/{key}/?username=ana&{rooted}") == sorted([
        *LOGIN, "enrolled", "means", "versions", "sights", "facts",
    ])  # fmt: skip


def test_r06_a_progress_bar_takes_six_queries() -> None:
    client = enrolled_in(2, touched=keys(1), refreshed=())
    key = keys(1)[0]
    assert asked(client, f"progress_bar/{key}/") == sorted(OWN_DETAIL)
    assert asked(client, f"progress_bar/{key}/c1/") == sorted(OWN_DETAIL)
    assert asked(client, f"progress_bar/{keys(2)[1]}/") == sorted([*OWN_DETAIL, "begun or stale"])


@pytest.mark.parametrize("count", [1, 10, 100])
@pytest.mark.parametrize("state", ["refreshed", "stale"])
def test_r06_a_page_of_a_class_takes_eight_queries(state: str, count: int) -> None:
    small()
    for user in people(count):
        completed(user, "a", "b")
    api.refresh_course(KEY)
    if state == "stale":
        api.mark_course_stale(KEY)
    found = asked(client_of(person("root", is_staff=True)), f"v1/course/{KEY}/?{ALL}")
    assert found == sorted(CLASS)
    assert len(found) <= LIMIT


@pytest.mark.parametrize("count", [1, 10, 100])
def test_r06_a_page_reads_the_facts_of_those_who_were_never_refreshed_together(count: int) -> None:
    small()
    for user in people(count):
        completed(user, "a")
    client = client_of(person("root", is_staff=True))
    assert asked(client, f"v1/course/{KEY}/?{ALL}") == sorted([*CLASS, "facts"])
    assert len(asked(client, f"v1/course/{KEY}/?{ALL.replace(',mean', '')}")) == LIMIT


@pytest.mark.parametrize("count", [1, 10, 100])
def test_r06_staff_of_the_course_take_one_more_for_their_role(count: int) -> None:
    small()
    for user in people(count):
        completed(user, "a")
    api.refresh_course(KEY)
    teacher = client_of(give_role(person("teacher"), "staff"))
    assert asked(teacher, f"v1/course/{KEY}/?{ALL}") == sorted([*LOGIN, "role", *CLASS[2:]])
    assert asked(teacher, f"v1/course/{KEY}/?username=learner00000&{ALL}") == sorted([
        *LOGIN, "role", "user", "enrolled", "enrolled", "means", "versions", "sights", "facts",
    ])  # fmt: skip


@pytest.mark.parametrize("count", [1, 10, 100])
def test_r06_figures_take_four_queries(count: int) -> None:
    small()
    people(count)
    root: Any = client_of(person("root", is_staff=True))
    path = f"v1/stats/{KEY}/?requested_fields=mean&cohorts=1&exclude_roles=staff"
    assert asked(root, path) == sorted([*LOGIN, "figures", "means"])


def test_r06_completing_a_block_takes_the_same_whatever_the_course() -> None:
    small()
    ana = client_of(person("ana", KEY))
    taken = []
    for name in ("a", "b", "e"):
        with CaptureQueriesContext(connection) as context:
            path = f"{PREFIX}v0/course/{KEY}/blocks/{usage('html', name)}/"
            response = ana.post(path, '{"completion": 1}', content_type="application/json")
        assert response.status_code == 201
        taken.append(len([each for each in context if not each["sql"].startswith(("SAVEPOINT", "RELEASE"))]))
    assert taken[1] == taken[2] == taken[0] - 2  # the first reads the graph and the switch of edx-completion
