"""Who may do what: every endpoint and verb, for every kind of person, on the real roles of a course."""

import json
from itertools import product
from typing import Any, Final

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from rest_framework.authentication import SessionAuthentication

from tests.aggregation.builders import KEY, usage
from tests.aggregation.rest_api.school import (
    PREFIX,
    answer,
    client_of,
    completed,
    enroll,
    facts,
    get,
    give_role,
    keys,
    person,
    small,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asynchronous")]

OTHER: Final = keys(1)[0]
VERBS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
BLOCK: Final = usage("html", "a")

#: Who asks. "learner" (ana) is enrolled; "elsewhere" (olga) in the other course alone; "left" is, but not actively.
PEOPLE: Final = (
    "nobody", "learner", "elsewhere", "left", "beta", "staff", "limited", "instructor", "other staff", "root",
    "inactive", "inactive root", "inactive staff",
)  # fmt: skip

#: What is asked; GET, HEAD and (in its body) POST name the user of the query. The address is that of KEY.
ADDRESSES: Final = {
    "v1 list": "v1/course/",
    "v1 list self": "v1/course/?username={self}",
    "v1 list learner": "v1/course/?username=ana",
    "v1 class": f"v1/course/{KEY}/",
    "v1 self": f"v1/course/{KEY}/?username={{self}}",
    "v1 learner": f"v1/course/{KEY}/?username=ana",
    "v1 outsider": f"v1/course/{KEY}/?username=olga",
    "v1 unknown": f"v1/course/{KEY}/?username=never",
    "v1 stats": f"v1/stats/{KEY}/",
    "v0 list": "v0/course/",
    "v0 list learner": "v0/course/?username=ana",
    "v0 own": f"v0/course/{KEY}/",
    "v0 learner": f"v0/course/{KEY}/?username=ana",
    "v0 outsider": f"v0/course/{KEY}/?username=olga",
    "v0 block": f"v0/course/{KEY}/blocks/{BLOCK}/",
    "bar": f"progress_bar/{KEY}/",
    "chapter bar": f"progress_bar/{KEY}/c1/",
}

# Under each person the answers to GET; "." is 200, otherwise the status. Nobody and inactive users: one column, 401.
#   L learner  E elsewhere  X left  B beta  S staff  M limited  I instructor  O other staff  R root
READ: Final = """
                     L     E     X     B     S     M     I     O     R
v1 list              403   403   403   403   403   403   403   403   .
v1 list self         .     .     .     .     .     .     .     .     .
v1 list learner      .     403   403   403   403   403   403   403   .
v1 class             403   403   403   403   .     .     .     403   .
v1 self              .     404   404   .     404   404   404   404   404
v1 learner           .     403   403   403   .     .     .     403   .
v1 outsider          403   404   403   403   404   404   404   403   404
v1 unknown           403   403   403   403   404   404   404   403   404
v1 stats             403   403   403   403   .     .     .     403   .
v0 list              .     .     .     .     .     .     .     .     .
v0 list learner      .     403   403   403   403   403   403   403   .
v0 own               .     404   404   .     404   404   404   404   404
v0 learner           .     403   403   403   .     .     .     403   .
v0 outsider          403   404   403   403   404   404   404   403   404
v0 block             405   405   405   405   405   405   405   405   405
bar                  .     .     .     .     .     .     .     .     .
chapter bar          .     .     .     .     .     .     .     .     .
"""

#: As GET, but POST asks v1 for a course, and completes a block; elsewhere it is no method.
POSTED: Final = """
                     L     E     X     B     S     M     I     O     R
v1 class             403   403   403   403   .     .     .     403   .
v1 self              .     404   404   .     404   404   404   404   404
v1 learner           .     403   403   403   .     .     .     403   .
v1 outsider          403   404   403   403   404   404   404   403   404
v1 unknown           403   403   403   403   404   404   404   403   404
v0 block             201   404   404   201   404   404   404   404   404
"""

COLUMNS: Final = {
    "L": "learner", "E": "elsewhere", "X": "left", "B": "beta", "S": "staff", "M": "limited", "I": "instructor",
    "O": "other staff", "R": "root",
}  # fmt: skip


def table(text: str) -> dict[tuple[str, str], int]:
    head, *lines = text.strip("\n").splitlines()
    who = [COLUMNS[letter] for letter in head.split()]
    rows = [(line[:21].strip(), line[21:].split()) for line in lines]
    return {
        (address, each): 200 if status == "." else int(status)
        for address, statuses in rows
        for each, status in zip(who, statuses, strict=True)
    }


READING, POSTING = table(READ), table(POSTED)


def expected(address: str, verb: str, who: str) -> int:
    """Return the status that is right."""
    if "bar" in address:  # a page: it leads to the log-in, and has no other method
        return 405 if verb not in ("GET", "HEAD") else 302 if who not in COLUMNS.values() else 200
    if who not in COLUMNS.values():
        return 401
    if verb == "OPTIONS":
        return 200
    if verb in ("GET", "HEAD"):
        return READING[address, who]
    return POSTING.get((address, who), 405) if verb == "POST" else 405


@pytest.fixture
def school() -> dict[str, Any]:
    """Return a user for each row of the table, None for nobody."""
    small(), small(OTHER)
    users: dict[str, Any] = {
        "nobody": None,
        "learner": person("ana", KEY),
        "elsewhere": person("olga", OTHER),
        "left": person("left", KEY, is_active=False),
        "beta": person("beta", KEY),
        "staff": person("staff"),
        "limited": person("limited"),
        "instructor": person("instructor"),
        "other staff": person("other"),
        "root": person("root", is_staff=True),
        "inactive": person("inactive", KEY),
        "inactive root": person("inactive_root", KEY, is_staff=True),
        "inactive staff": person("inactive_staff", KEY),
    }
    give_role(users["beta"], "beta_testers")
    for name, role in (("staff", "staff"), ("limited", "limited_staff"), ("instructor", "instructor")):
        give_role(users[name], role)
    give_role(users["other staff"], "instructor", OTHER)
    give_role(users["inactive staff"], "staff")
    get_user_model()._default_manager.filter(username__startswith="inactive").update(is_active=False)
    for user in users.values():
        if user is not None:
            user.refresh_from_db()
    return users


def ask(user: Any, address: str, verb: str) -> Any:
    """Send a request; what the query says stands in the body of a POST."""
    path, _, query = ADDRESSES[address].format(self=getattr(user, "username", "")).partition("?")
    client = client_of(user)
    body = {"completion": 1.0} | dict(pair.split("=") for pair in query.split("&") if pair)
    if verb in ("GET", "HEAD"):
        return client.generic(verb, PREFIX + path, QUERY_STRING=query)
    return client.generic(verb, PREFIX + path, json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("who", PEOPLE)
def test_every_endpoint_answers_everybody_as_the_table_says(school: dict[str, Any], who: str) -> None:
    asked = list(product(ADDRESSES, VERBS))
    statuses = {(address, verb): ask(school[who], address, verb).status_code for address, verb in asked}
    assert statuses == {(address, verb): expected(address, verb, who) for address, verb in asked}
    assert facts() == ({(school[who].username, str(BLOCK), 1.0)} if who in ("learner", "beta") else set())


class InactiveToo(SessionAuthentication):
    """As the LMS has it: a session that is there is good."""

    def authenticate(self, request: Any) -> Any:
        name = request._request.META.get("HTTP_X_USER", "")
        return (get_user_model()._default_manager.get(username=name), None) if name else None


def test_an_inactive_user_whom_the_site_lets_in_has_her_own_progress_and_no_role(
    school: dict[str, Any], settings: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES = (f"{__name__}.InactiveToo",)
    client = client_of(None)

    def status(name: str, address: str) -> int:
        path = PREFIX + ADDRESSES[address].format(self=name)
        return int(client.get(path, headers={"X-User": name}).status_code)

    for name in ("inactive", "inactive_root", "inactive_staff"):
        assert [status(name, each) for each in ("v1 self", "v1 list self", "v0 own", "v0 list")] == [200] * 4
        assert [status(name, each) for each in ("v1 class", "v1 learner", "v1 stats", "v0 learner")] == [403] * 4


def test_a_page_of_a_class_is_those_who_are_enrolled_and_nobody_else(school: dict[str, Any]) -> None:
    for who in ("staff", "limited", "instructor", "root"):
        body = answer(get(school[who], f"v1/course/{KEY}/"))[1]
        names = [entry["username"] for entry in body["results"]]
        assert names == ["ana", "beta", "inactive", "inactive_root", "inactive_staff"]


# Denied answers give nothing away.

EXISTING, MISSING = str(KEY), "course-v1:No+Such+Course"
PARAMETERS: Final[tuple[dict[str, str], ...]] = (
    {},
    {"requested_fields": "chapter,mean"},
    {"requested_fields": "nonsense"},
    {"user_ids": "1"},
    {"user_ids": "x"},
    {"root_block": str(usage("chapter", "c1"))},
    {"root_block": str(usage("chapter", "c9"))},
    {"root_block": "nonsense"},
    {"cohorts": "1"},
    {"cohorts": "x"},
    {"page": "2"},
    {"page": "x"},
    {"page_size": "0"},
    {"include_optional": "true"},
)  # fmt: skip


def denied(client: Client, path: str, course: str, username: str | None, parameters: dict[str, str]) -> str:
    """Return the answers to GET and POST, whole; the course and the name replaced by marks."""
    values = parameters | ({} if username is None else {"username": username})
    address, found = PREFIX + path.format(course), ""
    posted = client.post(address, json.dumps(values), content_type="application/json")
    for response in (client.get(address, values), posted):
        body = response.content.decode().replace(course, "<course>")
        headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
        found += f"{response.status_code} {headers} {body if username is None else body.replace(username, '<name>')}\n"
    return found


@pytest.mark.parametrize("path", ["v1/course/{}/", "v0/course/{}/", "v1/stats/{}/", "v1/course/", "v0/course/"])
def test_a_learner_cannot_tell_which_users_and_courses_exist(school: dict[str, Any], path: str) -> None:
    completed(school["beta"], "a")
    for who in ("learner", "elsewhere", "other staff"):
        client = client_of(school[who])
        for parameters in PARAMETERS:
            answers = {
                denied(client, path, course, name, parameters)
                for course in (EXISTING, MISSING)
                for name in ("staff", "never", "STAFF", "inactive")
            }
            assert len(answers) == 1, (who, answers)


@pytest.mark.parametrize("path", ["v1/course/{}/", "v0/course/{}/", "v1/stats/{}/", "progress_bar/{}/"])
def test_who_is_not_enrolled_cannot_tell_which_courses_exist(school: dict[str, Any], path: str) -> None:
    for who in ("elsewhere", "left", "other staff"):
        client = client_of(school[who])
        for name, parameters in product((school[who].username, None), PARAMETERS):
            answers = [denied(client, path, course, name, parameters) for course in (EXISTING, MISSING)]
            assert answers[0] == answers[1]


@pytest.mark.parametrize("path", ["v1/course/{}/", "v0/course/{}/"])
def test_course_staff_cannot_tell_who_exists_outside_of_their_course(school: dict[str, Any], path: str) -> None:
    for who in ("staff", "limited", "instructor"):
        client = client_of(school[who])
        for parameters in PARAMETERS:
            names = ("olga", "OLGA", "left", "root", "never")
            answers = {denied(client, path, EXISTING, name, parameters) for name in names}
            assert len(answers) == 1, answers


@pytest.mark.parametrize("body", ['{"completion": 1}', '{"completion": 2}', "[]", "{"])
def test_completing_a_block_tells_who_is_not_enrolled_nothing(school: dict[str, Any], body: str) -> None:
    for who in ("elsewhere", "left", "staff", "root"):
        client = client_of(school[who])
        paths = [
            f"{PREFIX}v0/course/{course}/blocks/block-v1:{course.partition(':')[2]}+type@{block}/"
            for course in (EXISTING, MISSING)
            for block in ("html+block@a", "html+block@never", "vertical+block@v1")
        ]
        answers = [client.post(path, body, content_type="application/json") for path in paths]
        assert len({(each.status_code, each.content) for each in answers}) == 1


def test_options_tell_the_same_of_what_exists_and_what_does_not(school: dict[str, Any]) -> None:
    for who in ("learner", "root"):
        client = client_of(school[who])
        for path in ("v1/course/{}/", "v1/stats/{}/", "v0/course/{}/", "v0/course/{}/blocks/{}/"):
            there = client.options(PREFIX + path.format(EXISTING, BLOCK), {"username": "ana"})
            nowhere = client.options(PREFIX + path.format(MISSING, "nonsense"))
            assert (there.status_code, there.content) == (nowhere.status_code, nowhere.content)
            assert list(there.json()) == ["name", "description", "renders", "parses"]
            assert "ana" not in there.content.decode()


def test_head_is_get_without_its_body(school: dict[str, Any]) -> None:
    for address in ADDRESSES:
        for who in ("learner", "staff", "root"):
            found, whole = (ask(school[who], address, verb) for verb in ("HEAD", "GET"))
            assert (found.status_code, found.content) == (whole.status_code, b"")


def test_a_learner_who_comes_back_is_there_again(school: dict[str, Any]) -> None:
    path = f"v1/course/{KEY}/"
    assert get(school["elsewhere"], path, username="olga").status_code == 404
    enroll(school["elsewhere"], KEY)
    assert get(school["elsewhere"], path, username="OLGA").status_code == 200
