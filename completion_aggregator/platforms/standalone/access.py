"""Who may call the API of the standalone site, in which form and how often: the settings of Django REST framework."""

import re
from typing import Any, Final

from completion_aggregator.platforms.standalone import environment

RATE: Final = re.compile(r"[1-9][0-9]*/(s|sec|second|m|min|minute|h|hour|d|day)")
NO_LIMIT: Final = "none"

#: How many requests, by whom; the environment may say otherwise.
RATES: Final = {
    "anon": ("API_RATE_ANONYMOUS", "60/min"),  # from one address
    "user": ("API_RATE_USER", "600/min"),  # by one user, from wherever
    "login": ("API_RATE_LOGIN", "10/min"),  # attempts at one username from one address
}


def rest_framework() -> dict[str, Any]:
    """Return the setting ``REST_FRAMEWORK``."""
    return {
        # The first class decides how a request without credentials is refused; a session's would say 403.
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework.authentication.TokenAuthentication",
            "rest_framework.authentication.SessionAuthentication",
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        "DEFAULT_THROTTLE_CLASSES": [
            "rest_framework.throttling.AnonRateThrottle",
            "rest_framework.throttling.UserRateThrottle",
        ],
        "DEFAULT_THROTTLE_RATES": {scope: _rate(*rate) for scope, rate in RATES.items()},
        # The address is the one that the server sees. It alone knows which proxy to believe: serve --trusted-proxy.
        "NUM_PROXIES": 0,
        "DEFAULT_PAGINATION_CLASS": "edx_rest_framework_extensions.paginators.NamespacedPageNumberPagination",
        "PAGE_SIZE": 10,
    }


def parse_rate(raw: str) -> str | None:
    """Return a rate as Django REST framework reads it, None for no limit; raise ValueError for anything else."""
    rate = raw.lower().replace(" ", "")
    if rate == NO_LIMIT:
        return None
    if not RATE.fullmatch(rate):
        raise ValueError(raw)
    return rate


def _rate(variable: str, default: str | None) -> str | None:
    expected = "requests per s, min, hour or day, such as 600/min, or none for no limit"
    return environment.read(variable, parse_rate, default, expected=expected)
