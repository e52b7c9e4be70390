"""Our settings: one table of defaults, one accessor.

``docs/reference/settings.md`` has a row for each; a test compares the two.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

PREFIX: Final = "COMPLETION_AGGREGATOR_"

DEFAULTS: Final[dict[str, Any]] = {
    # what is aggregated
    "BLOCK_TYPES": frozenset({"course", "chapter", "sequential", "vertical"}),
    "PROJECTED_BLOCK_TYPES": None,  # None: all of BLOCK_TYPES
    "AGGREGATE_UNRELEASED_BLOCKS": False,
    "COMPLETION_MODES": {},  # block type -> "completable", "aggregator" or "excluded"
    # when
    "ASYNC_AGGREGATION": False,
    "BATCH_SIZE": 1000,
    "MAX_ATTEMPTS": 5,
    # who hears of it
    "TRACKING_EVENT_TYPES": frozenset(),
    "THRESHOLDS": {},  # block type -> percents above 0, up to 1
    "WEBHOOKS": (),  # of {"url": ..., "secret": ...}
    # the REST API
    "MAX_PAGE_SIZE": 100,
    "MEAN_CACHE_SECONDS": 300,
    "API_AUTHENTICATION_CLASSES": (),  # dotted paths; none: those that Django REST framework is told of
    # where courses come from
    "PLATFORM": "completion_aggregator.platforms.standalone.platform.StandalonePlatform",
    # what is kept in memory
    "GRAPH_CACHE_SIZE": 64,
}


def setting(name: str) -> Any:
    """Return our setting *name*, or its default; an unknown name fails at once."""
    return getattr(settings, PREFIX + name, DEFAULTS[name])


def block_types() -> frozenset[str]:
    """Return the aggregator types that clients may ask for."""
    return frozenset(setting("BLOCK_TYPES"))


def projected_block_types() -> frozenset[str]:
    """Return the types that are kept as rows of the ``Aggregator`` table."""
    projected = setting("PROJECTED_BLOCK_TYPES")
    return block_types() if projected is None else frozenset(projected) & block_types()


SHORTEST_SECRET: Final = 16


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a crossing is posted to, and what the post is signed with. The secret is never shown."""

    url: str
    secret: str = field(repr=False)

    @property
    def host(self) -> str:
        """What may be shown of the address: paths and queries often hold keys."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ip_address(host).is_loopback
        except ValueError:
            return False


def thresholds() -> dict[str, tuple[float, ...]]:
    """Return the percents to watch for, ascending, by block type. Raises ImproperlyConfigured."""
    return thresholds_in(setting("THRESHOLDS"))


def webhooks() -> tuple[Webhook, ...]:
    """Return where crossings are posted to. Raises ImproperlyConfigured, with a message that holds no secret."""
    return webhooks_in(setting("WEBHOOKS"))


def thresholds_in(value: object) -> dict[str, tuple[float, ...]]:
    """Return what *value*, as of the setting, says. Raises ImproperlyConfigured."""
    if not isinstance(value, dict):
        raise ImproperlyConfigured(f"{PREFIX}THRESHOLDS must map block types to percents, not be {value!r}")
    found = {kind: _percents(kind, percents) for kind, percents in value.items()}
    return {kind: percents for kind, percents in found.items() if percents}


def webhooks_in(value: object) -> tuple[Webhook, ...]:
    """Return what *value*, as of the setting, says. Raises ImproperlyConfigured."""
    if not isinstance(value, (list, tuple)):
        raise ImproperlyConfigured(f'{PREFIX}WEBHOOKS must be a list of {{"url", "secret"}}')
    found = tuple(_webhook(number, each) for number, each in enumerate(value, start=1))
    if len({each.url for each in found}) < len(found):
        raise ImproperlyConfigured(f"{PREFIX}WEBHOOKS names an address twice")
    return found


def _percents(kind: object, percents: Any) -> tuple[float, ...]:
    if not isinstance(kind, str) or not isinstance(percents, (list, tuple, set, frozenset)):
        raise ImproperlyConfigured(f"{PREFIX}THRESHOLDS must give a block type a list of percents, not {percents!r}")
    for each in percents:
        if isinstance(each, bool) or not isinstance(each, (int, float)) or not 0 < each <= 1:
            raise ImproperlyConfigured(f"{PREFIX}THRESHOLDS of {kind!r} must be above 0, up to 1, not {each!r}")
    return tuple(sorted({float(each) for each in percents}))


def _webhook(number: int, value: object) -> Webhook:
    wrong = f"entry {number} of {PREFIX}WEBHOOKS"
    if not isinstance(value, dict) or set(value) != {"url", "secret"}:
        raise ImproperlyConfigured(f'{wrong} must have "url" and "secret", and nothing else')
    url, secret = value["url"], value["secret"]
    if not isinstance(secret, str) or len(secret) < SHORTEST_SECRET:
        raise ImproperlyConfigured(f"{wrong} needs a secret of {SHORTEST_SECRET} characters or more")
    webhook = Webhook(url if isinstance(url, str) else "", secret)
    if not _may_be_called(webhook):
        raise ImproperlyConfigured(f"{wrong} needs an https:// address; http:// only for this machine")
    return webhook


def _may_be_called(webhook: Webhook) -> bool:
    # Those who read such an address do not agree which host it names.
    if any(each == "\\" or not each.isprintable() or each.isspace() for each in webhook.url):
        return False
    try:
        parts = urlsplit(webhook.url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and (parts.scheme == "https" or (parts.scheme == "http" and webhook.is_local))
