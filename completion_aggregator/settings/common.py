"""What the LMS is given before it reads its own files: ours where it says nothing, nothing in the place of its own."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, Final

from completion_aggregator.conf import PREFIX
from completion_aggregator.settings.studio import plugin_settings as same_as_in_studio

#: In the order in which they are tried, as the LMS's own views have them.
AUTHENTICATION: Final = (
    "edx_rest_framework_extensions.auth.jwt.authentication.JwtAuthentication",
    "openedx.core.lib.api.authentication.BearerAuthenticationAllowInactiveUser",
    "edx_rest_framework_extensions.auth.session.authentication.SessionAuthenticationAllowInactiveUser",
)
EVENT_TYPES: Final = ("course", "chapter", "sequential", "vertical")
EVENTS: Final = tuple(f"openedx.completion_aggregator.progress.{kind}" for kind in EVENT_TYPES)
ALLOWED_EVENTS: Final = "EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS"


def plugin_settings(settings: Any) -> None:
    """Fill in what *settings*, a module of the LMS, does not say."""
    same_as_in_studio(settings)
    _fill_in(settings, f"{PREFIX}TRACKING_EVENT_TYPES", list(EVENT_TYPES))
    # Without the package, our views ask those whom REST_FRAMEWORK names.
    if _is_installed("edx_rest_framework_extensions"):
        _fill_in(settings, f"{PREFIX}API_AUTHENTICATION_CLASSES", list(AUTHENTICATION))
    allow_events(settings)
    # event-routing-backends, if it ran before us, has made these of the names that were allowed until then.
    for names in _open_doors(settings):
        names.update(EVENTS)


def allow_events(settings: Any) -> None:
    """Let progress events become xAPI statements: each name once, however often this runs."""
    allowed = getattr(settings, ALLOWED_EVENTS, None)
    if not isinstance(allowed, list):
        allowed = list(allowed or ())
        setattr(settings, ALLOWED_EVENTS, allowed)
    # In place: event-routing-backends has handed the same list to the backend that it set up.
    allowed.extend(name for name in EVENTS if name not in allowed)


def _open_doors(settings: Any) -> Iterator[set[str]]:
    """Yield the sets of names that let in every event of which an xAPI statement is made."""
    backends = (getattr(settings, "EVENT_TRACKING_BACKENDS", None) or {}).values()
    processors = [each for backend in backends for each in _options(backend).get("processors") or ()]
    doors = [getattr(settings, "EVENT_BUS_TRACKING_LOGS", None)]
    doors += [_options(each).get("whitelist") for each in processors]
    statements = set(getattr(settings, ALLOWED_EVENTS)) - set(EVENTS)
    return (door for door in doors if isinstance(door, set) and statements and statements <= door)


def _options(configured: Any) -> Mapping[str, Any]:
    # A site that wants none of a backend, or of its options, may say null in its file.
    found: Mapping[str, Any] = (configured or {}).get("OPTIONS") or {}
    return found


def _fill_in(settings: Any, name: str, value: object) -> None:
    if not hasattr(settings, name):
        setattr(settings, name, value)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ImportError:
        return False
