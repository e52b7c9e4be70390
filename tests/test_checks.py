"""A site that cannot work is told so when it starts."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.checks import (
    database_can_work,
    settings_can_work,
    settings_mean_something,
    upgrade_is_finished,
)
from completion_aggregator.conf import Webhook
from completion_aggregator.models import AggregatedCourse, Aggregator, CourseProgress
from completion_aggregator.ports import get_platform

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
        ("RECONCILE_LEARNERS", -1, "E002", "must be a whole number from 0 on, not -1"),
        ("RECONCILE_HOURS", 0, "E002", "must be a whole number from 1 on, not 0"),
        ("MAX_PAGE_SIZE", 0, "E002", "must be a whole number from 1 on, not 0"),
        ("MEAN_CACHE_SECONDS", 1.5, "E002", "must be a whole number from 1 on, not 1.5"),
        ("MEAN_CACHE_SECONDS", -1, "E002", "must be a whole number from 1 on, not -1"),
        ("ASYNC_AGGREGATION", "false", "E008", "must be True or False, not 'false'"),
        ("AGGREGATE_UNRELEASED_BLOCKS", 1, "E008", "must be True or False, not 1"),
        ("COMPLETION_MODES", ["scorm"], "E003", "must map block types to modes"),
        ("COMPLETION_MODES", {"scorm": "counted"}, "E003", "gives 'scorm' the mode 'counted'"),
        ("COMPLETION_MODES", {"scorm": ["excluded"]}, "E003", "gives 'scorm' the mode ['excluded']"),
        ("PLATFORM", "nowhere.Platform", "E004", "cannot be imported"),
        ("PLATFORM", ".nowhere.Platform", "E004", "cannot be imported: '.nowhere.Platform' is no dotted path"),
        ("PLATFORM", "os.path.join", "E004", "PLATFORM names 'os.path.join', which is no class of platforms: join()"),
        ("PLATFORM", "collections.OrderedDict", "E004", "is no class of platforms: it lacks listen, outdated, renew,"),
        (AUTHENTICATION, BASIC, "E007", f"must be a list of dotted paths, not '{BASIC}'"),
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


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("COMPLETION_AGGREGATOR_AGGREGATION_LOCK", "Any number of services may run at once"),
        ("COMPLETION_AGGREGATOR_AGGREGATION_LOCK_TIMEOUT_SECONDS", "no lock"),
        ("COMPLETION_AGGREGATOR_CLEANUP_LOCK", "Any number of clean-ups may run at once"),
        ("COMPLETION_AGGREGATOR_CLEANUP_LOCK_TIMEOUT_SECONDS", "no lock"),
        ("COMPLETION_AGGREGATOR_UPDATER_CACHE_TIMEOUT", "a course is compiled once"),
        ("COMPLETION_AGGREGATOR_USE_COLLECTED_BLOCK_STRUCTURE", "always used"),
        ("ENABLE_COURSE_ACTIVITY_SIGNALS", "always heeded"),
        ("COMPLETION_AGGREGATED_MODEL_OVERRIDE", "name it in COMPLETION_AGGREGATOR_PLATFORM"),
    ],
)
def test_a_setting_of_4x_that_means_nothing_any_more_is_told_with_what_to_do(
    settings: Any, name: str, advice: str
) -> None:
    setattr(settings, name, False)

    (found,) = settings_mean_something(None)

    assert (found.id, found.msg) == ("completion_aggregator.W003", f"{name} no longer means anything.")
    assert advice in str(found.hint)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("COMPLETION_AGGREGATOR_BLOCK_TYPE", "Is COMPLETION_AGGREGATOR_BLOCK_TYPES meant?"),
        ("COMPLETION_AGGREGATOR_X", "docs/reference/settings names those that there are."),
    ],
)
def test_a_setting_that_nobody_knows_is_told_with_the_one_that_may_be_meant(
    settings: Any, name: str, hint: str
) -> None:
    setattr(settings, name, 1)
    found = [(each.id, each.msg, each.hint) for each in settings_mean_something(None)]
    assert found == [("completion_aggregator.W004", f"{name} is no setting of ours.", hint)]


def test_settings_that_there_are_are_nothing_to_tell(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BATCH_SIZE = 5
    assert settings_mean_something(None) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("tallies", "refreshed", "is_there", "told"),
    [
        (0, None, True, False),
        (1, None, True, False),
        (1, False, True, True),
        (1, True, True, False),
        # Of a course that was deleted nobody can be compared, which would be told for ever.
        (1, False, False, False),
    ],
)
def test_a_site_of_which_somebody_was_not_refreshed_since_4x_is_told_so(
    tallies: int, refreshed: bool | None, is_there: bool, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = get_user_model()._default_manager.create(username="ana")
    key, other = (CourseKey.from_string(f"course-v1:A+b+{run}") for run in "CD")
    monkeypatch.setattr(get_platform(), "course_keys", lambda: [other, key] if is_there else [other], raising=False)
    for _ in range(tallies):
        Aggregator.objects.submit_completion(
            user=user, course_key=key, block_key=key.make_usage_key("course", "course"), aggregation_name="course",
            earned=1.0, possible=2.0,
        )  # fmt: skip
    if refreshed is not None:
        course = AggregatedCourse.objects.create(course_key=key)
        moment = timezone.now() if refreshed else None
        CourseProgress.objects.create(course=course, user=user, begun=True, as_of=moment)

    with CaptureQueriesContext(connection) as captured:
        found = [each.id for each in upgrade_is_finished(None, databases=["default"])]

    assert (found, len(captured) <= 5) == (["completion_aggregator.W005"] if told else [], True)
    assert upgrade_is_finished(None, databases=None) == []


@pytest.mark.django_db
def test_before_its_migrations_a_site_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", lambda *_, **__: ["completion_aggregator_aggregator"])
    assert upgrade_is_finished(None, databases=["default"]) == []


def test_a_database_that_does_not_answer_is_told_of_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> list[str]:
        raise OperationalError("has gone away")

    monkeypatch.setattr(connection.introspection, "table_names", fail)
    assert messages(upgrade_is_finished(None, databases=["default"])) == [
        (
            "completion_aggregator.W006",
            "Database 'default' does not tell whether tallies of 4.x are left: has gone away",
        )
    ]


def test_a_site_starts_with_what_is_no_platform_so_that_a_check_can_tell(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_PLATFORM = "os.path.join"
    apps.get_app_config("completion_aggregator").ready()
    with pytest.raises(ImproperlyConfigured, match=r"names 'os\.path\.join', which is no class of platforms"):
        get_platform()
