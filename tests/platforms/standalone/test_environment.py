import json

import pytest

from completion_aggregator.exceptions import InvalidSetting
from completion_aggregator.platforms.standalone import environment

HOOK = {"url": "https://example.org/hook", "secret": "0123456789abcdef"}
OTHER = HOOK | {"url": "https://example.com/hook"}
WEBHOOKS = "COMPLETION_AGGREGATOR_WEBHOOKS"
HTTPS = "needs an https:// address; http:// only for this machine"


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("BATCH_SIZE", "BLOCK_TYPES", "ASYNC_AGGREGATION", "COMPLETION_MODES", "PROJECTED_BLOCK_TYPES"):
        monkeypatch.delenv(f"COMPLETION_AGGREGATOR_{name}", raising=False)


def test_without_variables_nothing_of_ours_is_set():
    assert environment.own_settings() == {}


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("BATCH_SIZE", "250", 250),
        ("RECONCILE_LEARNERS", "0", 0),
        ("ASYNC_AGGREGATION", "Yes", True),
        ("ASYNC_AGGREGATION", "0", False),
        ("BLOCK_TYPES", "course, chapter,", frozenset({"course", "chapter"})),
        ("PROJECTED_BLOCK_TYPES", "course", frozenset({"course"})),
        ("COMPLETION_MODES", '{"poll": "completable"}', {"poll": "completable"}),
        ("PLATFORM", "a.b.C", "a.b.C"),
        ("THRESHOLDS", '{"course": [1, 0.5]}', {"course": (0.5, 1.0)}),
        ("WEBHOOKS", f"[{json.dumps(HOOK)}]", [HOOK]),
    ],
)
def test_a_variable_is_read_as_its_default_is_kept(monkeypatch, name, raw, value):
    monkeypatch.setenv(f"COMPLETION_AGGREGATOR_{name}", raw)
    assert environment.own_settings() == {f"COMPLETION_AGGREGATOR_{name}": value}


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("RECONCILE_LEARNERS", "-1", "a whole number, or 0 for none"),
        ("BATCH_SIZE", "0", "a whole number above zero"),
        ("BATCH_SIZE", "many", "a whole number above zero"),
        ("ASYNC_AGGREGATION", "flase", "true or false"),
        ("COMPLETION_MODES", "{", "JSON such as"),
        ("COMPLETION_MODES", "[1]", "JSON such as"),
        ("COMPLETION_MODES", '{"poll": "counted"}', "JSON such as"),
        ("THRESHOLDS", "0.5", "JSON such as"),
        ("THRESHOLDS", '{"course": [50]}', 'JSON such as {"course": [0.5, 1.0]}, above 0 and up to 1'),
    ],
)
def test_a_bad_value_is_named_with_its_variable_and_what_would_do(monkeypatch, name, raw, expected):
    monkeypatch.setenv(f"COMPLETION_AGGREGATOR_{name}", raw)
    with pytest.raises(InvalidSetting) as error:
        environment.own_settings()
    assert str(error.value).startswith(f"COMPLETION_AGGREGATOR_{name}={raw!r}: expected {expected}")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("[{", ""),
        ("[" * 100_000, ""),
        ("7", ' COMPLETION_AGGREGATOR_WEBHOOKS must be a list of {"url", "secret"}.'),
        ([HOOK, HOOK], " COMPLETION_AGGREGATOR_WEBHOOKS names an address twice."),
        ([HOOK, OTHER | {"secret": "hunter2"}], f" Entry 2 of {WEBHOOKS} needs a secret of 16 characters or more."),
        ([HOOK | {"url": "http://example.org/?key=hunter2"}], f" Entry 1 of {WEBHOOKS} {HTTPS}."),
        ([HOOK | {"url": "https://:hunter2@"}], f" Entry 1 of {WEBHOOKS} {HTTPS}."),
        ([HOOK | {"hunter2": 1}], f' Entry 1 of {WEBHOOKS} must have "url" and "secret", and nothing else.'),
        (["hunter2"], f' Entry 1 of {WEBHOOKS} must have "url" and "secret", and nothing else.'),
        ([HOOK, 7], f' Entry 2 of {WEBHOOKS} must have "url" and "secret", and nothing else.'),
    ],
)
def test_a_bad_webhook_is_explained_without_a_secret(monkeypatch, raw, why):
    monkeypatch.setenv(WEBHOOKS, raw if isinstance(raw, str) else json.dumps(raw))
    with pytest.raises(InvalidSetting) as error:
        environment.own_settings()
    expected = 'JSON such as [{"url": "https://...", "secret": "16 characters or more"}]'
    assert str(error.value) == f"{WEBHOOKS}: expected {expected}.{why}"
    assert [secret for secret in (HOOK["secret"], "hunter2") if secret in str(error.value)] == []


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("{", ""),
        ("0.5", " COMPLETION_AGGREGATOR_THRESHOLDS must map block types to percents, not be 0.5."),
        ('{"course": 1}', " COMPLETION_AGGREGATOR_THRESHOLDS must give a block type a list of percents, not 1."),
        ('{"course": [50]}', " COMPLETION_AGGREGATOR_THRESHOLDS of 'course' must be above 0, up to 1, not 50."),
    ],
)
def test_a_bad_threshold_is_explained(monkeypatch, raw, why):
    monkeypatch.setenv("COMPLETION_AGGREGATOR_THRESHOLDS", raw)
    with pytest.raises(InvalidSetting) as error:
        environment.own_settings()
    expected = 'JSON such as {"course": [0.5, 1.0]}, above 0 and up to 1'
    assert str(error.value) == f"COMPLETION_AGGREGATOR_THRESHOLDS={raw!r}: expected {expected}.{why}"


@pytest.mark.parametrize(("raw", "level"), [("debug", "DEBUG"), (" Warning ", "WARNING"), ("CRITICAL", "CRITICAL")])
def test_a_level_of_logging_is_read_in_any_case(monkeypatch, raw, level):
    monkeypatch.setenv("SOME_LEVEL", raw)
    assert environment.read("SOME_LEVEL", environment.parse_log_level, "INFO", expected="a level") == level


@pytest.mark.parametrize("raw", ["nonsense", "10", "WARNINGS"])
def test_a_level_that_is_none_is_refused(monkeypatch, raw):
    monkeypatch.setenv("SOME_LEVEL", raw)
    with pytest.raises(InvalidSetting, match=f"^SOME_LEVEL='{raw}': expected a level.$"):
        environment.read("SOME_LEVEL", environment.parse_log_level, "INFO", expected="a level")


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    monkeypatch.setenv("COMPLETION_AGGREGATOR_BATCH_SIZE", " ")
    assert environment.own_settings() == {}


def test_a_secret_is_not_repeated(monkeypatch):
    monkeypatch.setenv("SOME_URL", "redis://:hunter2@host")
    with pytest.raises(InvalidSetting) as error:
        environment.read("SOME_URL", int, 0, expected="a number", secret=True)
    assert str(error.value) == "SOME_URL: expected a number."
