"""The description of the API, made once in each process, and its interactive page."""

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView

from completion_aggregator.aggregation.rest_api.openapi_components import ref
from completion_aggregator.aggregation.rest_api.openapi_parts import (
    EXAMPLE,
    HEADERS,
    JSON,
    THROTTLED,
    UNACCEPTABLE,
    UNSUPPORTED,
    answers,
    describe,
    refusals,
)


@cache
def document() -> dict[str, Any]:
    """Return the description of every operation, whoever asks."""
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return schema


@cache
def as_yaml() -> bytes:
    """Return the description as the committed copy has it."""
    return bytes(OpenApiYamlRenderer().render(document(), renderer_context={}))


@cache
def as_json() -> bytes:
    """Return the description as JSON."""
    return bytes(OpenApiJsonRenderer().render(document(), renderer_context={}))


def openapi_yaml(request: HttpRequest) -> HttpResponse:
    """Answer with the description as YAML."""
    return HttpResponse(as_yaml(), content_type="application/yaml")


def openapi_json(request: HttpRequest) -> HttpResponse:
    """Answer with the description as JSON."""
    return HttpResponse(as_json(), content_type="application/json")


_LOG_IN = {
    "type": "object",
    "properties": {name: {"type": "string", "minLength": 1} for name in ("username", "password")},
    "required": ["username", "password"],
}
_REFUSED = "The fields are not there, or no active user has this name and password."

describe(
    "completion_aggregator.platforms.standalone.login.TokenView",
    post=extend_schema(
        operation_id="log_in",
        tags=["log in"],
        summary="A token for a name and a password",
        description="Always the same token, until somebody removes it. Attempts are counted, and bounded.",
        parameters=HEADERS[:1],
        request={JSON: _LOG_IN, "application/x-www-form-urlencoded": _LOG_IN},
        examples=[OpenApiExample(EXAMPLE, {"username": "ana", "password": "to the moon"}, request_only=True)],
        responses=answers("Token", "The user's token.", {"token": "72019bbac0b3dac88beac9ddfef0ca808919104f"})
        | {(400, JSON): OpenApiResponse(ref("RefusedLogIn"), description=_REFUSED)}
        | refusals({406: UNACCEPTABLE, 415: UNSUPPORTED, 429: THROTTLED}),
    ),
)

interactive = SpectacularSwaggerSplitView.as_view(url_name="openapi-json")
