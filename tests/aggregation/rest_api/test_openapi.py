"""The description of the API: it is the committed one, and what its examples say is what is answered."""

import json
from datetime import UTC, datetime
from http import HTTPMethod
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import yaml
from django.contrib.auth import get_user_model
from django.utils import timezone
from jsonschema import Draft202012Validator, FormatChecker
from opaque_keys.edx.keys import CourseKey, UsageKey
from rest_framework.test import APIClient

from completion_aggregator import __version__
from completion_aggregator.aggregation.rest_api import openapi_webhooks
from completion_aggregator.aggregation.thresholds import ThresholdReached, payload
from completion_aggregator.platforms.standalone import description
from tests.aggregation.rest_api import example_course

COMMITTED = Path(__file__).parents[3] / "docs" / "reference" / "openapi.yaml"
DESCRIPTION = yaml.safe_load(COMMITTED.read_text())
SCHEMAS = DESCRIPTION["components"]["schemas"]
EXAMPLE = "Example"
#: When the examples are asked.
NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in DESCRIPTION["paths"].items()
        for method, operation in methods.items()
        if method.upper() in set(HTTPMethod)
    ]


def examples() -> list[tuple[str, dict[str, Any], Any]]:
    """Return all examples, each with its name and the schema of what it is an example of."""
    found: list[tuple[str, dict[str, Any], Any]] = []

    def collect(path: str, part: Any) -> None:
        if isinstance(part, dict):
            named = part.get("examples", {}) if "schema" in part else {}
            found.extend((path, part["schema"], each["value"]) for each in named.values())
            for name, inner in part.items():
                collect(f"{path}/{name}", inner)
        elif isinstance(part, list):
            for nth, inner in enumerate(part):
                collect(f"{path}/{nth}", inner)

    collect("", DESCRIPTION["paths"] | DESCRIPTION["webhooks"])
    return found


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DESCRIPTION["components"]}, format_checker=FormatChecker())


def test_the_committed_description_is_that_of_the_code():
    assert description.as_yaml() == COMMITTED.read_bytes(), "Something changed. If it was meant to: make openapi"


def test_it_is_of_the_version_of_the_standard_that_we_say():
    assert DESCRIPTION["openapi"] == "3.1.0"


def test_it_is_of_the_release_that_the_package_is_or_will_be():
    assert DESCRIPTION["info"]["version"] == __version__.partition(".dev")[0]


def test_it_is_served_as_yaml_and_json(client):
    as_yaml, as_json = client.get("/api/openapi.yaml"), client.get("/api/openapi.json")
    assert as_yaml.headers["Content-Type"] == "application/yaml"
    assert as_yaml.content == COMMITTED.read_bytes()
    assert as_json.headers["Content-Type"] == "application/json"
    assert json.loads(as_json.content) == DESCRIPTION


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "method", "operation"),
    [pytest.param(*found, id=found[2]["operationId"]) for found in operations()],
)
def test_the_example_of_an_operation_is_what_it_answers(path, method, operation, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    example_course.build()
    for status, media_type, answer in expected(operation):
        response = ask(path, method, operation, accept=media_type)
        body = body_of(response, media_type)
        # As text: the order of keys is part of the answer.
        assert (response.status_code, shown(body)) == (status, shown(answer))


@pytest.mark.parametrize(
    ("schema", "example"), [pytest.param(schema, example, id=name) for name, schema, example in examples()]
)
def test_every_example_has_the_shape_that_is_described(schema, example):
    assert [error.message for error in validator(schema).iter_errors(example)] == []


@pytest.mark.parametrize("name", sorted(set(SCHEMAS) - {"Invalid", "RefusedLogIn", "Table", "Lines"}))
def test_a_shape_is_described_to_its_last_property(name):
    assert [error.validator for error in validator(SCHEMAS[name]).iter_errors({"unknown": object()})]


def test_what_is_posted_to_others_is_what_is_described():
    said = openapi_webhooks.THRESHOLD
    reached = ThresholdReached(
        event_id=UUID(said["event_id"]),
        user_id=said["user_id"],
        username=said["username"],
        course_key=CourseKey.from_string(said["course_key"]),
        block_key=UsageKey.from_string(said["block_key"]),
        block_type=said["block_type"],
        threshold=said["threshold"],
        percent=said["percent"],
        reached_at=datetime.fromisoformat(said["reached_at"]),
        crossing=said["crossing"],
    )
    assert shown(payload(reached)) == shown(said)


def expected(operation: dict[str, Any]) -> list[tuple[int, str, Any]]:
    """Return the answers in the operation's example: status, media type and body, which is empty if none is described.

    Each form in which it is granted has one; a request that makes something is answered so.
    """
    granted = {status: answer for status, answer in operation["responses"].items() if status < "300"}
    answers = [
        (int(status), media_type, content["examples"][EXAMPLE]["value"])
        for status, answer in granted.items()
        for media_type, content in answer.get("content", {}).items()
    ]
    return answers or [(int(max(granted)), "", b"")]


def ask(path: str, method: str, operation: dict[str, Any], *, accept: str) -> Any:
    values = {
        where: {
            each["name"]: value(each)
            for each in operation.get("parameters", ())
            if each["in"] == where and EXAMPLE in each.get("examples", {})
        }
        for where in ("path", "query")
    }
    body = operation.get("requestBody")
    client = APIClient(headers={"Accept": accept} if accept else {})
    if asking := operation.get("x-example-asked-by"):
        client.force_authenticate(get_user_model().objects.get(username=asking))
    return client.generic(
        method.upper(),
        path.format(**{name: quote(text, safe="") for name, text in values["path"].items()}),
        json.dumps(body["content"]["application/json"]["examples"][EXAMPLE]["value"]) if body else "",
        content_type="application/json",
        QUERY_STRING="&".join(f"{name}={quote(text)}" for name, text in values["query"].items()),
    )


def value(parameter: dict[str, Any]) -> str:
    given = parameter["examples"][EXAMPLE]["value"]
    return ",".join(map(str, given)) if isinstance(given, list) else str(given)


def shown(answer: Any) -> str:
    return json.dumps(answer, indent=1) if isinstance(answer, dict | list) else answer


def body_of(response: Any, media_type: str) -> Any:
    if not media_type:
        return response.content
    assert response.headers["Content-Type"].partition(";")[0] == media_type
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return json.loads(content) if media_type == "application/json" else content.decode()
