"""Our JSON is that of Django REST framework, with and without orjson."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils.functional import lazystr
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rest_framework import renderers as theirs
from rest_framework.exceptions import ErrorDetail
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from completion_aggregator.aggregation.rest_api import renderers
from completion_aggregator.aggregation.rest_api.renderers import Entries, JSONRenderer
from completion_aggregator.aggregation.rest_api.views import ProgressView
from tests.aggregation.builders import KEY
from tests.aggregation.rest_api.school import PREFIX, client_of, completed, get, person, refreshed, small

pytestmark = pytest.mark.filterwarnings("ignore:.*django.utils.timezone")

REPOSITORY = Path(__file__).parents[3]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts,
    st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.dates(), st.times(), st.uuids(),
    st.decimals(allow_nan=False, allow_infinity=False), st.timedeltas(),
    texts.map(ErrorDetail), texts.map(lazystr),
)  # fmt: skip
data = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(texts, inner, max_size=4),
        st.dictionaries(st.integers(), inner, max_size=2),
    ),
    max_leaves=10,
)  # fmt: skip
entries = st.lists(st.dictionaries(texts, data, max_size=3), max_size=4)


@pytest.fixture(params=["orjson", "without orjson"])
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "without orjson":
        monkeypatch.setattr(renderers, "orjson", None)
    else:
        pytest.importorskip("orjson")
    return str(request.param)


def lazily(found: list[dict[str, Any]]) -> Entries:
    return Entries([lambda entry=entry: entry for entry in found])  # type: ignore[misc]


def rendered(value: Any, media_type: str = "application/json") -> Any:
    return json.loads(JSONRenderer().render(value, media_type, {}))


def expected(value: Any) -> Any:
    return json.loads(theirs.JSONRenderer().render(value, "application/json", {}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data.filter(lambda value: value is not None))
@example([datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), date(2026, 1, 2), time(1, 2, 3, 4)])
@example([Decimal("0.10"), UUID(int=7), timedelta(days=1, microseconds=5), 2**64, -(2**70), 0.1, 1e308, -0.0, 5e-324])
@example({1: "a", "b": {True: None}})
def test_what_we_write_parses_to_what_the_rest_framework_writes(writer: str, value: Any) -> None:
    assert rendered(value) == expected(value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries, st.sampled_from(["application/json", "application/json; indent=4", "*/*"]))
def test_entries_are_written_as_the_list_they_are(writer: str, found: list[dict[str, Any]], media_type: str) -> None:
    envelope: dict[str, Any] = {"results": lazily(found), "pagination": {"count": len(found)}}
    assert rendered(envelope, media_type) == expected({**envelope, "results": found})


def test_an_indent_is_what_the_client_asks_for(writer: str) -> None:
    written = JSONRenderer().render({"a": lazily([{"b": 1.0}])}, "application/json; indent=2", {})
    assert written == b'{\n  "a": [\n    {\n      "b": 1.0\n    }\n  ]\n}'


def test_nothing_is_written_for_no_data(writer: str) -> None:
    assert JSONRenderer().render(None) == theirs.JSONRenderer().render(None) == b""


def test_numbers_survive_to_the_last_bit(writer: str) -> None:
    numbers = [0.1 + 0.2, 1 / 3, 2 / 3, 1.0, 0.0, 100.0, 0.425531914893617, 1e-7]
    assert [number.hex() for number in rendered(numbers)] == [number.hex() for number in numbers]


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["application/json", "application/json; indent=4", "*/*"])
def test_an_answer_is_the_same_with_and_without_orjson(
    asynchronous: None, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    pytest.importorskip("orjson")
    small()
    completed(person("ana", KEY), "a", "b")
    person("bob", KEY)
    refreshed()
    root = person("root", KEY, is_staff=True)
    fields = {"requested_fields": "course,chapter,vertical,mean,username", "include_optional": "true"}
    paths = {"v1/course/": "ana", "v0/course/": "ana", f"v1/course/{KEY}/": "", f"v1/stats/{KEY}/": ""}

    def answers() -> list[Any]:
        client = client_of(root)
        headers = {"Accept": accept}
        return [client.get(PREFIX + path, fields | {"username": name}, headers=headers) for path, name in paths.items()]

    fast = answers()
    monkeypatch.setattr(renderers, "orjson", None)
    slow = answers()
    assert [each.status_code for each in fast] == [200] * 4
    assert [each.json() for each in fast] == [each.json() for each in slow]
    assert len(fast[2].json()["results"]) == 3
    assert {each.headers["Content-Type"] for each in fast} == {"application/json"}


class Browsable(ProgressView):
    renderer_classes = (theirs.JSONRenderer, theirs.BrowsableAPIRenderer)

    def get_permissions(self) -> list[Any]:
        return []

    def get(self, request: Any) -> Response:
        return Response({"results": lazily([{"course_key": "a<b", "percent": 0.5}])})


@pytest.mark.django_db
def test_a_site_with_the_browsable_api_sees_the_same_entries_there(writer: str) -> None:
    request: Any = APIRequestFactory().get("/", headers={"Accept": "text/html"})
    page = Browsable.as_view(authentication_classes=())(request)
    page.render()
    text = page.content.decode()
    assert page.headers["Content-Type"].startswith("text/html")
    assert "&quot;course_key&quot;: &quot;a&lt;b&quot;" in text
    assert "&quot;percent&quot;: 0.5" in text


def test_only_the_usual_renderer_gives_way_to_ours() -> None:
    assert [type(each) for each in Browsable().get_renderers()] == [JSONRenderer, theirs.BrowsableAPIRenderer]


@pytest.mark.django_db
def test_an_error_is_json_too(writer: str) -> None:
    ana = person("ana", small())
    response = get(ana, f"v1/course/{KEY}/")
    assert json.loads(response.content) == {"detail": "You do not have permission to perform this action."}


#: A site that has our app but not the one of the REST framework, whose settings it leaves alone.
BARE = """
import json, django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["testserver"], ROOT_URLCONF="completion_aggregator.urls",
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "waffle", "completion", "completion_aggregator"
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)
django.setup()
from django.test import Client
def answer(version, accept, **parameters):
    response = Client().get(f"/{version}/course/", parameters, headers={"Accept": accept})
    return [response.status_code, response.headers["Content-Type"]]
accepts = ("text/html", "text/html,*/*;q=0.8", "application/json")
answers = {version: [answer(version, accept) for accept in accepts] for version in ("v0", "v1")}
print(json.dumps([*answers.values(), [answer("v1", "*/*", format="api")]]))
"""


def test_a_site_without_the_app_of_the_rest_framework_is_answered_in_json() -> None:
    command = [sys.executable, "-c", BARE]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    json_type = "application/json"
    refused = [[406, json_type], [403, json_type], [403, json_type]]
    assert json.loads(done.stdout) == [refused, refused, [[404, json_type]]]
