"""Settings from environment variables, with messages that name the variable."""

import json
import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

from environ import ImproperlyConfigured

from completion_aggregator.conf import DEFAULTS, PREFIX, SHORTEST_SECRET, thresholds_in, webhooks_in
from completion_aggregator.course_graph.blocks import CompletionMode
from completion_aggregator.exceptions import InvalidSetting

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

Value = TypeVar("Value")


def read(
    name: str,
    parse: Callable[[str], Value],
    default: Value,
    *,
    expected: str,
    secret: bool = False,
    explained: bool = False,
) -> Value:
    """Return the variable *name*, parsed; *default* when it is unset or empty. A secret is not repeated in an error.

    *explained*: what *parse* says in an ImproperlyConfigured may be shown, for it holds no secret.
    """
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    try:
        return parse(raw)
    except (ValueError, TypeError, LookupError, RecursionError, ImproperlyConfigured) as error:
        why = _sentence(str(error)) if explained and isinstance(error, ImproperlyConfigured) else ""
        raise InvalidSetting(f"{name}{'' if secret else f'={raw!r}'}: expected {expected}.{why}") from error


def flag(name: str, *, default: bool) -> bool:
    """Return a yes-or-no variable."""
    return read(name, parse_flag, default, expected="true or false")


def names(name: str, *, default: tuple[str, ...] = ()) -> list[str]:
    """Return a variable that lists names with commas."""
    return read(name, parse_names, list(default), expected="names with commas between them")


def own_settings() -> dict[str, Any]:
    """Return each ``COMPLETION_AGGREGATOR_*`` setting that the environment gives, by its full name.

    How a value is read follows from the type of the setting's default; some have a reader of their own.
    """
    found = {PREFIX + name: _own_setting(PREFIX + name, default) for name, default in DEFAULTS.items()}
    return {name: value for name, value in found.items() if value is not None}


def parse_flag(raw: str) -> bool:
    """Return the truth that *raw* states; raise ValueError when it states none."""
    word = raw.lower()
    if word not in TRUE | FALSE:
        raise ValueError(raw)
    return word in TRUE


def parse_names(raw: str) -> list[str]:
    """Return the names in a list with commas."""
    return [name.strip() for name in raw.split(",") if name.strip()]


def parse_count(raw: str) -> int:
    """Return a whole number above zero."""
    return _whole(raw, least=1)


def parse_count_or_none(raw: str) -> int:
    """Return a whole number; zero is none."""
    return _whole(raw, least=0)


def parse_log_level(raw: str) -> str:
    """Return the name of a level as logging knows it."""
    level = raw.upper()
    if level not in logging.getLevelNamesMapping():
        raise ValueError(raw)
    return level


def parse_log_format(raw: str) -> str:
    """Return the name of a form that log lines have."""
    form = raw.lower()
    if form not in {"text", "json"}:
        raise ValueError(raw)
    return form


def parse_modes(raw: str) -> dict[str, str]:
    """Return completion modes by block type."""
    modes = json.loads(raw)
    return {block_type: CompletionMode(mode).value for block_type, mode in dict(modes).items()}


def parse_thresholds(raw: str) -> dict[str, tuple[float, ...]]:
    """Return percents by block type."""
    return thresholds_in(json.loads(raw))


def parse_webhooks(raw: str) -> list[dict[str, str]]:
    """Return addresses with their secrets."""
    found: list[dict[str, str]] = json.loads(raw)
    webhooks_in(found)
    return found


def parse_secret(raw: str) -> str:
    """Return a secret that is long enough to be one."""
    if len(raw) < SHORTEST_SECRET:
        raise ValueError
    return raw


def _whole(raw: str, *, least: int) -> int:
    count = int(raw)
    if count < least:
        raise ValueError(raw)
    return count


def _sentence(reason: str) -> str:
    return f" {reason[:1].upper()}{reason[1:]}."


def _own_setting(name: str, default: object) -> Any:
    if name == PREFIX + "THRESHOLDS":
        expected = 'JSON such as {"course": [0.5, 1.0]}, above 0 and up to 1'
        return read(name, parse_thresholds, None, expected=expected, explained=True)
    if name == PREFIX + "WEBHOOKS":
        expected = f'JSON such as [{{"url": "https://...", "secret": "{SHORTEST_SECRET} characters or more"}}]'
        return read(name, parse_webhooks, None, expected=expected, secret=True, explained=True)
    if isinstance(default, bool):
        return read(name, parse_flag, None, expected="true or false")
    if isinstance(default, int):
        none = name in {PREFIX + "RECONCILE_LEARNERS", PREFIX + "WORKER_METRICS_PORT"}
        expected = "a whole number, or 0 for none" if none else "a whole number above zero"
        return read(name, parse_count_or_none if none else parse_count, None, expected=expected)
    if isinstance(default, dict):
        return read(name, parse_modes, None, expected='JSON such as {"poll": "completable", "chat": "excluded"}')
    if isinstance(default, str):
        secret = name == PREFIX + "METRICS_TOKEN"
        expected = f"{SHORTEST_SECRET} characters or more" if secret else "text"
        return read(name, parse_secret if secret else str, None, expected=expected, secret=secret)
    if isinstance(default, tuple):  # the order counts
        return read(name, parse_names, None, expected="names with commas between them")
    return read(name, lambda raw: frozenset(parse_names(raw)), None, expected="names with commas between them")
