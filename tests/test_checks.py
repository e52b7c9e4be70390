"""A site that cannot work is told so when it starts."""

from typing import Any

import pytest
from django.core import checks
from django.db import connection

from completion_aggregator.checks import database_can_work, settings_can_work
from completion_aggregator.conf import Webhook

SECRET = "a secret of the tests"
AUTHENTICATION = "API_AUTHENTICATION_CLASSES"
BASIC = "rest_framework.authentication.BasicAuthentication"
HOOK = {"url": "https://example.org/hook", "secret": SECRET}


def messages(found: list[checks.CheckMessage]) -> list[tuple[str | None, str]]:
    return [(each.id, str(each.msg)) for each in found]


def test_the_defaults_can_work() -> None:
    assert settings_can_work(None) == []


@pytest.mark.parametrize(
    ("name", "value", "number", "words"),
    [
        ("BLOCK_TYPES", "course", "E001", "must be a set of block types, not 'course'"),
        ("PROJECTED_BLOCK_TYPES", 4, "E001", "must be a set of block types, not 4"),
        ("BATCH_SIZE", 0, "E002", "must be a whole number from 1 on, not 0"),
        ("MAX_ATTEMPTS", "5", "E002", "must be a whole number from 1 on, not '5'"),
        ("MAX_PAGE_SIZE", None, "E002", "must be a whole number from 1 on, not None"),
        ("MAX_PAGE_SIZE", 0, "E002", "must be a whole number from 1 on, not 0"),
        ("MEAN_CACHE_SECONDS", 1.5, "E002", "must be a whole number from 1 on, not 1.5"),
        ("MEAN_CACHE_SECONDS", -1, "E002", "must be a whole number from 1 on, not -1"),
        ("COMPLETION_MODES", ["scorm"], "E003", "must map block types to modes"),
        ("COMPLETION_MODES", {"scorm": "counted"}, "E003", "gives 'scorm' the mode 'counted'"),
        ("PLATFORM", "nowhere.Platform", "E004", "cannot be imported"),
        ("PLATFORM", None, "E004", "cannot be imported: None is no dotted path"),
        ("PLATFORM", ".nowhere.Platform", "E004", "cannot be imported: '.nowhere.Platform' is no dotted path"),
        (AUTHENTICATION, BASIC, "E007", f"must be a list of dotted paths, not '{BASIC}'"),
        (AUTHENTICATION, None, "E007", "must be a list of dotted paths, not None"),
        (
            AUTHENTICATION,
            [BASIC, "nowhere.Class"],
            "E007",
            "names 'nowhere.Class', which cannot be imported: No module",
        ),
        (AUTHENTICATION, [f"{BASIC}s"], "E007", f"names '{BASIC}s', which cannot be imported: Module"),
        (AUTHENTICATION, ["Basic Auth"], "E007", "cannot be imported: 'Basic Auth' is no dotted path"),
        (AUTHENTICATION, [int], "E007", "cannot be imported: <class 'int'> is no dotted path"),
        (AUTHENTICATION, ["django.contrib.sites.models.Site"], "E007", "isn't in an application in INSTALLED_APPS"),
        (AUTHENTICATION, ("json.JSONDecoder",), "E007", "'json.JSONDecoder', which is no class derived from"),
        (AUTHENTICATION, ["json.dumps"], "E007", "names 'json.dumps', which is no class derived from"),
        ("THRESHOLDS", [0.5], "E005", "must map block types to percents"),
        ("THRESHOLDS", {"course": 1.0}, "E005", "must give a block type a list of percents, not 1.0"),
        ("THRESHOLDS", {"course": "1"}, "E005", "must give a block type a list of percents, not '1'"),
        ("THRESHOLDS", {3: [1.0]}, "E005", "must give a block type a list of percents"),
        ("THRESHOLDS", {"course": [0.5, 0]}, "E005", "of 'course' must be above 0, up to 1, not 0"),
        ("THRESHOLDS", {"course": [50]}, "E005", "of 'course' must be above 0, up to 1, not 50"),
        ("THRESHOLDS", {"course": [True]}, "E005", "of 'course' must be above 0, up to 1, not True"),
        ("THRESHOLDS", {"course": [float("nan")]}, "E005", "of 'course' must be above 0, up to 1, not nan"),
        ("WEBHOOKS", "https://example.org", "E006", "must be a list of"),
        ("WEBHOOKS", ["https://example.org"], "E006", "entry 1 of"),
        (
            "WEBHOOKS",
            [HOOK, {"url": "https://b.example.org"}],
            "E006",
            'must have "url" and "secret", and nothing else',
        ),
        ("WEBHOOKS", [HOOK | {"verify": False}], "E006", "and nothing else"),
        ("WEBHOOKS", [HOOK | {"secret": "short"}], "E006", "needs a secret of 16 characters or more"),
        ("WEBHOOKS", [HOOK | {"url": "http://example.org/"}], "E006", "needs an https:// address"),
        ("WEBHOOKS", [HOOK | {"url": "http://127.0.0.1.example.org/"}], "E006", "needs an https:// address"),
        ("WEBHOOKS", [HOOK | {"url": "http://example.org\\@127.0.0.1/"}], "E006", "needs an https:// address"),
        ("WEBHOOKS", [HOOK | {"url": " https://example.org/"}], "E006", "needs an https:// address"),
        ("WEBHOOKS", [HOOK | {"url": "https://example.org/\t"}], "E006", "needs an https:// address"),
        ("WEBHOOKS", [HOOK | {"url": "ftp://localhost/"}], "E006", "needs an https:// address"),
        ("WEBHOOKS", [HOOK | {"url": "https:///path"}], "E006", "needs an https:// address"),
        ("WEBHOOKS", [HOOK | {"url": "https://example.org:port/"}], "E006", "needs an https:// address"),
        ("WEBHOOKS", [HOOK | {"url": None}], "E006", "needs an https:// address"),
        ("WEBHOOKS", [HOOK, HOOK], "E006", "names an address twice"),
    ],
)
def test_a_setting_that_cannot_work_is_named(settings: Any, name: str, value: object, number: str, words: str) -> None:
    setattr(settings, f"COMPLETION_AGGREGATOR_{name}", value)

    ((found, text),) = messages(settings_can_work(None))

    assert found == f"completion_aggregator.{number}"
    assert f"COMPLETION_AGGREGATOR_{name}" in text
    assert words in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THRESHOLDS", {"course": [0.5, 1], "chapter": {1.0}, "vertical": []}),
        ("WEBHOOKS", [HOOK, HOOK | {"url": "http://localhost:9000/"}]),
        ("WEBHOOKS", (HOOK | {"url": "http://127.0.0.2/x"}, HOOK | {"url": "http://[::1]:81/"})),
        (AUTHENTICATION, [BASIC, "rest_framework.authentication.TokenAuthentication"]),
        (AUTHENTICATION, (BASIC,)),
    ],
)
def test_thresholds_webhooks_and_classes_that_can_work_are_taken(settings: Any, name: str, value: object) -> None:
    setattr(settings, f"COMPLETION_AGGREGATOR_{name}", value)
    assert settings_can_work(None) == []


def test_a_webhook_shows_no_secret() -> None:
    webhook = Webhook("https://user:password@example.org:8443/token?key=1", SECRET)
    assert (webhook.host, SECRET in repr(webhook)) == ("example.org:8443", False)


@pytest.mark.parametrize(
    ("told", "kept", "unseen"),
    [
        ({"course", "vertical"}, {"course"}, "vertical"),
        (["chapter", "sequential"], {"course"}, "chapter, sequential"),
        ({"unit"}, None, "unit"),
        ({"course", "vertical"}, None, ""),
        (None, {"course"}, ""),
    ],
)
def test_events_of_a_type_that_is_not_projected_are_warned_of(
    settings: Any, told: object, kept: object, unseen: str
) -> None:
    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = told
    settings.COMPLETION_AGGREGATOR_PROJECTED_BLOCK_TYPES = kept

    text = f"COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES names {unseen}, of which no rows are kept: no events come."
    expected = [("completion_aggregator.W001", text)]
    assert messages(settings_can_work(None)) == (expected if unseen else [])


@pytest.mark.parametrize(
    ("told", "unknown"),
    [
        ({"course": [1], "unit": [0.5], "Chapter": [1]}, "Chapter, unit"),
        ({"html": [1.0]}, "html"),
        ({"html": []}, ""),
        ({"vertical": [0.5], "bundle": [1.0]}, ""),
        ({}, ""),
    ],
)
def test_thresholds_of_a_type_that_may_have_no_percent_are_warned_of(
    settings: Any, told: dict[str, list[float]], unknown: str
) -> None:
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {"bundle": "aggregator", "html": "completable"}
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = told

    text = (
        f"COMPLETION_AGGREGATOR_THRESHOLDS names {unknown}, which COMPLETION_AGGREGATOR_BLOCK_TYPES does not:"
        " nobody reaches them, unless the platform has aggregators of this type."
    )
    assert messages(settings_can_work(None)) == ([("completion_aggregator.W002", text)] if unknown else [])


def test_the_database_of_the_tests_can_work(db: None) -> None:
    assert database_can_work(None, databases=["default"]) == []


def test_sqlite_with_deferred_transactions_is_refused(monkeypatch: pytest.MonkeyPatch, vendor: str) -> None:
    if vendor != "sqlite":
        pytest.skip("speaks of SQLite")
    monkeypatch.delitem(connection.settings_dict["OPTIONS"], "transaction_mode")

    ((found, _),) = messages(database_can_work(None, databases=["default"]))

    assert found == "completion_aggregator.E011"


@pytest.mark.parametrize(
    ("mariadb", "version", "number"),
    [(True, (10, 5, 20), "E012"), (True, (10, 6, 0), None), (False, (8, 0, 11), "E012"), (False, (8, 0, 36), None)],
)
def test_a_server_without_json_tables_is_refused(
    monkeypatch: pytest.MonkeyPatch, mariadb: bool, version: tuple[int, ...], number: str | None
) -> None:
    class Server:
        vendor = "mysql"
        mysql_is_mariadb = mariadb
        mysql_version = version

    monkeypatch.setattr("completion_aggregator.checks.connections", {"default": Server()})

    found = [name for name, _ in messages(database_can_work(None, databases=["default"]))]

    assert found == ([f"completion_aggregator.{number}"] if number else [])
