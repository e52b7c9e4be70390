"""Accounts: the form of a new one, and changes of settings. All of it is private; passwords are dropped for good."""

from typing import Any, Final

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.values import text

#: The course is that of the event.
_COLUMNS: Final = tables.ACCOUNT.own
#: Other names of the fields of the form.
_ALIASES: Final = {"receive_emails": "receive_email", "mailing_address": "address"}
#: Settings that say nothing about who somebody is.
_PLAIN_SETTINGS: Final = frozenset(
    {"language", "pref-lang", "time_zone", "account_privacy", "dark-lang", "language_proficiencies"}
)
_LONGEST: Final = 4000


def registered(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take the form of a new account."""
    form = payload.get("POST", payload)
    _kept(form if isinstance(form, dict) else {}, batch)
    payload.clear()
    return ""


def emails_chosen(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take whether somebody wants mail of a course."""
    course = payload.get("course")
    registered(action, payload, batch)
    if isinstance(course, str) and course != batch.course:
        payload["course"] = course
    return ""


def setting_changed(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a changed setting: what it was and is goes into the private table, if that has a column for it."""
    name = payload.get("setting")
    payload.pop("user_id", None)
    if not isinstance(name, str) or name not in _PLAIN_SETTINGS:
        payload.pop("old", None)
        value = payload.pop("new", None)
        if isinstance(name, str) and name in _COLUMNS:
            _kept({name: value}, batch)
    return ""


def _kept(form: dict[str, Any], batch: Batch) -> None:
    """Add a row with the fields of the form that are known; if there are none, there is no row."""
    values = tuple(_value(form, name) for name in _COLUMNS)
    if any(value is not None for value in values):
        batch.account.append((batch.row, *values))


def _value(form: dict[str, Any], name: str) -> str | None:
    value = form.get(name)
    if value is None and name in _ALIASES:
        value = form.get(_ALIASES[name])
    if isinstance(value, list):  # forms may have a field more than once
        value = value[0] if value else None
    if isinstance(value, bool | int | float):
        value = str(value)
    found = text(value)
    return found[:_LONGEST] if found else None


ACTIONS: Final[dict[str, tuple[str, Transform | None]]] = {
    "/create_account": ("", registered),
    "/user_api/v1/account/registration/": ("", registered),
    "/user_api/v1/account/registration": ("", registered),
    "/api/user/v1/account/registration/": ("", registered),
    "/api/user/v1/account/registration": ("", registered),
    "/api/user/v2/account/registration/": ("", registered),
    "/api/user/v2/account/registration": ("", registered),
    "change-email-settings": ("", emails_chosen),
    "edx.user.settings.changed": ("", setting_changed),
    "edx.user.settings.change_initiated": ("", setting_changed),
    "edx.user.settings.viewed": ("", setting_changed),
    "edx.user.login": ("", None),
    "edx.user.logout": ("", None),
}
