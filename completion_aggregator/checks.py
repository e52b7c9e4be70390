"""System checks: a site that cannot work as promised is told so when it starts."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils.module_loading import import_string

from completion_aggregator.conf import (
    DEFAULTS,
    PREFIX,
    SHORTEST_SECRET,
    block_types,
    projected_block_types,
    setting,
    thresholds,
    webhooks,
)
from completion_aggregator.course_graph.blocks import CompletionMode
from completion_aggregator.ports import get_platform

#: JSON_TABLE and SKIP LOCKED came with these.
_OLDEST_MARIADB: Final = (10, 6)
_OLDEST_MYSQL: Final = (8, 0, 14)
_NAMES: Final = ("BLOCK_TYPES", "PROJECTED_BLOCK_TYPES", "TRACKING_EVENT_TYPES")
#: Whole numbers, and the least that each may be.
_COUNTS: Final = {
    **dict.fromkeys(("BATCH_SIZE", "MAX_ATTEMPTS", "GRAPH_CACHE_SIZE", "MAX_PAGE_SIZE", "MEAN_CACHE_SECONDS"), 1),
    "RECONCILE_LEARNERS": 0,
    "WORKER_METRICS_PORT": 0,
    "RECONCILE_HOURS": 1,
}
#: Gives everybody of whom a tally of a course is stored a row of progress, to be worked out anew.
_ADOPTION: Final = ("completion_aggregator", "0012_adopt_tallies")

_SWITCHES: Final = ("AGGREGATE_UNRELEASED_BLOCKS", "ASYNC_AGGREGATION", "METRICS_FOR_STAFF")

#: Settings of 4.x that nothing reads any more: what to do about each.
_OBSOLETE: Final = {
    f"{PREFIX}AGGREGATION_LOCK": "Any number of services may run at once, without a lock. Remove it.",
    f"{PREFIX}AGGREGATION_LOCK_TIMEOUT_SECONDS": "There is no lock that could be kept. Remove it.",
    f"{PREFIX}CLEANUP_LOCK": "Any number of clean-ups may run at once, without a lock. Remove it.",
    f"{PREFIX}CLEANUP_LOCK_TIMEOUT_SECONDS": "There is no lock that could be kept. Remove it.",
    f"{PREFIX}UPDATER_CACHE_TIMEOUT": "No structure is kept for a learner; a course is compiled once. Remove it.",
    f"{PREFIX}USE_COLLECTED_BLOCK_STRUCTURE": "The collected structure is always used. Remove it.",
    "ENABLE_COURSE_ACTIVITY_SIGNALS": "Changes of courses, cohorts and tracks are always heeded. Remove it.",
    "COMPLETION_AGGREGATED_MODEL_OVERRIDE": (
        f"Completions are read from edx-completion. To read others, write a platform and name it in {PREFIX}PLATFORM."
    ),
}


@checks.register(checks.Tags.compatibility)
def settings_mean_something(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Tell of settings that nothing reads."""
    present = {name for name in dir(settings) if name.startswith(PREFIX) or name in _OBSOLETE}
    known = {PREFIX + name for name in DEFAULTS}
    problems: list[checks.CheckMessage] = []
    for name in sorted(present - known):
        if name in _OBSOLETE:
            message, hint, number = f"{name} no longer means anything.", _OBSOLETE[name], "W003"
        else:
            (nearest, *_rest) = [*get_close_matches(name.removeprefix(PREFIX), DEFAULTS, n=1), ""]
            message, number = f"{name} is no setting of ours.", "W004"
            hint = f"Is {PREFIX}{nearest} meant?" if nearest else "docs/reference/settings names those that there are."
        problems.append(checks.Warning(message, hint=hint, id=f"completion_aggregator.{number}"))
    return problems


@checks.register(checks.Tags.database)
def upgrade_is_finished(
    app_configs: Any, databases: Collection[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Tell a site that comes from 4.x, and has not compared its old tallies with the facts, how to."""
    return [message for alias in databases or () for message in _upgrade(alias)]


@checks.register(checks.Tags.compatibility)
def settings_can_work(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Check the values of our settings."""
    problems: list[checks.CheckMessage] = []
    for name in _NAMES:
        value = setting(name)
        if value is not None and (isinstance(value, str) or not _is_names(value)):
            problems.append(_wrong(name, f"must be a set of block types, not {value!r}", "E001"))
    for name, least in _COUNTS.items():
        value = setting(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            problems.append(_wrong(name, f"must be a whole number from {least} on, not {value!r}", "E002"))
    problems += [
        _wrong(name, f"must be True or False, not {setting(name)!r}", "E008")
        for name in _SWITCHES
        if not isinstance(setting(name), bool)
    ]
    problems += _wrong_modes(setting("COMPLETION_MODES")) + _wrong_token(setting("METRICS_TOKEN"))
    for name, number, read in (("THRESHOLDS", "E005", thresholds), ("WEBHOOKS", "E006", webhooks)):
        try:
            read()
        except ImproperlyConfigured as error:
            problems.append(_error(name, str(error), number))
    if not problems:
        problems += _events_unseen() + _thresholds_unreached()
    if why := why_no_platform():
        problems.append(_error("PLATFORM", why, "E004"))
    return problems + _wrong_authentication(setting("API_AUTHENTICATION_CLASSES"))


@checks.register(checks.Tags.database)
def database_can_work(
    app_configs: Any, databases: Collection[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Check that each database can do what aggregation needs of it."""
    problems: list[checks.CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor == "sqlite":
            problems += _sqlite(alias)
        elif connection.vendor == "mysql":
            problems += _mysql(alias)
        elif connection.vendor != "postgresql":
            problems.append(
                checks.Error(
                    f"Database {alias!r} is {connection.vendor}; we work on SQLite, MariaDB, MySQL and PostgreSQL.",
                    id="completion_aggregator.E010",
                )
            )
    return problems


def _upgrade(alias: str) -> list[checks.CheckMessage]:
    try:
        if not _is_from_4x(alias):
            return []
    except DatabaseError as error:
        # Raised, it would keep `migrate`, which runs these checks first, from mending what it comes from.
        message = f"Database {alias!r} does not tell whether tallies of 4.x are left: {error}"
        return [checks.Warning(message, hint="Are all migrations applied?", id="completion_aggregator.W006")]
    return [
        checks.Warning(
            f"Database {alias!r} has tallies that 4.x stored, of learners who were not refreshed since.",
            hint="Run `aggregator_reconcile --all`, and let `run_aggregator_service` do what it finds:"
            " docs/how-to/upgrade.",
            id="completion_aggregator.W005",
        )
    ]


def _is_from_4x(alias: str) -> bool:
    tallies, progress = (apps.get_model("completion_aggregator", name) for name in ("Aggregator", "CourseProgress"))
    tables = {each._meta.db_table for each in (tallies, progress)}
    connection = connections[alias]
    if not tables <= set(connection.introspection.table_names()):
        return False  # before the migrations, or a database that these tables are not in
    if _ADOPTION not in MigrationRecorder(connection).applied_migrations():
        return False  # between the migrations, where tables need not have the columns that the models have
    if not tallies._default_manager.using(alias).exists() or why_no_platform():
        return False
    waiting = progress._default_manager.using(alias).filter(as_of__isnull=True, begun=True)
    keys = waiting.order_by().values_list("course__course_key", flat=True).distinct()
    # Of a course that the platform does not have any more, nothing can be worked out anew.
    return bool(keys) and not set(keys).isdisjoint(get_platform().course_keys())


def _wrong(name: str, why: str, number: str) -> checks.Error:
    return _error(name, f"{PREFIX}{name} {why}", number)


def _error(name: str, message: str, number: str) -> checks.Error:
    return checks.Error(
        f"{message}.",
        hint=f"The default is {DEFAULTS[name]!r}; docs/reference/settings tells what it does.",
        id=f"completion_aggregator.{number}",
    )


def _is_names(value: object) -> bool:
    return isinstance(value, Iterable) and all(isinstance(each, str) for each in value)


def _wrong_modes(modes: object) -> list[checks.CheckMessage]:
    allowed = ", ".join(CompletionMode)
    if not isinstance(modes, dict):
        return [_wrong("COMPLETION_MODES", f"must map block types to modes ({allowed}), not be {modes!r}", "E003")]
    return [
        _wrong("COMPLETION_MODES", f"gives {kind!r} the mode {mode!r}; there are {allowed}", "E003")
        for kind, mode in modes.items()
        if mode not in list(CompletionMode)  # no set: what stands there may be a list
    ]


def _wrong_token(token: object) -> list[checks.CheckMessage]:
    if not isinstance(token, str) or 0 < len(token) < SHORTEST_SECRET:
        return [_wrong("METRICS_TOKEN", f"must be a text of {SHORTEST_SECRET} characters or more", "E009")]
    if token and find_spec("prometheus_client") is None:
        return [
            checks.Warning(
                f"{PREFIX}METRICS_TOKEN is set, and nothing counts: prometheus-client is not installed.",
                hint="pip install 'completion-aggregator[metrics]'",
                id="completion_aggregator.W007",
            )
        ]
    return []


def _wrong_authentication(paths: object) -> list[checks.CheckMessage]:
    name, number = "API_AUTHENTICATION_CLASSES", "E007"
    if not isinstance(paths, (list, tuple)):
        return [_wrong(name, f"must be a list of dotted paths, not {paths!r}", number)]
    problems: list[checks.CheckMessage] = []
    for path in paths:
        if why := why_not_imported(path):
            problems.append(_wrong(name, f"names {path!r}, which cannot be imported: {why}", number))
        elif not _authenticates(import_string(path)):
            problems.append(_wrong(name, f"names {path!r}, which is no class derived from BaseAuthentication", number))
    return problems


def why_not_imported(path: object) -> str:
    """Return why nothing can be imported from *path*; an empty text when something can."""
    if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")):
        return f"{path!r} is no dotted path"
    try:
        import_string(path)
    # Django says the last two: of a model whose app is not installed, and of a setting that a module asks for.
    except (ImportError, RuntimeError, ImproperlyConfigured) as error:
        return str(error)
    return ""


def why_no_platform() -> str:
    """Return why the setting names no platform; an empty text where it does."""
    path = setting("PLATFORM")
    if why := why_not_imported(path):
        return f"{PREFIX}PLATFORM cannot be imported: {why}"
    try:
        get_platform()
    except ImproperlyConfigured as error:
        return str(error)
    return ""


def _authenticates(found: object) -> bool:
    from rest_framework.authentication import BaseAuthentication

    return isinstance(found, type) and issubclass(found, BaseAuthentication)


def _events_unseen() -> list[checks.CheckMessage]:
    unseen = sorted(frozenset(setting("TRACKING_EVENT_TYPES") or ()) - projected_block_types())
    if not unseen:
        return []
    return [
        checks.Warning(
            f"{PREFIX}TRACKING_EVENT_TYPES names {', '.join(unseen)}, of which no rows are kept: no events come.",
            hint=f"A change is seen in the rows of a type: add the type to {PREFIX}PROJECTED_BLOCK_TYPES.",
            id="completion_aggregator.W001",
        )
    ]


def _thresholds_unreached() -> list[checks.CheckMessage]:
    # Not asked of the platform: to answer, an LMS may have to load every block type that is installed.
    aggregators = {kind for kind, mode in setting("COMPLETION_MODES").items() if mode == CompletionMode.AGGREGATOR}
    unknown = sorted(thresholds().keys() - block_types() - aggregators)
    if not unknown:
        return []
    return [
        checks.Warning(
            f"{PREFIX}THRESHOLDS names {', '.join(unknown)}, which {PREFIX}BLOCK_TYPES does not:"
            " nobody reaches them, unless the platform has aggregators of this type.",
            hint="Only types whose completion is that of their children have percents to reach. Is the name right?",
            id="completion_aggregator.W002",
        )
    ]


def _sqlite(alias: str) -> list[checks.CheckMessage]:
    options = connections[alias].settings_dict.get("OPTIONS", {})
    if str(options.get("transaction_mode", "")).upper() in {"IMMEDIATE", "EXCLUSIVE"}:
        return []
    return [
        checks.Error(
            f"Database {alias!r} is SQLite with deferred transactions: two writers both read before either writes.",
            hint='Set OPTIONS["transaction_mode"] = "IMMEDIATE" in DATABASES.',
            id="completion_aggregator.E011",
        )
    ]


def _mysql(alias: str) -> list[checks.CheckMessage]:
    connection: Any = connections[alias]
    oldest = _OLDEST_MARIADB if connection.mysql_is_mariadb else _OLDEST_MYSQL
    if connection.mysql_version >= oldest:
        return []
    name = "MariaDB" if connection.mysql_is_mariadb else "MySQL"
    return [
        checks.Error(
            f"Database {alias!r} is {name} {'.'.join(map(str, connection.mysql_version))};"
            f" aggregation needs {'.'.join(map(str, oldest))} or newer.",
            id="completion_aggregator.E012",
        )
    ]
