import json

import pytest

from completion_aggregator.exceptions import InvalidSetting
from completion_aggregator.platforms.standalone import environment

HOOK = {"url": "https://example.org/hook", "secret": "0123456789abcdef"}


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


@pytest.mark.parametrize("raw", ["[{", '[{"url": "https://example.org", "secret": "short"}]', '{"url": 1}', "7"])
def test_a_bad_webhook_is_named_without_its_secret(monkeypatch, raw):
    monkeypatch.setenv("COMPLETION_AGGREGATOR_WEBHOOKS", raw)
    with pytest.raises(InvalidSetting) as error:
        environment.own_settings()
    assert str(error.value).startswith("COMPLETION_AGGREGATOR_WEBHOOKS: expected JSON such as [{")


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    monkeypatch.setenv("COMPLETION_AGGREGATOR_BATCH_SIZE", " ")
    assert environment.own_settings() == {}


def test_a_secret_is_not_repeated(monkeypatch):
    monkeypatch.setenv("SOME_URL", "redis://:hunter2@host")
    with pytest.raises(InvalidSetting) as error:
        environment.read("SOME_URL", int, 0, expected="a number", secret=True)
    assert str(error.value) == "SOME_URL: expected a number."
