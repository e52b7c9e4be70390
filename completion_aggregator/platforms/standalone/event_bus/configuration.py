"""Where the bus is, and what is read from it: checked before anything is read."""

import os
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.platforms.standalone import environment

CONSUMER: Final = "completion_aggregator.platforms.standalone.event_bus.consumer.Consumer"
TOPICS: Final = ("completion-lifecycle", "enrollment-lifecycle")
GROUP: Final = "completion-aggregator"
SECONDS_TO_WAIT: Final = 10
SECONDS_TO_ANSWER: Final = 30
SCHEMES: Final = frozenset({"redis", "rediss", "unix"})


class EventBusNotReady(CompletionAggregatorError):
    """The event bus cannot be used as it is configured; the message says what to do."""


def django_settings() -> dict[str, Any]:
    """Return the Django settings of the bus, out of the environment."""
    place = environment.read(
        "EVENT_BUS_URL", _checked_url, None, expected="redis://host:6379/0 or rediss://host:6379/0", secret=True
    )
    return {
        "EVENT_BUS_CONSUMER": CONSUMER,
        "EVENT_BUS_REDIS_CONNECTION_URL": place,
        "EVENT_BUS_TOPIC_PREFIX": os.environ.get("EVENT_BUS_TOPIC_PREFIX", "").strip() or None,
        "EVENT_BUS_TOPICS": environment.names("EVENT_BUS_TOPICS", default=TOPICS),
        "EVENT_BUS_GROUP": os.environ.get("EVENT_BUS_GROUP", "").strip() or GROUP,
        # Shorter than the time after which the connection counts as dead, or a quiet topic would end its consumer.
        "EVENT_BUS_REDIS_CONSUMER_POLL_TIMEOUT": SECONDS_TO_WAIT,
        # What watches us is up to who runs us: without this, it is a service that is not installed.
        "OPENEDX_TELEMETRY": [],
        # It tells of each event twice.
        "EVENT_BUS_REDIS_AUDIT_LOGGING_ENABLED": False,
    }


def url() -> str:
    """Return where the bus is; empty where there is none."""
    return getattr(settings, "EVENT_BUS_REDIS_CONNECTION_URL", None) or ""


def check() -> None:
    """Raise EventBusNotReady unless there is a bus to read from."""
    if not url():
        raise EventBusNotReady("There is no event bus: set EVENT_BUS_URL, such as redis://host:6379/0.")
    if find_spec("edx_event_bus_redis") is None:
        raise EventBusNotReady(
            "The event bus needs edx-event-bus-redis. Run: pip install 'completion-aggregator[standalone,event-bus]'"
        )


def topics() -> list[str]:
    """Return the topics to read, without prefix."""
    return list(getattr(settings, "EVENT_BUS_TOPICS", TOPICS))


def group() -> str:
    """Return the name under which the bus remembers how far we have read."""
    return str(getattr(settings, "EVENT_BUS_GROUP", GROUP))


def shown_url() -> str:
    """Return where the bus is, without passwords."""
    parts = urlsplit(url())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def full_topic(topic: str) -> str:
    """Return the name of a topic's stream."""
    prefix = getattr(settings, "EVENT_BUS_TOPIC_PREFIX", None)
    return f"{prefix}-{topic}" if prefix else topic


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not (parts.hostname or parts.scheme == "unix") or parts.port == 0:
        raise ValueError(url)
    if "socket_timeout=" in parts.query:
        return url
    # Without one, a connection that was cut off somewhere between would be waited for without end.
    return f"{url}{'&' if parts.query else '?'}socket_timeout={SECONDS_TO_ANSWER}"
