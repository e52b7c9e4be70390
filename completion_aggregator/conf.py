"""Our settings: one table, one accessor.

``make settings`` writes the tables of ``docs/reference/settings.md`` from it; a test compares the two.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

PREFIX: Final = "COMPLETION_AGGREGATOR_"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of ours: the part of the page that tells of it, its default, and what it means."""

    part: str
    default: Any
    meaning: str


_WHAT: Final = "What is aggregated"
_WHEN: Final = "When"
_WHO: Final = "Who hears of it"
_API: Final = "The REST API"
_WHERE: Final = "Where courses come from"
_MEMORY: Final = "What is kept in memory"
_MONITORS: Final = "Monitors"
_TRACKING: Final = "Tracking logs"

SETTINGS: Final[dict[str, Setting]] = {
    "BLOCK_TYPES": Setting(
        _WHAT,
        frozenset({"course", "chapter", "sequential", "vertical"}),
        "The aggregator types that clients may ask for, and for which progress is exported.",
    ),
    "PROJECTED_BLOCK_TYPES": Setting(
        _WHAT,
        None,
        "The types kept as rows of the table `completion_aggregator_aggregator`, for software that reads it. `None`:"
        " all of `COMPLETION_AGGREGATOR_BLOCK_TYPES`. What the API answers does not depend on it, and each further"
        " level costs writing time: a standalone site keeps `{'course'}` unless told otherwise. After a change,"
        " `reaggregate_course --all` and the service write the rows of new levels and remove those of old ones.",
    ),
    "AGGREGATE_UNRELEASED_BLOCKS": Setting(
        _WHAT, default=False, meaning="Count blocks whose start date is still to come."
    ),
    "COMPLETION_MODES": Setting(
        _WHAT,
        {},
        'Completion modes of block types that are unknown, or known otherwise: block type to `"completable"`,'
        ' `"aggregator"` or `"excluded"`. A course has them from when its content is next read: at its next publish'
        " in an LMS, at its next import in a standalone site.",
    ),
    "ASYNC_AGGREGATION": Setting(
        _WHEN,
        default=False,
        meaning="`False`: the learner's progress is brought up to date right after each completion is stored. `True`:"
        " it waits for `run_aggregator_service`.",
    ),
    "BATCH_SIZE": Setting(_WHEN, 1000, "Learners of one course in one transaction."),
    "MAX_ATTEMPTS": Setting(
        _WHEN,
        5,
        "After so many failed attempts in a row a learner is set aside; `aggregator_status` names them.",
    ),
    "RECONCILE_LEARNERS": Setting(
        _WHEN,
        1000,
        "Learners whom `run_aggregator_service` compares with their completions in each run, to find what no signal"
        " told of; `0`: none.",
    ),
    "RECONCILE_HOURS": Setting(
        _WHEN, 24, "A course whose learners have all been compared rests for so long before it is its turn again."
    ),
    "TRACKING_EVENT_TYPES": Setting(
        _WHO,
        frozenset(),
        "The aggregator types for which a tracking event is emitted when their progress changed; `None` is none, too.",
    ),
    "THRESHOLDS": Setting(
        _WHO,
        {},
        "Which percents, above 0 and up to 1, are told when a learner reaches them: block type to a list, such as"
        ' `{"course": [0.5, 1.0], "chapter": [1.0]}`. A check warns of types that are not in'
        " `COMPLETION_AGGREGATOR_BLOCK_TYPES`. See [React to progress](../how-to/react-to-progress.md).",
    ),
    "WEBHOOKS": Setting(
        _WHO,
        (),
        'Where that is posted to: a list of `{"url": "https://...", "secret": "..."}`. A secret has 16 characters or'
        " more. `http://` is taken for this machine alone.",
    ),
    "MAX_PAGE_SIZE": Setting(_API, 100, "The most entries on a page, whatever `page_size` asks for."),
    "MEAN_CACHE_SECONDS": Setting(_API, 300, "How long the mean of a course is kept in the cache."),
    "API_AUTHENTICATION_CLASSES": Setting(
        _API,
        (),
        "Dotted paths of the classes that tell who asks, in the order in which they are tried, each derived from the"
        " REST framework's `BaseAuthentication`; none: those of `REST_FRAMEWORK`.",
    ),
    "PLATFORM": Setting(
        _WHERE,
        "completion_aggregator.platforms.standalone.platform.StandalonePlatform",
        "The class that answers for courses, enrollments and visibility.",
    ),
    "GRAPH_CACHE_SIZE": Setting(_MEMORY, 64, "Course graphs that one process keeps."),
    "METRICS_TOKEN": Setting(
        _MONITORS,
        "",
        "With it, Prometheus reads `completion-aggregator/metrics` (`Authorization: Bearer ...`): 16 characters or"
        " more. None: it reads nothing there. See [Observe it](../how-to/observe.md).",
    ),
    "METRICS_FOR_STAFF": Setting(
        _MONITORS,
        default=False,
        meaning="Let global staff read the metrics in their browser. A standalone site does unless told otherwise.",
    ),
    "WORKER_METRICS_PORT": Setting(
        _MONITORS, 0, "A port on which each Celery worker answers Prometheus, for whoever reaches it; `0`: none."
    ),
    "WORKER_METRICS_ADDRESS": Setting(_MONITORS, "127.0.0.1", "The address of that port; `0.0.0.0`: all there are."),
    "TRACKING_STORE": Setting(
        _TRACKING,
        "",
        "The folder of the tables that tracking logs become; none: `tracking` in the site's folder. In an LMS, learners"
        " who are retired are [forgotten there](../how-to/read-tracking-logs.md#retirement-in-the-lms) if it is set.",
    ),
    "TRACKING_PRIVATE_STORE": Setting(
        _TRACKING,
        "",
        "The folder of the tables that say who; none: beside the store, under its name with `-private` behind it.",
    ),
    "TRACKING_KEYS": Setting(
        _TRACKING,
        "",
        "The file of the keys that make names into pseudonyms; none: beside the store, under its name with"
        " `-keys.json` behind it. Keep a copy elsewhere.",
    ),
    "TRACKING_COUNTRIES": Setting(
        _TRACKING, "", "A database of the countries of addresses, in the form of MaxMind (`.mmdb`); none: no countries."
    ),
    "TRACKING_KEEP_TEXT": Setting(
        _TRACKING,
        default=False,
        meaning="Keep the text of discussions and open responses, in the private store.",
    ),
    "TRACKING_KEEP_RAW": Setting(
        _TRACKING, default=False, meaning="Keep each event as it was written, in the private store."
    ),
    "TRACKING_CLICKHOUSE_PASSWORD": Setting(
        _TRACKING,
        "",
        "The password of the user in ClickHouse, where the tables of tracking logs are there; the environment's"
        " `CLICKHOUSE_PASSWORD` goes before it.",
    ),
}

DEFAULTS: Final[dict[str, Any]] = {name: each.default for name, each in SETTINGS.items()}


def setting(name: str) -> Any:
    """Return our setting *name*, or its default where none is given, or None; an unknown name fails at once."""
    default = DEFAULTS[name]
    given = getattr(settings, PREFIX + name, None)
    return default if given is None else given


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
