"""The description of the API: it is the committed one, and what its examples say is what is answered."""

import json
from http import HTTPMethod
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from completion_aggregator.platforms.standalone import description
from tests.aggregation.rest_api import example_course

COMMITTED = Path(__file__).parents[3] / "docs" / "reference" / "openapi.yaml"
EXAMPLE = "Example"


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    found = yaml.safe_load(COMMITTED.read_text())["paths"]
    return [
        (path, method, operation)
        for path, methods in found.items()
        for method, operation in methods.items()
        if method.upper() in set(HTTPMethod)
    ]


def test_the_committed_description_is_that_of_the_code():
    assert description.as_yaml() == COMMITTED.read_bytes(), "Something changed. If it was meant to: make openapi"


def test_it_is_of_the_version_of_the_standard_that_we_say():
    assert yaml.safe_load(COMMITTED.read_text())["openapi"] == "3.1.0"


def test_it_is_served_as_yaml_and_json(client):
    as_yaml, as_json = client.get("/api/openapi.yaml"), client.get("/api/openapi.json")
    assert as_yaml.headers["Content-Type"] == "application/yaml"
    assert as_yaml.content == COMMITTED.read_bytes()
    assert as_json.headers["Content-Type"] == "application/json"
    assert json.loads(as_json.content) == yaml.safe_load(as_yaml.content)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "method", "operation"),
    [pytest.param(*found, id=found[2]["operationId"]) for found in operations()],
)
def test_the_example_of_an_operation_is_what_it_answers(path, method, operation):
    example_course.build()
    status, media_type, answer = expected(operation)
    response = ask(path, method, operation, accept=media_type)
    assert response.status_code == status, response.content
    # As text: the order of keys is part of the answer.
    assert shown(body_of(response, media_type)) == shown(answer)


def expected(operation: dict[str, Any]) -> tuple[int, str, Any]:
    """Return the answer in the operation's example: status, media type and body; no body where none is described."""
    granted = {status: answer for status, answer in operation["responses"].items() if status < "300"}
    for status, answer in granted.items():
        for media_type, content in answer.get("content", {}).items():
            if EXAMPLE in content.get("examples", {}):
                return int(status), media_type, content["examples"][EXAMPLE]["value"]
    assert all("content" not in answer for answer in granted.values()), "no answer has an example"
    return int(max(granted)), "", b""


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
