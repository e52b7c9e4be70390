"""The description of the whole API, for drf-spectacular: settings of a site that describe it are in openapi_settings.

The views know nothing of it: what is said of them stands beside them, in ``openapi_v0`` and its siblings.
"""

from typing import Any, TypeAlias

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from completion_aggregator.aggregation.rest_api import openapi_components, openapi_components_v2, openapi_webhooks

Endpoint: TypeAlias = tuple[str, str, str, Any]

#: Addresses of views whose answers are described.
OURS = ("/completion-aggregator/", "/api/token/")


def described(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints to describe, once the descriptions are known; the first thing that a generation runs."""
    from completion_aggregator.aggregation.rest_api import openapi_v0, openapi_v1, openapi_v2  # noqa: F401 - importing registers

    return [endpoint for endpoint in endpoints if endpoint[0].startswith(OURS)]


def completed(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """Return the description with the shapes that operations refer to, and with what we post to others."""
    schemas = {**openapi_components.SCHEMAS, **openapi_components_v2.SCHEMAS}
    components = result["components"] | {"schemas": dict(sorted(schemas.items()))}
    for methods in result["paths"].values():
        for operation in methods.values():
            _require_body(operation)
    return result | {"components": components, "webhooks": openapi_webhooks.WEBHOOKS}


def _require_body(operation: dict[str, Any]) -> None:
    """Say that a request needs its body where the body needs a property: drf-spectacular asks serializers alone."""
    body = operation.get("requestBody", {"content": {}})
    if any("required" in content["schema"] for content in body["content"].values()):
        body["required"] = True


class TokenScheme(OpenApiAuthenticationExtension):
    """A token in a header."""

    target_class = "rest_framework.authentication.TokenAuthentication"
    name = "token"
    priority = 1

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Say what the header holds."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token` and, after a space, the token that `POST /api/token/` answers with.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    """The cookie of a browser that has logged in."""

    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"
    priority = 1

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Say which cookie, and what else a POST needs."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": f"The cookie of a browser that logged in. POST also needs the cookie"
            f" `{settings.CSRF_COOKIE_NAME}`, and its value in the header `X-CSRFToken`.",
        }
