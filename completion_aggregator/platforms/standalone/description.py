"""The description of the API, made once in each process, and its interactive page."""

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularSwaggerSplitView


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


interactive = SpectacularSwaggerSplitView.as_view(url_name="openapi-json")
