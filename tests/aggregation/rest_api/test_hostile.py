"""Hostile and odd input, for every parameter of every endpoint: a reason and a 4xx, never an error of ours."""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from completion_aggregator.platforms.standalone.models import CourseVersion
from tests.aggregation.builders import KEY, usage
from tests.aggregation.rest_api.school import PREFIX, answer, client_of, completed, facts, get, give_role, person, small

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asynchronous", "all_parsers")]

#: Everybody who gets further than a log-in.
WHO: Final = ("ana", "teacher", "root")
PATHS: Final = (
    "v1/course/", f"v1/course/{KEY}/", f"v1/stats/{KEY}/", "v0/course/", f"v0/course/{KEY}/",
    f"v0/course/{KEY}/blocks/{usage('html', 'a')}/", f"progress_bar/{KEY}/", f"progress_bar/{KEY}/c1/",
)  # fmt: skip
NAMES: Final = (
    "username", "requested_fields", "include_optional", "mobile_only", "user_ids", "root_block", "cohorts",
    "exclude_roles", "page", "page_size", "completion", "format", "nonsense",
)  # fmt: skip
GOOD: Final = (
    "ana", "root", "chapter", "chapter,mean,username", "true", "1", "1,2", str(usage("chapter", "c1")), "staff", "0.5",
)  # fmt: skip

#: Half a surrogate pair; JSON can spell it, and nothing can store it.
HALF: Final = chr(0xD800)
#: NUL, what looks like a number or a key, and what is long.
ODD: Final = (
    "\0", "ana\0", HALF, f"ana{HALF}", "\uff19", "\u0661\u0662", "1_000", "1e999", "-0", "+1", " 1", "0x1", "NaN",
    "9" * 30, "9" * 5000, "x" * 70_000, "," * 2000, "é" * 300, "%", "%s", "{0}", "' OR 1=1 --", "../../etc/passwd",
    "course-v1:a+b+c", "course-v1:\0+b+c", "course-v1:a+b+" + "c" * 300, "a/b/c", "a/b/\0", "library-v1:a+b",
    "lib:a:b", "lb:a:b:html:c", "block-v1:a+b+c+type@x+block@y", "i4x://a/b/c/d", "i4x://a/b/c/\0", "i4x:",
    "aside-usage-v2:block-v1$:A+B+C+type@html+block@a::aside", "course-v1:", "block-v1:", "\u202e", "\ufffe",
)  # fmt: skip

texts = st.one_of(
    st.sampled_from(GOOD), st.sampled_from(ODD), st.text(st.characters(exclude_categories=[]), max_size=30)
)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from([10**30, -(10**4000), 2**63, 2**63 - 1, 2**31]),
)
values = st.recursive(
    texts | numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
queries = st.lists(st.tuples(st.sampled_from(NAMES), texts), max_size=6)


@pytest.fixture
def all_parsers() -> Iterator[None]:
    """Take forms and files as well, as the LMS does."""
    from rest_framework import parsers

    from completion_aggregator.aggregation.rest_api.views import ProgressView

    # Read once, when Django REST framework is imported.
    before = ProgressView.parser_classes
    ProgressView.parser_classes = [parsers.JSONParser, parsers.FormParser, parsers.MultiPartParser]
    yield
    ProgressView.parser_classes = before


@pytest.fixture
def clients() -> dict[str, Any]:
    small()
    ana = person("ana", KEY)
    completed(ana, "b")
    users = {"ana": ana, "teacher": give_role(person("teacher"), "staff"), "root": person("root", is_staff=True)}
    return {name: client_of(user) for name, user in users.items()}


def hostile(**options: Any) -> Any:
    """Try many inputs on one set of rows: what is refused changes nothing, and what is not is rolled back."""
    suppressed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=options.get("examples", 60), suppress_health_check=suppressed, deadline=None)


def plain(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"))


def check(response: Any) -> None:
    assert response.status_code < 500, response.content
    if (
        response.status_code >= 400
        and response.content
        and response.headers["Content-Type"].startswith("application/json")
    ):
        assert isinstance(response.json()["detail"], str)


@pytest.mark.parametrize("who", WHO)
@hostile()
@given(st.sampled_from(PATHS), queries)
def test_no_query_is_an_error_of_ours(
    clients: dict[str, Any], who: str, path: str, query: list[tuple[str, str]]
) -> None:
    text = "&".join(f"{name}={plain(value)}" for name, value in query)
    check(clients[who].get(PREFIX + path, QUERY_STRING=text))


@pytest.mark.parametrize("who", WHO)
@hostile()
@given(st.sampled_from(PATHS[1:2] + PATHS[5:6]), st.one_of(objects, values))
@example(PATHS[1], {"username": HALF})
@example(PATHS[1], {"username": "ana", "root_block": HALF})
@example(PATHS[1], {"username": "ana", "root_block": ["a"]})
@example(PATHS[1], {"user_ids": [float("inf"), {"a": []}]})
@example(PATHS[1], {"user_ids": {"1": 2}})
@example(PATHS[1], {"requested_fields": {"a": "b"}})
@example(PATHS[1], {"requested_fields": [["chapter"]]})
@example(PATHS[5], {"completion": 10**400})
def test_no_json_is_an_error_of_ours(clients: dict[str, Any], who: str, path: str, body: Any) -> None:
    before = facts()
    response = clients[who].post(PREFIX + path, json.dumps(body), content_type="application/json")
    check(response)
    if response.status_code >= 400:
        assert facts() == before


@pytest.mark.parametrize("who", WHO)
@hostile()
@given(st.sampled_from(PATHS[1:2] + PATHS[5:6]), queries, st.booleans())
def test_no_form_is_an_error_of_ours(
    clients: dict[str, Any], who: str, path: str, pairs: list[tuple[str, str]], multipart: bool
) -> None:
    if multipart:
        body: dict[str, list[str]] = {}
        for name, value in pairs:
            body.setdefault(name, []).append(value.encode("utf-8", "replace").decode())
        check(clients[who].post(PREFIX + path, body))
    else:
        text = "&".join(f"{name}={plain(value)}" for name, value in pairs)
        check(clients[who].post(PREFIX + path, text, content_type="application/x-www-form-urlencoded"))


@hostile()
@given(texts, texts, st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "DELETE"]))
def test_no_address_is_an_error_of_ours(clients: dict[str, Any], course: str, block: str, verb: str) -> None:
    for path in ("v1/course/{}/", "v1/stats/{}/", "v0/course/{}/", "v0/course/{}/blocks/{}/", "progress_bar/{}/{}/"):
        address = PREFIX + path.format(plain(course), plain(block))
        check(clients["root"].generic(verb, address, '{"completion": 1}', content_type="application/json"))
    address = f"{PREFIX}v0/course/{KEY}/blocks/{plain(block)}/"
    check(clients["ana"].post(address, '{"completion": 1}', content_type="application/json"))
    assert {key for _, key, _ in facts()} == {str(usage("html", "b"))}


@hostile(examples=100)
@given(
    st.binary(max_size=60),
    st.sampled_from(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "text/plain",
            "multipart/form-data",
            "multipart/form-data; boundary=a",
            "",
            "a",
            "application/json; charset=utf-16",
            "application/xml",
            "*/*",
        ]
    ),
)
def test_no_body_is_an_error_of_ours(clients: dict[str, Any], body: bytes, content_type: str) -> None:
    for path in PATHS:
        check(clients["ana"].generic("POST", PREFIX + path, body, content_type=content_type))


#: Codecs that turn no bytes into text, or that nobody should be asked for.
CHARSETS: Final = ("hex", "rot13", "zlib", "base64", "undefined", "idna", "utf-16", "nonsense", "")


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_charset_that_is_none_is_no_error_of_ours(clients: dict[str, Any], kind: str, charset: str) -> None:
    # With a query, too, Django itself ends in a LookupError, before there is a request.
    for path in PATHS[:6]:
        for verb in ("GET", "POST"):
            check(clients["root"].generic(verb, PREFIX + path, b"{}", f"{kind}; charset={charset}"))


@pytest.mark.parametrize("depth", [500, 900, 950, 980, 1000, 100_000])
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        '{{"user_ids": {}}}',
        '{{"requested_fields": {}}}',
        '{{"root_block": {}}}',
        '{{"username": {}}}',
        '{{"completion": {}}}',
        '{{"include_optional": {}}}',
    ],
)
def test_deep_json_is_refused_with_a_reason(clients: dict[str, Any], form: str, depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        nested = opening * depth + "1" + closing * depth
        for path in (PATHS[1], PATHS[5]):
            response = clients["root"].post(PREFIX + path, form.format(nested), content_type="application/json")
            check(response)


def test_json_nested_too_deeply_is_named(clients: dict[str, Any]) -> None:
    response = clients["root"].post(PREFIX + PATHS[1], "[" * 100_000, content_type="application/json")
    assert answer(response) == (400, {"detail": "JSON parse error - nested too deeply"})


def test_a_file_is_no_value_of_a_parameter(clients: dict[str, Any]) -> None:
    for name in NAMES:
        for path in (PATHS[1], PATHS[5]):
            upload = SimpleUploadedFile("ana", b"1")
            check(clients["root"].post(PREFIX + path, {name: upload}))


def test_a_form_says_the_same_as_json(clients: dict[str, Any]) -> None:
    completed_by_form = clients["ana"].post(PREFIX + PATHS[5], {"completion": "0.5"})
    assert (completed_by_form.status_code, len(facts())) == (201, 2)
    asked = {"username": "ana", "requested_fields": ["chapter", "vertical"], "include_optional": "true"}
    path = PREFIX + PATHS[1]
    as_json = clients["root"].post(path, json.dumps(asked), content_type="application/json")
    assert as_json.status_code == 200
    assert clients["root"].post(path, asked).json() == as_json.json()
    text = "username=ana&requested_fields=chapter&requested_fields=vertical&include_optional=true"
    form = clients["root"].post(path, text, content_type="application/x-www-form-urlencoded")
    assert form.json() == as_json.json()


def test_the_last_of_a_parameter_given_twice_counts(clients: dict[str, Any]) -> None:
    path = PREFIX + PATHS[1]
    for query, status in (("username=never&username=ana", 200), ("username=ana&username=never", 404)):
        assert clients["root"].get(path, QUERY_STRING=query).status_code == status


@pytest.mark.parametrize(
    "header",
    [
        "*/*",
        "application/json; indent=4",
        "application/json; indent=x",
        "text/html",
        "application/json; indent=-1",
        ";;;",
        "a/b; q=x",
        "application/*",
        "\x80",
        "",
    ],
)
def test_no_accept_header_is_an_error_of_ours(clients: dict[str, Any], header: str) -> None:
    for path in PATHS:
        check(clients["ana"].get(PREFIX + path, {"username": "ana"}, headers={"Accept": header}))


def test_very_many_parameters_are_refused(clients: dict[str, Any]) -> None:
    many = "&".join(f"a{nth}=1" for nth in range(5000))
    assert clients["root"].get(PREFIX + PATHS[1], QUERY_STRING=many).status_code == 400
    ids = ",".join(map(str, range(1, 10_001)))
    assert clients["root"].get(PREFIX + PATHS[1], {"user_ids": ids}).status_code == 200
    assert clients["root"].get(PREFIX + PATHS[1], {"user_ids": f"{ids},1"}).status_code == 400
    roles = ",".join(f"role{nth}" for nth in range(100))
    assert clients["root"].get(PREFIX + PATHS[2], {"exclude_roles": roles}).status_code == 200
    assert clients["root"].get(PREFIX + PATHS[2], {"exclude_roles": f"{roles},one"}).status_code == 400
    assert clients["root"].get(PREFIX + PATHS[2], {"exclude_roles": "staff," * 40_000}).status_code == 200


def test_names_are_compared_alike_on_every_database(clients: dict[str, Any]) -> None:
    person("müller", KEY)
    found = {
        name: get(person(f"root{nth}", is_staff=True), f"v1/course/{KEY}/", username=name).status_code
        for nth, name in enumerate(("müller", "muller", "müller ", "ANA", "Ana", "änä", "ana ", "ana\t", "an"))
    }
    assert found == {
        "müller": 200, "muller": 404, "müller ": 404, "ANA": 200, "Ana": 200, "änä": 404, "ana ": 404, "ana\t": 404,
        "an": 404,
    }  # fmt: skip


@pytest.mark.parametrize("damage", ["graph", "gone"])
def test_content_that_cannot_be_read_gives_entries_of_which_nothing_is_known(
    clients: dict[str, Any], damage: str
) -> None:
    from completion_aggregator.aggregation import api

    if damage == "graph":
        CourseVersion.objects.update(graph=b"CG1\nnonsense")
    else:
        CourseVersion.objects.all().delete()
    api.forget()
    nothing = {"earned": 0.0, "possible": None, "percent": 0.0}
    fields = {"requested_fields": "chapter,vertical"}
    entry = {"course_key": str(KEY), "completion": nothing, "chapter": [], "vertical": []}
    own = {"username": "ana", **fields}
    for who, path, parameters in (
        ("ana", "v1/course/", own), ("ana", f"v1/course/{KEY}/", own), ("teacher", f"v1/course/{KEY}/", own),
    ):  # fmt: skip
        status, body = answer(clients[who].get(PREFIX + path, parameters))
        assert (status, body["results"]) == (200, [entry])
    status, body = answer(clients["root"].get(f"{PREFIX}v1/course/{KEY}/", fields))
    assert (status, body["results"]) == (200, [{**entry, "username": "ana"}])
    entry["completion"] = {**nothing, "ratio": 0.0}
    assert answer(clients["ana"].get(f"{PREFIX}v0/course/{KEY}/", fields)) == (200, entry)
    assert answer(clients["ana"].get(f"{PREFIX}v0/course/", fields))[1]["results"] == [entry]
    assert clients["root"].get(f"{PREFIX}v1/stats/{KEY}/").status_code == 200
    assert ">0%<" in clients["ana"].get(f"{PREFIX}progress_bar/{KEY}/").content.decode()
    assert ">0%<" in clients["ana"].get(f"{PREFIX}progress_bar/{KEY}/c1/").content.decode()
    block = clients["ana"].post(PREFIX + PATHS[5], '{"completion": 1}', content_type="application/json")
    assert (block.status_code, len(facts())) == (404, 1)
    rooted = {**own, "root_block": str(usage("chapter", "c1"))}
    assert clients["ana"].get(f"{PREFIX}v1/course/{KEY}/", rooted).status_code == 200
