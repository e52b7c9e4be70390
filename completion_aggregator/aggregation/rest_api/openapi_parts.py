"""What operations are described with: parameters, answers, and the example that belongs to each operation."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view

from completion_aggregator.aggregation.rest_api.openapi_components import Schema, ref

JSON: Final = "application/json"
TEXT: Final = "text/plain"
#: What belongs together in an operation has this name: values of parameters, the body, the answer.
EXAMPLE: Final = "Example"
#: In an operation: the user who asks, in its example.
ASKED_BY: Final = "x-example-asked-by"

UNAUTHENTICATED: Final = "Nobody is logged in, or the credentials are not valid."
FORBIDDEN: Final = "The one who asks may not see this, whether it exists or not; or a session sends no CSRF token."
THROTTLED: Final = "Too many requests. `Retry-After` says in how many seconds the next is answered."
UNSUPPORTED: Final = "The body has a media type that the site does not read."
UNACCEPTABLE: Final = "`Accept` names no media type in which this can be answered."


def query(name: str, schema: Schema, description: str, example: Any = None) -> OpenApiParameter:
    """Return a parameter of the query; lists are written with commas."""
    lists = {"style": "form", "explode": False} if schema.get("type") == "array" else {}
    return OpenApiParameter(name, schema, description=description, examples=_example(example), **lists)  # type: ignore[arg-type]


def path(name: str, description: str, example: str) -> OpenApiParameter:
    """Return a part of the address."""
    return OpenApiParameter(
        name, {"type": "string"}, OpenApiParameter.PATH, description=description, examples=_example(example)
    )


def answers(
    schema: str, description: str, example: Any, *, media_type: str = JSON, status: int = 200
) -> dict[Any, Any]:
    """Return the answer to a request that is granted."""
    return {(status, media_type): OpenApiResponse(ref(schema), description=description, examples=_example(example))}


def unchanged() -> dict[Any, Any]:
    """Return the answer to a client that has what it asks for already."""
    return empty("Nothing has changed since the answer with the `ETag` that `If-None-Match` names.", 304)


def empty(description: str, *statuses: int) -> dict[Any, Any]:
    """Return answers without a body."""
    return {(status, JSON): OpenApiResponse(description=description) for status in statuses}


def errors(reasons: Mapping[int, str], *, text: frozenset[int] = frozenset()) -> dict[Any, Any]:
    """Return the answers to requests that are refused, for these reasons and for those that every operation has.

    *text*: the statuses whose body may be a line of plain text.
    """
    always = {401: UNAUTHENTICATED, 403: FORBIDDEN, 406: UNACCEPTABLE, 429: THROTTLED}
    return refusals({**always, **reasons}, text=text)


def refusals(reasons: Mapping[int, str], *, text: frozenset[int] = frozenset()) -> dict[Any, Any]:
    """Return the answers to requests that are refused, for these reasons alone."""
    found: dict[Any, Any] = {}
    for status, reason in sorted(reasons.items()):
        found[status, JSON] = OpenApiResponse(ref("Error"), description=reason)
        if status in text:
            found[status, TEXT] = OpenApiResponse({"type": "string"}, description=reason)
    return found


def describe(target: str, **methods: Any) -> type[OpenApiViewExtension]:
    """Make drf-spectacular describe the methods of a view, named by its path; the view does not know."""

    def view_replacement(self: OpenApiViewExtension) -> Any:
        copy = type(self.target.__name__, (self.target,), {})
        return extend_schema_view(**methods)(copy)

    # Its existence registers it; the priority, before what drf-spectacular says of a class that it knows.
    said = {"target_class": target, "view_replacement": view_replacement, "priority": 1}
    return type("Description", (OpenApiViewExtension,), said)


def operation(
    operation_id: str,
    *,
    tag: str,
    summary: str,
    description: str = "",
    parameters: list[OpenApiParameter],
    responses: dict[Any, Any],
    asked_by: str | None,
    body: tuple[Schema, Any] | None = None,
) -> Any:
    """Return the description of one operation. *asked_by*: the user who asks, in the example."""
    return extend_schema(
        operation_id=operation_id,
        tags=[tag],
        summary=summary,
        description=description,
        parameters=[*parameters, *HEADERS],
        request={JSON: body[0]} if body else None,
        examples=[OpenApiExample(EXAMPLE, body[1], request_only=True)] if body else [],
        responses=dict(sorted(responses.items(), key=str)),
        filters=False,
        extensions={ASKED_BY: asked_by} if asked_by else {},
    )


def _example(value: Any) -> list[OpenApiExample]:
    return [] if value is None else [OpenApiExample(EXAMPLE, value)]


HEADERS: Final = [
    OpenApiParameter(
        "Retry-After",
        {"type": "integer", "minimum": 1},
        OpenApiParameter.HEADER,
        description="In how many seconds the next request is answered.",
        response=[429],
        required=True,
    ),
    OpenApiParameter(
        "WWW-Authenticate",
        {"type": "string"},
        OpenApiParameter.HEADER,
        description="How to log in.",
        response=[401],
        required=True,
    ),
]
